"""What a search for edit directions is made of, and directions applied to other faces."""
