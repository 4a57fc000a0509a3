"""Image sets: consistent lengths, and the split at a label."""

from dataclasses import replace

import numpy as np
import pytest

from vqlso.data.image_set import ImageSet
from vqlso.errors import DataError

DATA = ImageSet(
    name="toy",
    images=np.zeros((6, 3, 8, 8), dtype=np.uint8),
    labels=np.array([2.0, 0.0, 2.0001, 5.0, 1.9, np.nan]),
    people=np.arange(6),
    fingerprint="f",
    label_origin="by hand",
)


def test_rows_at_most_and_above_a_label_part_the_labelled_images() -> None:
    assert len(DATA) == 6
    assert DATA.at_most(2).tolist() == [0, 1, 4]
    assert DATA.above(2).tolist() == [2, 3]
    assert DATA.at_most(-1).size == DATA.above(5).size == 0


def test_an_empty_set_is_refused() -> None:
    with pytest.raises(DataError, match="'toy' is empty"):
        replace(DATA, images=DATA.images[:0], labels=DATA.labels[:0], people=DATA.people[:0])


@pytest.mark.parametrize("field", ["images", "labels", "people"])
def test_each_image_has_one_label_and_one_person(field: str) -> None:
    with pytest.raises(DataError, match=f"5 {field}"):
        replace(DATA, **{field: getattr(DATA, field)[:5]})
