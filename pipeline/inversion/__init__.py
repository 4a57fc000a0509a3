"""What an inversion is made of."""
