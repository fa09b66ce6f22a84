"""Proving parity: what the endpoint saw is computed again from the stored tables, as known at each decision."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from mlops_assets.features.columns import ARROW
from mlops_assets.features.join import DECISION_TIME, training_rows
from mlops_assets.features.parity import compare_served
from mlops_assets.orchestration.model_declaration import ModelFolder
from mlops_assets.orchestration.steps.fitting.bundles import LoadedBundle
from mlops_assets.orchestration.steps.live.watching import Sealed
from mlops_assets.records import ParityReport
from mlops_assets.stores.home import Home
from mlops_assets.stores.predictions import StoredRow


def check_parity(folder: ModelFolder, stores: Home, rows: pa.Table, *, at_most: int | None = None) -> ParityReport:
    """Compute sealed vectors again, each with the bundle that answered, and compare bit for bit.

    Args:
        folder: The model.
        stores: Where its bundles and feature tables are.
        rows: Sealed predictions, of any versions.
        at_most: How many of them to compute again, spread evenly; all by default.
    """
    if at_most is not None and rows.num_rows > at_most:
        rows = rows.take(pa.array(range(0, rows.num_rows, -(-rows.num_rows // at_most))))
    reports = [
        _of_bundle(folder, stores, sha256, rows.filter(pc.equal(rows["bundle_sha256"], sha256)))
        for sha256 in rows["bundle_sha256"].unique().to_pylist()
    ]
    return _together(reports)


def _of_bundle(folder: ModelFolder, stores: Home, sha256: str, rows: pa.Table) -> ParityReport:
    vectorizer = LoadedBundle.of(stores, folder.name, sha256).vectorizer
    schema = pa.schema([(field.name, ARROW[field.dtype]) for field in vectorizer.spec.request])
    requests = pa.Table.from_pylist([_as_sent(text, schema) for text in rows["request"].to_pylist()], schema=schema)
    tables = {view.name: stores.tables.read(f"features/{view.name}") for view in vectorizer.spec.views}
    return compare_served(
        vectorizer,
        training_rows(vectorizer.plan, requests.append_column(DECISION_TIME, rows["at"]), tables),
        served=Sealed(sha256, rows).vectors,
        ids=rows["request_id"].to_pylist(),
        found=[msgspec.json.decode(text, type=dict[str, StoredRow]) for text in rows["stored"].to_pylist()],
    )


def _as_sent(text: str, schema: pa.Schema) -> dict[str, object]:
    """Read a logged request back; times were written as text."""
    request: dict[str, object] = msgspec.json.decode(text)
    for field in schema:
        if pa.types.is_timestamp(field.type):
            request[field.name] = datetime.fromisoformat(str(request[field.name]))
    return request


def _together(reports: Sequence[ParityReport]) -> ParityReport:
    return ParityReport(
        n=sum(report.n for report in reports),
        equal=sum(report.equal for report in reports),
        differing=dict(sum((Counter(report.differing) for report in reports), Counter[str]())),
        first=next((report.first for report in reports if report.first), None),
    )
