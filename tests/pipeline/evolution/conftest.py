"""What tests of sessions share."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from sessions_of_tests import save_generators

from pipeline.evolution import beginning


@pytest.fixture(autouse=True)
def few_faces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Noise stands in for the faces that codes are drawn from."""

    def noise(count: int, seed: int, size: int) -> SimpleNamespace:
        shape = (min(count, 20), 3, size, size)
        images = np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)
        return SimpleNamespace(images=images)

    monkeypatch.setattr(beginning, "procedural_faces", noise)


@pytest.fixture(scope="session")
def generators(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Files of untrained generators."""
    return save_generators(tmp_path_factory.mktemp("generators"))
