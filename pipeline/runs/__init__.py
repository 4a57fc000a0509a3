"""A run on disk: its folder, networks and journal, and what is read back from them."""
