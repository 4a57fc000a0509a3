"""A run's journal mirrored to trackers of experiments."""
