"""Stored tables, the contracts their rows are judged by, and what was found in a batch."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column of a stored table; `dtype` is the Arrow name (`float64`, `string`, `timestamp[us, tz=UTC]` …)."""

    name: str
    dtype: str
    description: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TableVersion:
    """One version of a stored table, or of the partitions of it that one write replaced.

    `sha256` digests the content written (Arrow IPC in the declared schema), never the file bytes.
    `partitions` maps each partition written to its own digest; empty for an unpartitioned table.
    """

    table: str
    version: int
    sha256: str
    rows: int
    columns: tuple[Column, ...] = ()
    partitions: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ContractVersion:
    """A contract that a table's rows were judged by: `contract` as declared, without what is left to its default."""

    table: str
    version: int
    sha256: str
    contract: dict[str, Any]
    since: datetime


Severity = Literal["error", "warn"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpectationResult:
    """What one expectation of a suite found in a batch.

    `observed` of a rule on each value is the share of values that obey it. One of severity `warn` blocks nothing.
    """

    name: str
    column: str | None
    success: bool
    observed: float | str | None
    expected: str
    severity: Severity = "error"
    why: str = ""

    @property
    def rule(self) -> str:
        """Give the name under which it may be waived."""
        return f"{self.column or 'table'}.{self.name}"

    @property
    def blocks(self) -> bool:
        """Whether it keeps the batch from going on, unless it is waived."""
        return not self.success and self.severity == "error"


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchQuality:
    """What was found in a batch when it was judged: of `rows` that came, `quarantined` break some of `rules`.

    Args:
        partition: The batch's day; None of a table that is read whole.
        at: When it was judged.
        rules: Each rule that held rows back, with how many.
        waived: Each waived rule that rows break, with how many.
        waivers: The rules that were waived by then, broken or not.
        correction: The entry of the audit log by which people had corrected it by then; None if they had not.
        blocked: Why nothing of the batch goes on; None if it does.
        expectations: What the quality suite found, in its order; empty without a suite, or where it was not asked.
        asked: Each rule that all rows were held to, with what it asks for; empty where the batch never came so far.
        contract: The version of the contract that has these rules.
    """

    table: str
    partition: str | None
    at: datetime
    rows: int
    quarantined: int
    rules: dict[str, int] = field(default_factory=dict)
    waived: dict[str, int] = field(default_factory=dict)
    waivers: tuple[str, ...] = ()
    correction: int | None = None
    blocked: str | None = None
    expectations: tuple[ExpectationResult, ...] = ()
    asked: dict[str, str] = field(default_factory=dict)
    contract: int | None = None
