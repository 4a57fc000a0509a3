"""The page on which a person picks, and looks at finished runs (`vqlso evolve`)."""

from pipeline.evolution.page.launching import launch

__all__ = ["launch"]
