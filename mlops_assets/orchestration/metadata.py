"""What the Dagster UI shows of a materialization: numbers that plot, tables, lineage, links."""

import math
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import dagster as dg
import numpy as np

from mlops_assets.errors import examples
from mlops_assets.records import Column, ExpectationResult, Metric, TableVersion


def clean(values: Mapping[str, Any]) -> dict[str, Any]:
    """Make `values` safe as Dagster metadata: NumPy scalars become Python's, NaN becomes text, times become ISO.

    Dagster refuses NumPy scalars when it stores the event, long after the asset has run, and writes NaN as bad JSON.
    """
    return {key: _plain(value) for key, value in values.items() if value is not None}


def _plain(value: Any) -> Any:
    if isinstance(value, dg.MetadataValue):
        return value
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, (tuple, set)):
        value = list(value)
    if isinstance(value, (list, dict)):
        return dg.MetadataValue.json(_json(value))
    return value


def _json(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _json(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple, set)):
        return [_json(inner) for inner in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value.isoformat() if isinstance(value, datetime) else value


def table_metadata(
    version: TableVersion, *, partitioned: bool, meaning: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """Describe a written table: row count, schema with what columns mean, Delta version and content digest."""
    rows = "dagster/partition_row_count" if partitioned else "dagster/row_count"
    return {
        rows: version.rows,
        "rows": version.rows,
        "dagster/column_schema": schema(version.columns, meaning or {}),
        "dagster/table_name": version.table,
        "delta_version": version.version,
        "sha256": version.sha256,
    }


def schema(columns: Sequence[Column], meaning: Mapping[str, str]) -> dg.TableSchema:
    """Give Dagster's form of a table's columns, each described by what it means."""
    return dg.TableSchema(
        columns=[
            dg.TableColumn(
                column.name, column.dtype, description=meaning.get(column.name) or column.description or None
            )
            for column in columns
        ]
    )


def traced(metadata: Mapping[str, Any], origins: Mapping[str, Sequence[tuple[str, str]]]) -> dict[str, Any]:
    """Add what each column is made of; `origins` are the (asset, column) pairs it comes from.

    Dagster's open-source pages do not show the lineage of columns, so their descriptions say it, too.
    """
    deps = {
        column: [dg.TableColumnDep(dg.AssetKey(asset.split("/")), name) for asset, name in pairs]
        for column, pairs in origins.items()
    }
    told = {
        name: f"From {examples(f'{asset}.{of}' for asset, of in pairs)}." for name, pairs in origins.items() if pairs
    }
    columns = [
        dg.TableColumn(
            column.name,
            column.type,
            description=" ".join(filter(None, (column.description, told.get(column.name)))) or None,
        )
        for column in metadata["dagster/column_schema"].columns
    ]
    return {
        **metadata,
        "dagster/column_schema": dg.TableSchema(columns=columns),
        "dagster/column_lineage": dg.TableColumnLineage(deps),
    }


def metric_metadata(metrics: Sequence[Metric], *, prefix: str = "") -> dict[str, Any]:
    """Give each metric's value under its own name, so that it plots over time."""
    return clean({f"{prefix}{metric.name}": float(metric.value) for metric in metrics})


def bullet_list(lines: Sequence[str]) -> dg.MarkdownMetadataValue:
    """Show sentences as a list."""
    return dg.MetadataValue.md("\n".join(f"- {line}" for line in lines))


def expectations_table(results: Sequence[ExpectationResult]) -> dg.MarkdownMetadataValue:
    """Lay out what a quality suite found in a batch, a line each."""
    lines = ["| | of | expectation | expected | found |", "|---|---|---|---|---|"]
    for each in results:
        mark = "met" if each.success else ("NOT MET" if each.blocks else "warns")
        cells = (
            mark,
            each.column or "the table",
            each.name,
            each.expected,
            "" if each.observed is None else each.observed,
        )
        lines.append("| " + " | ".join(str(cell).replace("|", "\\|") for cell in cells) + " |")
    return dg.MetadataValue.md("\n".join(lines))
