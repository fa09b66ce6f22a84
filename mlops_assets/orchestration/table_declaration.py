"""What `defs.yaml` may say of a raw table."""

from pydantic import BaseModel, Field

from mlops_assets.orchestration.partitions import DailyPartitions
from mlops_assets.sources import AnySource
from mlops_assets.validation import Contract


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
    retention_days: float | None = Field(
        default=None, ge=1, description="How long old versions and quarantined rows are kept; for ever if left out."
    )

    @property
    def places(self) -> str:
        """Say where rows come from."""
        return f"{self.source.kind}: {self.source.where}"
