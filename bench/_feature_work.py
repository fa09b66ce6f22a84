"""What `bench.features` measures of ours and of the floors, one piece of work a process.

    python -m bench._feature_work join|raw_join|materialize|raw_materialize|read|imports FOLDER

FOLDER holds `rows.parquet` and, for a join, `labels.parquet`. The last line printed is JSON: CPU seconds of the work,
without the imports, or milliseconds of a read of 1 and of 100 keys: the median, and CPU.
"""

import json
import resource
import sqlite3
import statistics
import sys
import time
from collections.abc import Callable
from contextlib import closing
from importlib import import_module
from pathlib import Path
from typing import Any

STAMPS = ("event_time", "known_at")
SOURCE = """
REQUEST = {"key": int}

def total(f0, f1):
    return f0 + f1

def ratio(f0, f1):
    return f0 / f1

def spread(f2, f3):
    return f2 - f3

def scaled(f2):
    return f2 * 2.0

def above(f3):
    return f3 > 0.0

FEATURES = ("f0", "f1", "f2", "f3", "f4", "f5", "f6", "f7", total, ratio, spread, scaled, above)
"""
HEAVY = ("mlflow", "great_expectations", "dagster")
IMPORTED = ("duckdb", "pandas", "pyarrow.dataset", "mlops_assets.features.join", "mlops_assets.stores.tables")


def cpu() -> float:
    """Give the CPU seconds this process has used."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def view_of(folder: Path) -> Any:
    """Give the view that the rows of a folder are of: one key, and everything but the stamps a feature."""
    import pyarrow.parquet as pq

    from mlops_assets.records import FeatureView, Field

    schema = pq.read_schema(folder / "rows.parquet")
    features = [name for name in schema.names if name not in (*STAMPS, "key")]
    return FeatureView(
        name="view",
        keys=(Field(name="key", dtype="string" if str(schema.field("key").type) == "string" else "int64"),),
        features=tuple(Field(name=name, dtype="float64", nullable=True) for name in features),
        ttl_s=1e9,
    )


def join(folder: Path) -> dict[str, float]:
    """Read labels and the view's table, and join them."""
    import numpy as np
    import pyarrow.parquet as pq

    from mlops_assets.features.join import point_in_time
    from mlops_assets.stores.tables import TableStore

    view, tables = view_of(folder), TableStore(folder / "tables")
    began = cpu()
    found = point_in_time(pq.read_table(folder / "labels.parquet"), [(view, tables.read("rows"))])
    used = cpu() - began
    return {"cpu_s": used, "rows": found.num_rows, "sum": float(np.nansum(found[view.features[0].name].to_numpy()))}


def raw_join(folder: Path) -> dict[str, float]:
    """Let DuckDB join the files, as one would type it: by event time, in any order, ttl and late data left out."""
    import duckdb
    import numpy as np

    view = view_of(folder)
    names = ", ".join(f'rows."{feature.name}"' for feature in view.features)
    began = cpu()
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'").fetchall()
        found = connection.sql(f"""
            SELECT labels.*, {names} FROM '{folder}/labels.parquet' labels
            ASOF LEFT JOIN '{folder}/rows.parquet' rows
            ON labels.key = rows.key AND labels.decision_time >= rows.event_time
        """).to_arrow_table()
    used = cpu() - began
    return {"cpu_s": used, "rows": found.num_rows, "sum": float(np.nansum(found[view.features[0].name].to_numpy()))}


def materialize(folder: Path) -> dict[str, float]:
    """Read the rows and write them online."""
    import pyarrow.parquet as pq

    from mlops_assets.stores.online import SqliteOnlineStore

    view = view_of(folder)
    for file in folder.glob("online.sqlite*"):
        file.unlink()
    began = cpu()
    SqliteOnlineStore(folder / "online.sqlite").write(view, pq.read_table(folder / "rows.parquet"))
    return {"cpu_s": cpu() - began}


