"""The mathematics of diffusion as pure functions. Import the submodules; they need torch.

z_t = alpha(t) z_0 + sigma(t) eps,   t in 0..1 from data to noise
"""
