"""The outline of a new model: what its files will say, and the names it may have."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from keyword import iskeyword

from mlops_assets.errors import DeclarationError
from mlops_assets.records import Task
from mlops_assets.validation.contract import ColumnType

TAKEN = ("raw", "validated", "quarantine", "features")  # first parts of the asset keys of tables


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnOutline:
    """A column of the data; `unfit` says why it is no feature, where it could have been one."""

    name: str
    type: ColumnType
    nullable: bool = False
    unfit: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    """What is predicted; `positive` is the value that counts as 1, where the column does not hold 0 and 1 itself."""

    column: str
    task: Task = "binary"
    positive: str | float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Amounts:
    """How much is held out, the fewest rows to learn from and to judge on, and for a number the loss that is none."""

    holdout_days: int = 14
    train_rows: int = 1000
    held_rows: int = 1000
    held_of_class: int = 100
    margin: float | None = None


@dataclass(frozen=True, kw_only=True)
class ModelOutline:
    """What is known of a new model before its files are written."""

    name: str
    path: str
    key: str
    time: str
    label: Label
    columns: tuple[ColumnOutline, ...]
    first_day: date
    types: Mapping[str, ColumnType] = field(default_factory=dict)
    whole_days: bool = False
    amounts: Amounts = Amounts()

    @classmethod
    def blank(cls, name: str) -> "ModelOutline":
        """Give an outline whose names are examples, each to be replaced."""
        return cls(
            name=require_name("model", name),
            path=f"{{here}}/{name}.csv",
            key="id",
            time="at",
            label=Label(column="label"),
            columns=(
                ColumnOutline(name="id", type="string"),
                ColumnOutline(name="at", type="timestamp"),
                ColumnOutline(name="amount", type="float64"),
                ColumnOutline(name="country", type="string", nullable=True),
                ColumnOutline(name="label", type="int64", nullable=True),
            ),
            first_day=date(2024, 1, 1),
        )

    @property
    def features(self) -> tuple[ColumnOutline, ...]:
        """The columns that are features as they are."""
        roles = (self.key, self.time, self.label.column)
        return tuple(each for each in self.columns if each.name not in roles and not each.unfit)


def require_name(kind: str, name: str) -> str:
    """Give `name` back if a model or a package may have it.

    Raises:
        DeclarationError: It may not.
    """
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name) or iskeyword(name) or name in TAKEN:
        raise DeclarationError(
            f"A {kind} cannot be named {name!r}: names are lower-case letters, digits and _, begin with a letter, and "
            f"are no word of Python, nor one of {', '.join(TAKEN)}. Take {as_name(name)!r}, or another.",
            name=name,
        )
    return name


def as_name(text: str) -> str:
    """Give the nearest thing to `text` that may be a name.

    >>> [as_name(text) for text in ("Credit-risk 2024", "2024 sales", "class", "raw")]
    ['credit_risk_2024', 'n_2024_sales', 'class_', 'raw_']
    """
    plain = re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_")
    plain = plain if plain[:1].isalpha() else f"n_{plain}"
    return f"{plain}_" if iskeyword(plain) or plain in TAKEN else plain
