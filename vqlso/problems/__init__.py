"""What is maximised: a latent space, and what its points are worth."""

from vqlso.problems.direction import Direction
from vqlso.problems.image_score import ImageScore
from vqlso.problems.preference import Preference
from vqlso.problems.score_ascent import ScoreAscent
from vqlso.problems.target_image import TargetImage

__all__ = ["Direction", "ImageScore", "Preference", "ScoreAscent", "TargetImage"]
