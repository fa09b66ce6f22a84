"""What a trainer's parameter may be, so that a value that cannot be obeyed is refused before anything is fitted."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite

from mlops_assets.errors import DeclarationError


@dataclass(frozen=True, slots=True)
class Range:
    """The numbers a parameter may be, ends included but for `low` where they must lie `above` it."""

    low: float = float("-inf")
    high: float = float("inf")
    whole: bool = False
    above: bool = False

    def holds(self, value: object) -> bool:
        """Say whether `value` is a number of this range; yes and no are none, and a text never is one."""
        if isinstance(value, bool) or not isinstance(value, int if self.whole else int | float):
            return False
        return isfinite(value) and self.low <= value <= self.high and not (self.above and value == self.low)

    def __str__(self) -> str:
        """Say it in words.

        >>> print(Range(0, 1, above=True))
        a number above 0, up to 1
        >>> print(Range(2, whole=True))
        a whole number of at least 2
        >>> print(Range(1, 512, whole=True))
        a whole number of 1 to 512
        """
        kind = "a whole number" if self.whole else "a number"
        if self.low == float("-inf"):
            return kind
        if self.high == float("inf"):
            return f"{kind} {'above' if self.above else 'of at least'} {self.low:g}"
        return f"{kind} {f'above {self.low:g}, up' if self.above else f'of {self.low:g}'} to {self.high:.10g}"


def require_range(name: str, value: object, *, ranges: Mapping[str, Range]) -> None:
    """Refuse a value outside the range of its parameter; one without a range may be anything.

    Raises:
        DeclarationError: It is outside, or no number.
    """
    if name in ranges and not ranges[name].holds(value):
        raise DeclarationError(f"Parameter `{name}` is {value!r}, but should be {ranges[name]}.", parameter=name)
