"""What changed between two contracts, and whom each change breaks.

A contract binds two sides. Who writes promises that rows are so; who reads relies on it. What is asked for more
strictly breaks writers: rows that passed are refused. What is asked for less strictly breaks readers: they meet what
they were told never to meet. So a change is compatible only if it lets the same rows pass and says the same of them.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

from mlops_assets.validation.contract import KEPT_FROM_MODELS, ColumnRule, Contract
from mlops_assets.validation.row_rule import RowRule

Side = Literal["readers", "writers", "people"]
Sides = tuple[Side, ...]
READERS: Sides = ("readers",)
WRITERS: Sides = ("writers",)
BOTH: Sides = ("readers", "writers")
PEOPLE: Sides = ("people",)


@dataclass(frozen=True, slots=True)
class Change:
    """One difference: where in the contract, what became of it, and whom it breaks.

    `readers` meet what the old contract ruled out, or miss what it promised; `writers` are refused what it let pass;
    `people` lose a safeguard.
    """

    where: str
    what: str
    breaks: Sides = ()

    @property
    def breaking(self) -> bool:
        """Whether anybody who relied on the old contract has to act."""
        return bool(self.breaks)

    def __str__(self) -> str:
        return f"{self.where}: {self.what} ({'breaks ' + ' and '.join(self.breaks) if self.breaks else 'compatible'})"


def changes(old: Contract, new: Contract) -> tuple[Change, ...]:
    """Give what is different in `new`, in the order of the contract; the version itself is no difference."""
    return (
        *_of_columns(old, new),
        *_of_keys(old, new),
        *_of_rules(old.rules, new.rules),
        *_of_batch(old, new),
    )


def _of_columns(old: Contract, new: Contract) -> Iterator[Change]:
    for name in dict.fromkeys([*old.columns, *new.columns]):
        was, now = old.columns.get(name), new.columns.get(name)
        where = f"columns.{name}"
        if was is None:
            yield Change(where, "added; a batch without it is held", WRITERS)
        elif now is None:
            yield Change(where, "removed", BOTH if new.strict else READERS)
        else:
            yield from _of_column(where, was, now)
    if [name for name in old.columns if name in new.columns] != [name for name in new.columns if name in old.columns]:
        yield Change("columns", "put in another order")


def _of_column(where: str, was: ColumnRule, now: ColumnRule) -> Iterator[Change]:
    if was.type != now.type:
        yield Change(f"{where}.type", f"{was.type} became {now.type}", BOTH)
        return  # what else is asked of values of another type cannot be compared
    if was.nullable != now.nullable:
        yield (
            Change(f"{where}.nullable", "may be missing now", READERS)
            if now.nullable
            else Change(f"{where}.nullable", "may not be missing any more", WRITERS)
        )
    yield from _of_bound(f"{where}.min", was.min, now.min, rising=WRITERS, falling=READERS)
    yield from _of_bound(f"{where}.max", was.max, now.max, rising=READERS, falling=WRITERS)
    yield from _of_choices(f"{where}.isin", was.isin, now.isin)
    if was.regex != now.regex:  # which of two patterns lets more pass, nobody can tell in general
        sides = WRITERS if was.regex is None else READERS if now.regex is None else BOTH
        yield Change(f"{where}.regex", _became(was.regex, now.regex), sides)
    if was.unit != now.unit:
        yield Change(f"{where}.unit", _became(was.unit, now.unit), BOTH if was.unit and now.unit else ())
    for tag in sorted({*was.tags} ^ {*now.tags}):
        if tag in now.tags:
            yield Change(f"{where}.tags", f"{tag} added", READERS if tag in KEPT_FROM_MODELS else ())
        else:
            yield Change(f"{where}.tags", f"{tag} removed", PEOPLE)
    if was.description != now.description:
        yield Change(f"{where}.description", "reworded")


def _of_bound(where: str, was: Any, now: Any, *, rising: Sides, falling: Sides) -> Iterator[Change]:
    if was != now:
        sides = WRITERS if was is None else READERS if now is None else rising if now > was else falling
        yield Change(where, _became(was, now), sides)


def _of_choices(where: str, was: tuple[Any, ...] | None, now: tuple[Any, ...] | None) -> Iterator[Change]:
    if was is None or now is None:
        if was != now:
            yield Change(where, _became(was, now), WRITERS if was is None else READERS)
        return
    if added := [value for value in now if value not in was]:
        yield Change(where, f"{_listed(added)} added", READERS)
    if removed := [value for value in was if value not in now]:
        yield Change(where, f"{_listed(removed)} removed", WRITERS)


def _of_keys(old: Contract, new: Contract) -> Iterator[Change]:
    was, now = ({frozenset(key): key for key in contract.keys} for contract in (old, new))
    for key in [*was, *(key for key in now if key not in was)]:
        if key not in now:
            yield Change("unique", f"{_listed(was[key])} need not tell rows apart any more", READERS)
        elif key not in was:
            yield Change("unique", f"{_listed(now[key])} must tell rows apart", WRITERS)


def _of_rules(old: dict[str, RowRule], new: dict[str, RowRule]) -> Iterator[Change]:
    for name in dict.fromkeys([*old, *new]):
        was, now, where = old.get(name), new.get(name), f"rules.{name}"
        if was is None and now is not None:
            yield Change(where, f"added: {now.holds}", WRITERS)
        elif was is not None and now is None:
            yield Change(where, f"removed: {was.holds}", READERS)
        elif was is not None and now is not None:
            if was.holds != now.holds:  # which of two conditions lets more pass, nobody can tell in general
                yield Change(f"{where}.holds", _became(was.holds, now.holds), BOTH)
            if was.missing != now.missing:
                sides = WRITERS if now.missing == "breaks" else READERS
                yield Change(f"{where}.missing", _became(was.missing, now.missing), sides)
            if was.because != now.because:
                yield Change(f"{where}.because", "reworded")


def _of_batch(old: Contract, new: Contract) -> Iterator[Change]:
    if old.strict != new.strict:
        yield (
            Change("strict", "a column that is not named blocks the batch now", WRITERS)
            if new.strict
            else Change("strict", "columns that are not named may come along")
        )
    was, now = old.max_quarantined_share, new.max_quarantined_share
    if was != now:
        yield Change("max_quarantined_share", _became(was, now), READERS if now > was else WRITERS)


def _became(was: Any, now: Any) -> str:
    said = [_listed(each) if isinstance(each, tuple) else str(each) for each in (was, now)]
    if was in (None, ""):
        return f"{said[1]} added"
    return f"{said[0]} removed" if now in (None, "") else f"{said[0]} became {said[1]}"


def _listed(values: Iterable[Any]) -> str:
    return ", ".join(map(str, values))
