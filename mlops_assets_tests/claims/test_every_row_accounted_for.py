"""Every row that came is let through or held, in its order and once, whatever is waived, corrected or run again."""

import tempfile
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mlops_assets.errors import ContractError
from mlops_assets.orchestration.steps.intake.ingesting import ingest, judge
from mlops_assets.orchestration.steps.intake.redriving import correct, waive
from mlops_assets.orchestration.table_declaration import TableDeclaration
from mlops_assets.stores.home import Home

DAY = "2024-01-01"
AT = datetime(2024, 1, 2, 1, tzinfo=UTC)
DECLARED = TableDeclaration.model_validate(
    {
        "table": "visits",
        "source": {"kind": "files", "paths": ["{landing}/{partition}.parquet"]},
        "partitions": {"start": DAY},
        "contract": {
            "max_quarantined_share": 0.6,
            "columns": {
                "id": {"type": "int64", "unique": True},
                "age": {"type": "int64", "min": 0, "max": 120},
                "ward": {"type": "string", "nullable": False, "isin": ["A", "B"]},
            },
        },
    }
)
WAIVABLE = ("age.min", "age.max", "age.nullable", "ward.isin", "ward.nullable")

rows = st.fixed_dictionaries(
    {
        "id": st.integers(0, 12),  # so that some come twice, as copies or with another content
        "age": st.sampled_from([30, 40, 50, -1, 999, None]),
        "ward": st.sampled_from(["A", "B", "B", "Z", None]),
    }
)
batches = st.lists(rows, min_size=1, max_size=12)
acts = st.lists(
    st.one_of(
        st.tuples(st.just("waive"), st.sets(st.sampled_from(WAIVABLE), min_size=1)),
        st.tuples(st.just("arrive"), batches),
        st.tuples(st.just("correct"), batches),
        st.tuples(st.just("run again"), st.none()),
    ),
    max_size=5,
)


@dataclass
class Clinic:
    """A home with one table, and what the day's batch is by now."""

    home: Home
    sent: list[dict[str, Any]] = field(default_factory=list)
    correction: tuple[list[dict[str, Any]], list[dict[str, Any]]] | None = None  # what was sent, and the rows instead
    through: list[dict[str, Any]] = field(default_factory=list)
    waived: set[str] = field(default_factory=set)

    @property
    def batch(self) -> list[dict[str, Any]]:
        return self.correction[1] if self.correction and self.correction[0] == self.sent else self.sent

    def act(self, what: str, given: Any) -> None:
        if what == "arrive":
            self.sent = given
            path = self.home.landing / f"{DAY}.parquet"
            path.parent.mkdir(parents=True, exist_ok=True)
            pq.write_table(table(given), path)
        elif what == "waive":
            self.waived |= given
            waive(DECLARED, None, self.home, DAY, rules=given, reason="seen", by="ada", at=AT)
        elif what == "correct":
            try:
                correct(DECLARED, self.home, DAY, table(given), folder=Path(), reason="mended", by="ada", at=AT)
            except ContractError:
                return  # too many bad rows; all stays as it is
            self.correction, self.waived = (self.sent, given), set()

    def drive(self) -> bool:
        """Bring the day in; give whether it was let through."""
        ingest(DECLARED, self.home, [DAY], folder=Path(), at=AT)
        return not judge(DECLARED, self.home, [DAY], None, at=AT).blocked

    def stored(self, stage: str) -> list[dict[str, Any]]:
        name = f"{stage}/visits"
        if not self.home.tables.exists(name) or DAY not in self.home.tables.partitions(name):
            return []
        return self.home.tables.read(name, partitions=[DAY]).to_pylist()


def table(given: list[dict[str, Any]]) -> pa.Table:
    return pa.Table.from_pylist(given, schema=DECLARED.contract.schema)


def counted(found: list[dict[str, Any]]) -> Counter[tuple[Any, ...]]:
    return Counter((row["id"], row["age"], row["ward"]) for row in found)


def is_in_order(part: list[dict[str, Any]], whole: list[dict[str, Any]]) -> bool:
    """Whether `part` is what is left of `whole` with some rows taken out."""
    left = iter(whole)
    return all(any(row == other for other in left) for row in part)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(first=batches, then=acts)
def test_raw_is_validated_and_quarantined_whatever_happens(first, then):
    """After every act and run: no row lost, none doubled, none out of its place, none held by a waived rule."""
    with tempfile.TemporaryDirectory() as folder:
        clinic = Clinic(Home(folder, settings={}))
        for what, given_ in [("arrive", first), *then]:
            clinic.act(what, given_)

            passed = clinic.drive()

            validated, held = clinic.stored("validated"), clinic.stored("quarantine")
            assert clinic.stored("raw") == clinic.batch
            assert not {rule for row in held for rule in row["_rule"].split("; ")} & clinic.waived
            if passed:
                assert counted(validated) + counted(held) == counted(clinic.batch)
                assert is_in_order(validated, clinic.batch)
                clinic.through = validated
            else:
                assert validated == clinic.through  # nothing of a blocked batch goes on
                assert counted(held) <= counted(clinic.batch)
        clinic.act("waive", set(WAIVABLE))

        passed = clinic.drive()

        assert {row["_rule"] for row in clinic.stored("quarantine")} <= {"id.unique"}
        assert passed or len(clinic.stored("quarantine")) > 0.6 * len(clinic.batch)
