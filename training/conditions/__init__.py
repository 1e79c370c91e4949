"""What a denoiser is told besides the noisy latent: text, pictures, numbers, known frames. Import the submodules."""
