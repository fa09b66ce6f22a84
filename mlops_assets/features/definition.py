"""Declaring stored features: whose they are, what computes them (SQL, aggregates or Python), how long they hold."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, Field, StrictStr, ValidationError, model_validator

from mlops_assets import records
from mlops_assets.errors import UnknownNameError, examples
from mlops_assets.features import frames
from mlops_assets.features import sql as view_sql
from mlops_assets.features.aggregates import Aggregates
from mlops_assets.features.entity import KeyDtype

PARTITION_END = "partition_end"
STAMPS = ("event_time", "known_at")  # columns every row of a view carries beside its keys and features


def _not_negative(duration: timedelta) -> timedelta:
    if duration < timedelta(0):
        raise ValueError("a duration cannot be negative")
    return duration


Duration = Annotated[timedelta, AfterValidator(_not_negative)]


Number = Annotated[float, Field(strict=True, allow_inf_nan=False)]


class ViewDefinition(BaseModel, frozen=True, extra="forbid"):
    """A feature view as YAML declares it."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$", description="The view's name, and its asset's.")
    description: str = Field(default="", description="One sentence for people who look for features.")
    owner: str | None = Field(default=None, description="Who answers for it: an e-mail address or `team:name`.")
    entity: str | None = Field(default=None, description="Whose keys it is found by, instead of `keys`.")
    keys: dict[str, KeyDtype] = Field(
        default={}, description="The columns that find a row, with their dtypes; or name the `entity` that has them."
    )
    features: dict[str, Literal["float64", "string"]] = Field(
        default={},
        description="The features, with their dtypes; any may be null, so whole numbers are float64. "
        "Of aggregates they are derived.",
    )
    describe: dict[str, str] = Field(default={}, description="One sentence per feature, for the catalogue.")
    tables: dict[str, str] = Field(
        default={}, description="The table each alias stands for. Of aggregates it is derived."
    )
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
    defaults: dict[str, Number | StrictStr] = Field(
        default={}, description="What a feature is taken to be where no row answers; null if it is not named."
    )
    sql: str | None = Field(
        default=None, description="One SELECT in DuckDB's SQL; $partition_start and $partition_end are its partition."
    )
    aggregates: Aggregates | None = Field(default=None, description="Measures over windows, which need no code.")
    python: frames.PythonCode | None = Field(default=None, description="A function of Polars or pandas frames.")

    @model_validator(mode="before")
    @classmethod
    def _compiles_aggregates(cls, given: Any) -> Any:
        """Fill in what aggregates decide: the SQL, the features and their meaning, the table, how far to look back."""
        if not isinstance(given, dict) or given.get("aggregates") is None:
            return given
        try:
            aggregates = Aggregates.model_validate(given["aggregates"])
        except ValidationError:
            return given  # told where it stands, by the field itself
        keys = given.get("keys") or {}
        derived = {
            "sql": aggregates.sql(keys) if keys else None,
            "features": aggregates.features,
            "tables": {aggregates.table: aggregates.table},
        }
        for name, value in derived.items():
            if given.get(name) and given[name] != value:
                raise ValueError(f"{name} is derived from the aggregates. Leave it out")
        if (back := given.get("lookback_days", aggregates.lookback_days)) < aggregates.lookback_days:
            raise ValueError(f"lookback_days is {back}, and the longest window needs {aggregates.lookback_days}")
        return (
            given | derived | {"lookback_days": back, "describe": aggregates.describe | (given.get("describe") or {})}
        )

    @model_validator(mode="after")
    def _agrees_with_itself(self) -> Self:
        if not self.keys:
            raise ValueError("keys is missing: say what finds a row, or name the entity whose keys do")
        if not self.features:
            raise ValueError("features is missing: name each with its dtype")
        if not self.tables:
            raise ValueError("tables is missing: name the table each alias stands for")
        if (self.sql is None) == (self.python is None):
            raise ValueError("say by exactly one of sql, aggregates and python how the view is computed")
        if both := sorted({*self.keys} & {*self.features}):
            raise ValueError(f"{examples(both)} cannot be key and feature at once")
        if reserved := sorted({*self.keys, *self.features} & {*STAMPS, "decision_time"}):
            raise ValueError(f"{examples(reserved)} is a name the join needs; choose another")
        for name in self.describe:
            if name not in self.features:
                raise UnknownNameError("feature", name, known=self.features)
        for name, default in self.defaults.items():
            if name not in self.features:
                raise UnknownNameError("feature", name, known=self.features)
            if isinstance(default, str) != (self.features[name] == "string"):
                raise ValueError(f"{name} is declared {self.features[name]}, and its default is {default!r}")
        if self.python is not None:
            frames.check(self.python, tables=self.tables)
        else:
            self._check_sql()
        return self

    def _check_sql(self) -> None:
        given = view_sql.columns_of(view_sql.parse(self.sql or "", tables=self.tables))
        if given is not None:
            for name in self.columns:
                if name not in given:
                    raise UnknownNameError("column", name, known=given)
            if extra := sorted({*given} - {*self.columns}):
                raise ValueError(f"the SQL also gives {examples(extra)}; declare it, or leave it out of the SELECT")

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that must be given back: keys, features, and the event time where it is a column."""
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
            defaults=dict(self.defaults),
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
    if view.python is not None:  # what a function makes of a column nobody can tell, so each shown counts
        code = view.python
        shown = {(view.tables[alias], name) for alias, read in code.reads.items() for name in read}
        shown |= {(view.tables[alias], name) for alias, name in code.times.items()}
        return dict.fromkeys(origin, tuple(sorted(shown)))
    sql = view.sql or ""
    return {
        stored: view_sql.sources_of(sql, output, tables=view.tables, columns=columns or {})
        for stored, output in origin.items()
    }
