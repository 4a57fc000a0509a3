"""The two forms of an image."""

import numpy as np
import torch

from vqlso.images import to_bytes, to_unit

LEVELS = np.arange(256, dtype=np.uint8).repeat(3).reshape(256, 3, 1, 1)


def test_all_256_levels_survive_the_round_trip() -> None:
    unit = to_unit(LEVELS)
    assert unit.dtype == torch.float32
    assert (unit.min(), unit.max()) == (0, 1)
    np.testing.assert_array_equal(to_bytes(unit), LEVELS)


def test_levels_are_evenly_spaced_255ths() -> None:
    np.testing.assert_allclose(to_unit(LEVELS)[:, 0, 0, 0], np.arange(256) / 255, rtol=1e-7)


def test_bytes_are_the_nearest_level_and_never_wrap_around() -> None:
    values = torch.tensor([-0.3, 0.0019, 0.0021, 0.5, 0.9979, 0.9981, 1.4]).view(-1, 1, 1, 1)
    assert to_bytes(values).ravel().tolist() == [0, 0, 1, 128, 254, 255, 255]
    assert to_bytes(values).dtype == np.uint8


def test_the_stored_image_is_neither_shared_nor_changed() -> None:
    stored = LEVELS.copy()
    stored.setflags(write=False)
    to_unit(stored).fill_(0)
    np.testing.assert_array_equal(stored, LEVELS)
