"""What a table promises, row by row: plain data that YAML may set."""

from datetime import date, datetime
from typing import Literal, Self

import polars as pl
import pyarrow as pa
from pydantic import AwareDatetime, BaseModel, Field, ValidationInfo, field_validator, model_validator

from mlops_assets.errors import DeclarationError, UnknownNameError
from mlops_assets.validation.row_rule import RowRule, require_obeyable

Tag = Literal["pii", "protected", "audit_only"]
KEPT_FROM_MODELS: frozenset[Tag] = frozenset({"protected", "audit_only"})

ColumnType = Literal["string", "int64", "float64", "bool", "date", "timestamp"]
ARROW_TYPES: dict[ColumnType, pa.DataType] = {
    "string": pa.string(),
    "int64": pa.int64(),
    "float64": pa.float64(),
    "bool": pa.bool_(),
    "date": pa.date32(),
    "timestamp": pa.timestamp("us", tz="UTC"),
}
POLARS_TYPES: dict[ColumnType, pl.DataType | type[pl.DataType]] = {
    "string": pl.String,
    "int64": pl.Int64,
    "float64": pl.Float64,
    "bool": pl.Boolean,
    "date": pl.Date,
    "timestamp": pl.Datetime("us", "UTC"),
}
STRUCTURE = "structure"  # the rule that every row of a batch breaks whose columns are not the contract's
RULE_COLUMN, VALUE_COLUMN, REASON_COLUMN = "_rule", "_value", "_reason"  # what quarantine adds to a row
_BOUND_TYPES: dict[ColumnType, tuple[type, ...]] = {
    "int64": (int, float),
    "float64": (int, float),
    "date": (date,),
    "timestamp": (datetime,),
}


class ColumnRule(BaseModel, frozen=True, extra="forbid"):
    """What every value of one column must be. A NaN counts as missing; an infinite number is always a fault."""

    type: ColumnType = Field(description="What the column holds; `timestamp` is UTC in microseconds.")
    nullable: bool = Field(False, description="Whether a value may be missing.")
    unique: bool = Field(False, description="Whether no two rows may share a value; missing values never do.")
    min: int | float | AwareDatetime | date | None = Field(None, description="The least allowed value.")
    max: int | float | AwareDatetime | date | None = Field(None, description="The greatest allowed value.")
    isin: tuple[int | str, ...] | None = Field(None, min_length=1, description="The only allowed values.")
    regex: str | None = Field(None, description="What the whole value must match; no look-around.")
    description: str = Field("", description="What the column means, for people.")
    unit: str = Field("", description="What a number counts: minutes, miles, °F ….")
    tags: tuple[Tag, ...] = Field(
        (),
        description="`pii` tells of a person. `protected` and `audit_only` are for slices and audits, never for a "
        "feature: a model that would learn from one is not loaded.",
    )

    @property
    def kept_from_models(self) -> tuple[Tag, ...]:
        """Give the tags that forbid a model to learn from the column; none if it may."""
        return tuple(tag for tag in self.tags if tag in KEPT_FROM_MODELS)

    @property
    def meaning(self) -> str:
        """What the column means, counts and is tagged with, for people.

        >>> ColumnRule(type="float64", description="How far.", unit="miles", tags=["pii"]).meaning
        'How far. Unit: miles. Tags: pii.'
        """
        unit, tags = f"Unit: {self.unit}." if self.unit else "", f"Tags: {', '.join(self.tags)}." if self.tags else ""
        return " ".join(filter(None, [self.description, unit, tags]))

    @model_validator(mode="after")
    def _can_be_obeyed(self) -> Self:
        for name, bound in (("min", self.min), ("max", self.max)):
            allowed = _BOUND_TYPES.get(self.type, ())
            if bound is not None and (
                not isinstance(bound, allowed) or (self.type == "date" and type(bound) is not date)
            ):
                raise DeclarationError(f"`{name}: {bound}` cannot bound a {self.type} column.")
        if self.min is not None and self.max is not None and self.min > self.max:  # type: ignore[operator]
            raise DeclarationError(f"No value is at least {self.min} and at most {self.max}. Swap the two.")
        if self.isin is not None:
            member = {"string": str, "int64": int}.get(self.type)
            strangers = [value for value in self.isin if member is None or not isinstance(value, member)]
            if strangers:
                raise DeclarationError(f"`isin` names {strangers[0]!r}, which a {self.type} column cannot hold.")
        if self.regex is not None:
            if self.type != "string":
                raise DeclarationError(f"`regex` is for string columns, and this one is {self.type}.")
            _refuse_bad_pattern(self.regex)
        return self


