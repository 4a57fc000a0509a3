"""What is optimised: latent spaces, generators, objectives, data and the contracts between them."""

__version__ = "0.1.0"
