import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.report.digits import Digits, alone


@pytest.mark.parametrize(
    ("spread", "value", "text"),
    [
        (1.8, 2.4567, "2.46"),
        (5.0, 2.4567, "2.46"),
        (0.02, 1.73112, "1.7311"),
        (60, 123.456, "123"),
        (1e6, 3456789.1, "3\u202f456\u202f789"),
        (1.0, 1e9 + 0.25, "1\u202f000\u202f000\u202f000.25"),
        (1e-6, 1.23456e-6, "1.23e-06"),
        (1e-6, -1e-10, "0"),
        (1.0, -0.001, "0.00"),
        (0.0, 3.2, "3.20"),
        (float("nan"), 3.2, "3.20"),
    ],
)
def test_scores_have_the_digits_that_their_spread_tells_apart(spread, value, text):
    assert Digits(spread)(value) == text


@given(
    st.floats(1e-12, 1e12),
    st.floats(-1, 1),
    st.sampled_from([0.0, 1.0, -30.0]),
)
def test_a_fiftieth_of_the_spread_is_seen_and_nothing_is_minus_zero(spread, share, offset):
    digits, low = Digits(spread), (share + offset) * spread
    text = digits(low)
    assert text != digits(low + spread / 50)
    assert abs(float(text.replace("\u202f", "")) - low) <= spread / 50
    assert not text.startswith("-") or any(digit in text for digit in "123456789")


def test_the_spread_of_figures_leaves_gaps_out():
    assert Digits.of([1.0, None, float("nan"), 4.0]).spread == 3.0
    assert Digits.of([None])(1.0) == "1.00"


@pytest.mark.parametrize(
    ("value", "text"), [(41.6912, "41.69"), (2, "2.00"), (0.000312, "0.000312"), (0, "0.00")]
)
def test_a_figure_by_itself(value, text):
    assert alone(value) == text
