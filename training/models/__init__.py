"""Networks: the autoencoder, the denoiser and its motion layers. Import the submodules; they need torch."""
