"""Generators of strangers, read without running anything in their files."""

from vqlso.generators.import_gan.detection import read_gan
from vqlso.generators.import_gan.found import FoundGenerator
from vqlso.generators.import_gan.importing import describe, import_gan

__all__ = ["FoundGenerator", "describe", "import_gan", "read_gan"]
