"""What a denoiser is told besides the noisy latent: text, frame rate, known frames. Import the submodules."""
