"""A made-up file of sales, with a column of every kind, and what it takes to make a model of it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv

ROWS, DAYS, SEED = 2400, 100, 7
ROLES = {"key": "sale", "time": "sold_at", "label": "returned"}


def sales(*, rows: int = ROWS, days: float = DAYS, changed: Mapping[str, Any] | None = None) -> pa.Table:
    """Give sales whose chance to be returned depends on price, country and hour; `changed` replaces or adds columns."""
    chance = np.random.default_rng(SEED)
    second = np.sort(chance.integers(0, int(days * 86400), rows)).astype("timedelta64[s]")
    sold_at = np.datetime64("2024-01-01", "s") + second
    price = chance.lognormal(3.5, 0.8, rows).round(2)
    country = chance.choice(["DE", "FR", "IT"], rows)
    night = (sold_at.astype("datetime64[h]").astype(int) % 24) < 6
    odds = -2.5 + 0.04 * price + 1.0 * (country == "IT") + 1.0 * night
    columns = {
        "sale": [f"S{number:05d}" for number in range(rows)],
        "sold_at": pa.array(sold_at.astype("datetime64[us]"), pa.timestamp("us", "UTC")),
        "price": price,
        "pieces": chance.integers(1, 5, rows),
        "age": pa.array(np.where(chance.random(rows) < 0.1, np.nan, chance.integers(18, 90, rows)), from_pandas=True),
        "country": country,
        "gift": chance.random(rows) < 0.2,
        "returned": (chance.random(rows) < 1 / (1 + np.exp(-odds))).astype(int),
    }
    return pa.table({**columns, **(changed or {})})


def sales_csv(path: Path, **how: Any) -> Path:
    """Write sales as CSV."""
    pyarrow.csv.write_csv(sales(**how), path)
    return path
