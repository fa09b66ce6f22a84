"""Declaring stored features: whose they are, the SQL that computes them, how long they hold."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, Field, model_validator

from mlops_assets import records
from mlops_assets.errors import UnknownNameError, examples
from mlops_assets.features import sql as view_sql

PARTITION_END = "partition_end"
STAMPS = ("event_time", "known_at")  # columns every row of a view carries beside its keys and features


def _not_negative(duration: timedelta) -> timedelta:
    if duration < timedelta(0):
        raise ValueError("a duration cannot be negative")
    return duration


Duration = Annotated[timedelta, AfterValidator(_not_negative)]


class ViewDefinition(BaseModel, frozen=True, extra="forbid"):
    """A feature view as YAML declares it."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$", description="The view's name, and its asset's.")
    description: str = Field(default="", description="One sentence for people who look for features.")
    owner: str | None = Field(default=None, description="Who answers for it: an e-mail address or `team:name`.")
    keys: dict[str, Literal["string", "int64", "timestamp"]] = Field(
        min_length=1, description="The columns that find a row, with their dtypes."
    )
    features: dict[str, Literal["float64", "string"]] = Field(
        min_length=1, description="The features, with their dtypes; any may be null, so whole numbers are float64."
    )
    describe: dict[str, str] = Field(default={}, description="One sentence per feature, for the catalogue.")
    tables: dict[str, str] = Field(min_length=1, description="The table each alias in the SQL stands for.")
    lookback_days: int = Field(
        default=1, ge=1, description="How many days of partitions, its own included, a partition is computed from."
    )
    event_time: str = Field(
        default=PARTITION_END,
        description="The column that says when a row was true, or `partition_end`.",
    )
    available_after: Duration = Field(
        default=timedelta(0), description="How long after the end of a partition its rows can be looked up."
    )
    ttl: Duration = Field(description="How long after its event time a row still answers.")
    sql: str = Field(description="One SELECT in DuckDB's SQL; $partition_start and $partition_end are its partition.")

    @model_validator(mode="after")
    def _agrees_with_itself(self) -> Self:
        query = view_sql.parse(self.sql, tables=self.tables)
        if both := sorted({*self.keys} & {*self.features}):
            raise ValueError(f"{examples(both)} cannot be key and feature at once")
        if reserved := sorted({*self.keys, *self.features} & {*STAMPS, "decision_time"}):
            raise ValueError(f"{examples(reserved)} is a name the join needs; choose another")
        for name in self.describe:
            if name not in self.features:
                raise UnknownNameError("feature", name, known=self.features)
        given = view_sql.columns_of(query)
        if given is not None:
            for name in self.columns:
                if name not in given:
                    raise UnknownNameError("column", name, known=given)
            if extra := sorted({*given} - {*self.columns}):
                raise ValueError(f"the SQL also gives {examples(extra)}; declare it, or leave it out of the SELECT")
        return self

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns the SQL must give back: keys, features, and the event time where it is a column."""
        timed = () if self.event_time == PARTITION_END else (self.event_time,)
        return tuple(dict.fromkeys([*self.keys, *self.features, *timed]))

    def record(self) -> records.FeatureView:
        """Give what travels with a model: the keys, the features and how long a row holds."""
        return records.FeatureView(
            name=self.name,
            keys=tuple(records.Field(name=name, dtype=dtype) for name, dtype in self.keys.items()),
            features=tuple(
                records.Field(name=name, dtype=dtype, nullable=True, description=self.describe.get(name, ""))
                for name, dtype in self.features.items()
            ),
            ttl_s=self.ttl.total_seconds(),
        )


def lineage(
    view: ViewDefinition, columns: Mapping[str, Sequence[str]] | None = None
) -> dict[str, tuple[tuple[str, str], ...]]:
    """Give the (table, column) pairs each stored column is computed from; none for what only the partition decides.

    Args:
        view: The definition.
        columns: Column names by table name; needed where the SQL uses stars or leaves tables unsaid.
    """
    origin = {name: name for name in (*view.keys, *view.features)}
    if view.event_time != PARTITION_END:
        origin["event_time"] = view.event_time
    return {
        stored: view_sql.sources_of(view.sql, output, tables=view.tables, columns=columns or {})
        for stored, output in origin.items()
    }