def raw_materialize(folder: Path) -> dict[str, float]:
    """Read the rows and upsert them into SQLite as 64 bytes each, in the order of their keys, in one transaction."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    view = view_of(folder)
    for file in folder.glob("raw.sqlite*"):
        file.unlink()
    began = cpu()
    rows = pq.read_table(folder / "rows.parquet").sort_by("key")
    packed = np.stack([rows[feature.name].to_numpy() for feature in view.features], axis=1).tobytes()
    size = 8 * len(view.features)
    blobs = (packed[start : start + size] for start in range(0, len(packed), size))
    times = rows["event_time"].cast(pa.int64()).to_numpy().tolist()
    with closing(sqlite3.connect(folder / "raw.sqlite", isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("CREATE TABLE rows (key INTEGER PRIMARY KEY, event_time INTEGER, row BLOB)")
        connection.executemany(
            "INSERT INTO rows VALUES (?, ?, ?) ON CONFLICT (key) DO UPDATE SET event_time = excluded.event_time,"
            " row = excluded.row WHERE excluded.event_time >= event_time",
            zip(rows["key"].to_numpy().tolist(), times, blobs, strict=True),
        )
        connection.execute("COMMIT")
    return {"cpu_s": cpu() - began}


def read(folder: Path) -> dict[str, float]:
    """Look up keys written by `materialize`, and compute the whole vector, as the endpoint does."""
    import numpy as np
    import pyarrow.parquet as pq

    from mlops_assets.features import FeatureModule, FeaturePlan, Vectorizer
    from mlops_assets.records import FeatureVectorSpec, VectorFeature
    from mlops_assets.stores.online import SqliteOnlineStore

    view = view_of(folder)
    store = SqliteOnlineStore(folder / "online.sqlite")
    module = FeatureModule.load(SOURCE, name="bench")
    plan = FeaturePlan(module, [view])
    features = tuple(
        VectorFeature(name=name, origin=plan.origin(name, asked_by="the benchmark")) for name in module.features
    )
    vectorizer = Vectorizer(
        FeatureVectorSpec(request=module.request, views=(view,), features=features, code_sha256=module.code_sha256),
        module,
    )
    chance, keys = np.random.default_rng(7), pq.read_metadata(folder / "rows.parquet").num_rows
    found = {}
    for asked, times in ((1, 5000), (100, 500)):
        moments = np.full(asked, np.datetime64("2014-06-01", "us"))
        took, used = [], cpu()
        for _ in range(times):
            request = {"key": chance.integers(0, keys, asked)}
            began = time.perf_counter()
            inputs = vectorizer.keys(request)
            for name, column in store.read(view, inputs, moments).items():
                inputs[name] = column.values
            vectors = vectorizer.vector(inputs)
            took.append(time.perf_counter() - began)
        assert vectors.shape == (asked, 13)
        assert not np.isnan(vectors[:, 0]).any()
        found[f"p50_ms_{asked}"] = statistics.median(took) * 1e3
        found[f"cpu_ms_{asked}"] = (cpu() - used) / times * 1e3
    return found


def imports(folder: Path) -> dict[str, float]:
    """Import the features room, and tell what else came along."""
    before = set(sys.modules)
    began = cpu()
    import mlops_assets.features
    import mlops_assets.features.join
    import mlops_assets.features.view  # noqa: F401

    used = cpu() - began
    brought = {name.partition(".")[0] for name in set(sys.modules) - before}
    return {"cpu_s": used, "heavy": sum(name in brought for name in HEAVY)}


WORKS: dict[str, Callable[[Path], dict[str, float]]] = {
    work.__name__: work for work in (join, raw_join, materialize, raw_materialize, read, imports)
}

if __name__ == "__main__":
    work = sys.argv[1]
    for name in IMPORTED if work != "imports" else ():
        import_module(name)
    print(json.dumps(WORKS[work](Path(sys.argv[2]))))
