"""Whether what arrives at the endpoint is fit to be judged at all.

A feed that stops, a field that turns null or a code nobody knows is an incident of the data. It is told to whoever owns
the feed; retraining on it would teach the model the fault.
"""

from dataclasses import dataclass

from pydantic import BaseModel, Field

from mlops_assets.errors import MonitoringError
from mlops_assets.monitoring.profile import ColumnProfile, Profile


class PayloadPolicy(BaseModel, frozen=True, extra="forbid"):
    """How odd a window of requests may be before it is a fault."""

    minimum_volume: float = Field(default=0.5, ge=0, description="Least rows, as a share of those expected.")
    maximum_volume: float = Field(default=3.0, gt=0, description="Most rows, as a multiple of those expected.")
    null_rise: float = Field(
        default=0.2, gt=0, le=1, description="How much the share of nulls may exceed that of training."
    )
    unseen_share: float = Field(
        default=0.1, gt=0, le=1, description="Largest share of category levels not seen in training."
    )
    out_of_range_share: float | None = Field(
        default=None,
        gt=0,
        le=1,
        description="Largest share of numbers outside training's range; none, as seasons reach far.",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class PayloadColumn:
    """One column's quality; `unseen_share` is None for numbers, `out_of_range_share` for categories."""

    column: str
    null_share: float
    expected_null_share: float
    unseen_share: float | None
    out_of_range_share: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PayloadReport:
    """A window's quality; each fault is one sentence that says what is wrong, and none is well."""

    rows: int
    expected_rows: float
    columns: tuple[PayloadColumn, ...]
    volume_faults: tuple[str, ...]
    column_faults: tuple[str, ...]

    @property
    def volume(self) -> float:
        """Rows as a share of those expected."""
        return self.rows / self.expected_rows

    @property
    def faults(self) -> tuple[str, ...]:
        """Everything that is wrong."""
        return self.volume_faults + self.column_faults


def inspect(policy: PayloadPolicy, reference: Profile, current: Profile, *, expected_rows: float) -> PayloadReport:
    """Inspect a window of requests against the training profile and the volume that is usual.

    Raises:
        MonitoringError: `expected_rows` is not positive.
    """
    if expected_rows <= 0:
        raise MonitoringError(
            f"{expected_rows} rows are expected, so no volume can be called low. Take the median of past windows.",
            expected_rows=expected_rows,
        )
    columns = tuple(_column(column, current.columns[name]) for name, column in reference.columns.items())
    usual = policy.minimum_volume <= current.rows / expected_rows <= policy.maximum_volume
    volume = f"{current.rows} rows arrived where {expected_rows:.0f} were expected."
    return PayloadReport(
        rows=current.rows,
        expected_rows=expected_rows,
        columns=columns,
        volume_faults=() if usual else (volume,),
        column_faults=tuple(fault for column in columns for fault in _faults(policy, column)),
    )


def _column(reference: ColumnProfile, current: ColumnProfile) -> PayloadColumn:
    numeric = reference.cells.kind == "numeric"
    return PayloadColumn(
        column=reference.name,
        null_share=current.null_share,
        expected_null_share=reference.null_share,
        unseen_share=None if numeric else current.outside_share,
        out_of_range_share=current.outside_share if numeric else None,
    )


def _faults(policy: PayloadPolicy, column: PayloadColumn) -> list[str]:
    faults = []
    if column.null_share - column.expected_null_share > policy.null_rise:
        faults.append(
            f"{column.column} is null in {column.null_share:.1%} of rows, {column.expected_null_share:.1%} in training."
        )
    if (column.unseen_share or 0) > policy.unseen_share:
        faults.append(f"{column.column} holds levels unknown to the model in {column.unseen_share:.1%} of rows.")
    if policy.out_of_range_share is not None and (column.out_of_range_share or 0) > policy.out_of_range_share:
        faults.append(f"{column.column} lies outside the training range in {column.out_of_range_share:.1%} of rows.")
    return faults
