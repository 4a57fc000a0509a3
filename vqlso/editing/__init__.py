"""Using edit directions, and measuring what they change beside what they should."""

from vqlso.editing.edits import (
    LevelEdit,
    conditional,
    edited_in_turn,
    edited_together,
    moved,
    towards,
)
from vqlso.editing.evaluation import Bucket, EditEvaluation, EditQuality, Spread
from vqlso.editing.scaling import Scaling, compared, scaled
from vqlso.editing.strips import sheet, strips

__all__ = [
    "Bucket",
    "EditEvaluation",
    "EditQuality",
    "LevelEdit",
    "Scaling",
    "Spread",
    "compared",
    "conditional",
    "edited_in_turn",
    "edited_together",
    "moved",
    "scaled",
    "sheet",
    "strips",
    "towards",
]
