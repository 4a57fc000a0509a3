"""How many digits of a score mean something: as many as its spread tells apart."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import floor, isfinite, log10

MOST_DECIMALS = 6  # more are written as a power of ten


@dataclass(frozen=True)
class Digits:
    """Writes scores so that a hundredth of their spread is still seen.

    Attributes:
        spread: range of the scores that are compared, > 0; anything else counts as 1.
    """

    spread: float = 1.0

    @classmethod
    def of(cls, values: Iterable[float | None]) -> Digits:
        """For scores that are compared with each other; gaps are left out."""
        known = [value for value in values if value is not None and isfinite(value)]
        return cls(max(known) - min(known)) if known else cls()

    @property
    def known(self) -> float:
        """The spread, or 1 where there is none."""
        return self.spread if isfinite(self.spread) and self.spread > 0 else 1.0

    def __call__(self, value: float) -> str:
        """Such as '2.46', '1.23e-06' or '5 210'; never a negative zero."""
        # The decade of two decimals is 0.53 to 5.3, so that degrees from 0 to 5 have two.
        decimals = 2 - floor(log10(1.9 * self.known))
        if decimals > MOST_DECIMALS:
            return _scientific(value, decimals)
        text = f"{value:,.{max(0, decimals)}f}".replace(",", "\u202f")
        return text.removeprefix("-") if not any(digit in text for digit in "123456789") else text


DEGREES = Digits()  # two decimals


def alone(value: float) -> str:
    """A positive figure that is compared with nothing: two decimals, or three digits below 1."""
    return Digits(min(abs(value), 1.0))(value)


def _scientific(value: float, decimals: int) -> str:
    if round(value, decimals) == 0:
        return "0"
    shown = max(0, decimals + floor(log10(abs(value))))
    return f"{value:.{shown}e}"