class Contract(BaseModel, frozen=True, extra="forbid"):
    """What a batch of rows must be to pass; rows that are not go to quarantine, each with its reasons."""

    version: int = Field(1, ge=1, description="Raise it with every change of what passes; see `mlops contract diff`.")
    columns: dict[str, ColumnRule] = Field(min_length=1, description="The columns, in the order they are stored.")
    unique: tuple[tuple[str, ...], ...] = Field(
        (), description="Lists of columns whose values together tell one row from every other."
    )
    rules: dict[str, RowRule] = Field(
        {}, description="Conditions over several columns of a row, by a name that quarantine tells them by."
    )
    strict: bool = Field(True, description="Whether a column that is not named here blocks the batch.")
    max_quarantined_share: float = Field(
        0.05, ge=0, le=1, description="The share of bad rows above which the batch as a whole is blocked."
    )

    @field_validator("rules")
    @classmethod
    def _can_be_obeyed(cls, rules: dict[str, RowRule], info: ValidationInfo) -> dict[str, RowRule]:
        for name, rule in rules.items():
            if not name.isidentifier() or name == STRUCTURE:
                raise DeclarationError(
                    f"{name!r} cannot name a rule: quarantine tells rules by names of letters, digits and "
                    f"underscores, and keeps {STRUCTURE!r} for itself. Choose another."
                )
            if "columns" in info.data:  # those that are wrong themselves are told already
                require_obeyable(
                    name, rule, {column: POLARS_TYPES[each.type] for column, each in info.data["columns"].items()}
                )
        return rules

    @model_validator(mode="after")
    def _names_are_known(self) -> Self:
        for keys in self.unique:
            for name in keys:
                if name not in self.columns:
                    raise UnknownNameError("Column of `unique`", name, known=self.columns)
        for name in (RULE_COLUMN, VALUE_COLUMN, REASON_COLUMN):
            if name in self.columns:
                raise DeclarationError(f"The column name {name!r} is taken: quarantine writes its findings there.")
        return self

    @property
    def keys(self) -> tuple[tuple[str, ...], ...]:
        """Give every list of columns that must tell rows apart, those of single columns first."""
        return tuple((name,) for name, rule in self.columns.items() if rule.unique) + self.unique

    @property
    def key_rules(self) -> dict[str, tuple[str, ...]]:
        """Give those lists by the names of the rules that watch them: `id.unique`, `unique(origin, hour)`."""
        return {f"{key[0]}.unique" if len(key) == 1 else f"unique({', '.join(key)})": key for key in self.keys}

    @property
    def schema(self) -> pa.Schema:
        """Give the Arrow schema of rows that pass."""
        return pa.schema((name, ARROW_TYPES[rule.type]) for name, rule in self.columns.items())


def _refuse_bad_pattern(pattern: str) -> None:
    try:
        pl.Series([""]).str.contains(pattern)
    except pl.exceptions.ComputeError as error:
        raise DeclarationError(
            f"`regex: {pattern}` cannot be run: {' '.join(str(error).split())}. Correct it; where it looks around or "
            f"back, which the engine for millions of rows cannot, say the same with alternatives."
        ) from error
