import io

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from benchmarks.inversion_figure import apart, drawn

LEAST = 0.05


@given(arrays(np.float64, st.integers(1, 9), elements=st.floats(0, 1)))
def test_labels_are_apart_in_the_order_of_their_lines(places):
    moved = apart(places, LEAST)
    order = np.argsort(places, kind="stable")
    assert (np.diff(moved[order]) >= LEAST - 1e-12).all()
    assert (moved >= places).all()
    assert moved.min() == places.min()


def test_a_line_is_drawn_for_each_method():
    course = {"seconds": [0.5, 5.0, 50.0], "criterion": [4.0, 2.0, 1.0]}
    one = {"LBFGS": {**course, "climbs": True}}
    two = {**one, "RS": {"seconds": [0.5, 50.0], "criterion": [5.0, 3.0], "climbs": False}}
    pictures = [
        np.asarray(Image.open(io.BytesIO(drawn(each))).convert("RGB")) for each in (one, two)
    ]
    inks = [len(np.unique(each.reshape(-1, 3), axis=0)) for each in pictures]
    assert inks[1] > inks[0]
