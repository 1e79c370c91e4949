"""Networks: autoencoders of images and videos, denoisers and their layers. Import the submodules; they need torch."""
