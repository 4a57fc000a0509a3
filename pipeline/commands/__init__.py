"""The commands beside `vqlso run`, and what all of them share on a terminal."""
