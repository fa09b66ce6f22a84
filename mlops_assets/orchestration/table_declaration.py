"""What `defs.yaml` may say of a raw table."""

from datetime import timedelta
from typing import Self

from pydantic import BaseModel, Field, model_validator

from mlops_assets.errors import DeclarationError
from mlops_assets.orchestration.partitions import DAY, DailyPartitions
from mlops_assets.sources import AnySource
from mlops_assets.validation import Contract, VolumePolicy


class TableDeclaration(BaseModel, frozen=True, extra="forbid"):
    """Where a table comes from, what it promises, and in which pieces it arrives."""

    table: str = Field(
        pattern=r"^[a-z][a-z0-9_]*$", description="The table's name; assets are raw/<table> and validated/<table>."
    )
    description: str = ""
    owner: str | None = Field(default=None, description="An e-mail address or team:<name>.")
    source: AnySource
    contract: Contract
    partitions: DailyPartitions | None = Field(default=None, description="Leave out for a table that is read whole.")
    suite: str | None = Field(default=None, description="File with a Great Expectations suite, beside defs.yaml.")
    arrives_within_hours: float | None = Field(
        default=None, gt=0, description="A day's newest row must not be older than this at the end of the day."
    )
    arrival_column: str | None = Field(default=None, description="The column that says when a row arrived.")
    refreshed_every: timedelta | None = Field(
        default=None, gt=timedelta(0), description="How often a table without partitions is read anew, such as P7D."
    )
    stale_after: timedelta | None = Field(
        default=None,
        gt=timedelta(0),
        description="How old the table may become before it counts as stale; by default two days where it has "
        "partitions, else twice `refreshed_every`.",
    )
    volume: VolumePolicy = VolumePolicy()
    retention_days: float | None = Field(
        default=None, ge=1, description="How long old versions and quarantined rows are kept; for ever if left out."
    )

    @model_validator(mode="after")
    def _one_cadence(self) -> Self:
        if self.partitions and self.refreshed_every:
            raise DeclarationError(
                f"Table {self.table} has a partition for every day, so it comes every day; `refreshed_every` would say "
                "otherwise. Leave it out, and say in `stale_after` how late the newest day may be."
            )
        return self

    @property
    def stale(self) -> timedelta | None:
        """From which age on the table is stale; None if nothing is declared of that."""
        cadence = DAY if self.partitions else self.refreshed_every
        return self.stale_after or (2 * cadence if cadence else None)

    @property
    def places(self) -> str:
        """Say where rows come from."""
        return f"{self.source.kind}: {self.source.where}"
