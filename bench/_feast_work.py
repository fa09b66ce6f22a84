"""What Feast does for `bench.features`; it runs in Feast's own environment and knows nothing of ours.

    python bench/_feast_work.py join|materialize|read_python|read_pandas FOLDER

FOLDER holds `rows.parquet` and, for a join, `labels.parquet`. The last line printed is JSON: CPU seconds (join,
materialize) without the imports, or milliseconds of a read of 1 and of 100 keys: the median, and CPU.
"""

import json
import resource
import statistics
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
from feast import Entity, FeatureService, FeatureStore, FeatureView, Field, FileSource, RepoConfig
from feast.on_demand_feature_view import on_demand_feature_view
from feast.types import Float64, Int64, String
from feast.value_type import ValueType

STAMPS = ("event_time", "known_at")
ON_DEMAND = ("total", "ratio", "spread", "scaled", "above")


def cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def declared(folder: Path) -> tuple[FeatureView, Entity, list[str]]:
    schema = pq.read_schema(folder / "rows.parquet")
    features = [name for name in schema.names if name not in (*STAMPS, "key")]
    kind = (ValueType.STRING, String) if str(schema.field("key").type) == "string" else (ValueType.INT64, Int64)
    entity = Entity(name="key", join_keys=["key"], value_type=kind[0])
    view = FeatureView(
        name="view",
        entities=[entity],
        ttl=timedelta(0),  # for ever
        schema=[Field(name="key", dtype=kind[1]), *(Field(name=name, dtype=Float64) for name in features)],
        source=FileSource(path=str(folder / "rows.parquet"), timestamp_field="event_time"),
    )
    return view, entity, features


def store(folder: Path) -> FeatureStore:
    return FeatureStore(
        config=RepoConfig(
            project="bench",
            provider="local",
            registry=str(folder / "feast_registry.db"),
            online_store={"type": "sqlite", "path": str(folder / "feast_online.db")},
            offline_store={"type": "duckdb"},
            entity_key_serialization_version=3,
        )
    )


def join(folder: Path) -> dict[str, float]:
    view, entity, features = declared(folder)
    feast = store(folder)
    feast.apply([entity, view])
    began = cpu()
    labels = pd.read_parquet(folder / "labels.parquet").rename(columns={"decision_time": "event_timestamp"})
    job = feast.get_historical_features(entity_df=labels, features=[f"view:{name}" for name in features])
    found = job.to_arrow()
    used = cpu() - began
    return {"cpu_s": used, "rows": found.num_rows, "sum": float(np.nansum(found[features[0]].to_numpy()))}


def materialize(folder: Path) -> dict[str, float]:
    view, entity, _ = declared(folder)
    feast = store(folder)
    feast.apply([entity, view])
    began = cpu()
    feast.materialize(datetime(2012, 1, 1, tzinfo=UTC), datetime(2015, 1, 1, tzinfo=UTC), disable_event_timestamp=False)
    return {"cpu_s": cpu() - began}


def read(folder: Path, mode: str) -> dict[str, float]:
    view, entity, _ = declared(folder)
    feast = store(folder)
    schema = [Field(name=name, dtype=Float64) for name in ON_DEMAND]
    if mode == "python":

        @on_demand_feature_view(sources=[view], schema=schema, mode="python")
        def derived(inputs: dict) -> dict:
            rows = list(zip(*(inputs[f"f{n}"] for n in range(4)), strict=True))
            return {
                "total": [a + b for a, b, _, _ in rows],
                "ratio": [a / b for a, b, _, _ in rows],
                "spread": [c - d for _, _, c, d in rows],
                "scaled": [c * 2.0 for _, _, c, _ in rows],
                "above": [float(d > 0.0) for *_, d in rows],
            }

    else:

        @on_demand_feature_view(sources=[view], schema=schema, mode="pandas")
        def derived(inputs: pd.DataFrame) -> pd.DataFrame:
            return pd.DataFrame(
                {
                    "total": inputs.f0 + inputs.f1,
                    "ratio": inputs.f0 / inputs.f1,
                    "spread": inputs.f2 - inputs.f3,
                    "scaled": inputs.f2 * 2.0,
                    "above": (inputs.f3 > 0.0).astype(float),
                }
            )

    feast.apply([entity, view, derived, FeatureService(name="all", features=[view, derived])])
    service = feast.get_feature_service("all")
    chance, keys, found = np.random.default_rng(7), pq.read_metadata(folder / "rows.parquet").num_rows, {}
    for asked, times in ((1, 2000 if mode == "python" else 200), (100, 100)):
        took, used = [], cpu()
        for _ in range(times):
            entities = [{"key": key} for key in chance.integers(0, keys, asked).tolist()]
            began = time.perf_counter()
            answer = feast.get_online_features(features=service, entity_rows=entities).to_dict()
            took.append(time.perf_counter() - began)
        assert len(answer["total"]) == asked
        assert answer["f0"][0] is not None
        found[f"p50_ms_{asked}"] = statistics.median(took) * 1e3
        found[f"cpu_ms_{asked}"] = (cpu() - used) / times * 1e3
    return found


if __name__ == "__main__":
    work, place = sys.argv[1], Path(sys.argv[2])
    result = read(place, work.removeprefix("read_")) if work.startswith("read_") else globals()[work](place)
    print(json.dumps(result))
