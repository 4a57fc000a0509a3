"""A diffusion model sampled without further noise (DDIM): the first noise decides the image."""
