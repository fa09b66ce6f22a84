"""What a typing mistake in `defs.yaml` leads to: nothing is loaded, and the message says where and what was meant."""

import itertools
from collections.abc import Callable
from pathlib import Path

import dagster as dg
import pytest
from dagster.components.core.component_tree import ComponentTreeException

from mlops_assets.errors import DeclarationError
from mlops_assets.orchestration.resources import HomeResource
from mlops_assets_tests._own import BINS
from mlops_assets_tests._shop import FEATURES_PY, MODEL_PY, MODEL_YAML, TABLES_YAML, pyproject, write_project

TABLE_YAML, _, VIEW_YAML = TABLES_YAML.split("---\n")
COUNTER = itertools.count()
LABEL_PY = "def label(returned):\n    return returned\n"  # without parameters, which belong to a trainer

Load = Callable[..., dg.Definitions]


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Load:
    """Load one `defs.yaml` in a project of its own."""
    package = f"declared_{next(COUNTER)}"
    monkeypatch.syspath_prepend(str(tmp_path))

    def from_yaml(yaml: str, **files: str) -> dg.Definitions:
        files = {
            "pyproject.toml": pyproject(package),
            f"{package}/__init__.py": "",
            f"{package}/defs/thing/defs.yaml": yaml,
            f"{package}/defs/thing/features.py": FEATURES_PY,
            f"{package}/defs/thing/model.py": MODEL_PY,
            **{f"{package}/defs/thing/{name}.py": text for name, text in files.items()},
        }
        return dg.ComponentTree.for_project(write_project(tmp_path, files)).build_defs()

    return from_yaml


def why(load: Load, yaml: str, **files: str) -> str:
    """Give what a user is told about a declaration that is refused."""
    with pytest.raises(ComponentTreeException) as refused:
        load(yaml, **files)
    cause = refused.value.__cause__
    assert isinstance(cause, DeclarationError)
    return str(cause)


FILES = 'source: {kind: files, paths: ["{landing}/orders/{partition}.parquet"], time_column: reported_at}'
HTTP = 'source: {kind: http, url: "https://shop.example", '
EVENTS = "source: {kind: events, "
MISTAKES = {
    # a key
    "table: key": (TABLE_YAML, "arrival_column:", "arival_column:", "8: arival_column", "mean 'arrival_column'?"),
    "view: key": (VIEW_YAML, "lookback_days:", "look_back_days:", "8: look_back_days", "mean 'lookback_days'?"),
    "model: key": (MODEL_YAML, "task:", "taks:", "5: taks", "mean 'task'?"),
    "nested": (MODEL_YAML, "holdout_days:", "hold_out_days:", "8: training.window.hold_out_days", "'holdout_days'?"),
    "in a mapping": (
        TABLE_YAML,
        "{type: bool}",
        "{type: bool, nulable: true}",
        "18: contract.columns.returned.nulable",
        "mean 'nullable'?",
    ),
    "in a union": (
        TABLE_YAML,
        "time_column:",
        "time_colum:",
        "6: source.time_colum",
        "mean 'time_column'? Known here: columns, delimiter, format, kind, paths, time_column, types.",
    ),
    "source: kind": (TABLE_YAML, "kind: files", "kind: event", "6: source.kind", "mean 'events'?"),
    "sql: key": (
        TABLE_YAML,
        FILES,
        'source: {kind: sql, url: "sqlite://", query: SELECT 1, watermrk: at}',
        "6: source.watermrk",
        "mean 'watermark'?",
    ),
    "http: key": (TABLE_YAML, FILES, HTTP + "parms: {}}", "6: source.parms", "mean 'params'?"),
    "pages: kind": (TABLE_YAML, FILES, HTTP + "pages: {kind: curser}}", "6: source.pages.kind", "mean 'cursor'?"),
    "pages: key": (
        TABLE_YAML,
        FILES,
        HTTP + "pages: {kind: cursor, next: a, paramter: b}}",
        "6: source.pages.paramter",
        "mean 'parameter'?",
    ),
    "auth: missing": (TABLE_YAML, FILES, HTTP + "auth: {header: X}}", "6: source.auth.variable", "is missing"),
    "events: missing": (TABLE_YAML, FILES, EVENTS + "types: {order_id: string}}", "6: source.id", "is missing"),
    "events: value": (
        TABLE_YAML,
        FILES,
        EVENTS + "id: a, types: {a: strng}}",
        "6: source.types.a",
        "mean 'string'?",
    ),
    # a missing one
    "table: missing": (TABLE_YAML, "  table: orders\n", "", "2: table", "is missing"),
    "view: missing": (VIEW_YAML, "  ttl: P3D\n", "", "2: ttl", "is missing"),
    "model: missing": (MODEL_YAML, "key: order_id, ", "", "6: decisions.key", "is missing"),
    "missing in a union": (TABLE_YAML, "kind: files, ", "", "6: source.kind", "is missing"),
    # a value
    "table: value": (TABLE_YAML, "{type: bool}", "{type: boo}", "18: contract.columns.returned.type", "mean 'bool'?"),
    "view: value": (VIEW_YAML, "rate_7d: float64", "rate_7d: float", "6: features.return_rate_7d", "mean 'float64'?"),
    "model: value": (MODEL_YAML, "every: week", "every: wek", "11: monitor.windows.every", "mean 'week'?"),
    "of a union": (
        TABLE_YAML,
        "kind: files",
        "kind: file",
        "6: source.kind",
        "should be one of events, files, http, sql. Did you mean 'files'? (given: 'file')",
    ),
    "metric": (MODEL_YAML, "gate: {", "gate: {primary_metric: acu, ", "9: gate", "mean 'auc'?"),
    "trainer": (MODEL_YAML, "training: {", "training: {trainer: lightgmb, ", "8: training.trainer", "mean 'lightgbm'?"),
    "parameter": (MODEL_YAML, "training: {", "training: {params: {eta: 1}, ", "8: training", "Write learning_rate"),
    "objective": (
        MODEL_YAML,
        "training: {",
        "training: {params: {objective: huber}, ",
        "8: training",
        "for a binary model, objective 'huber' is not known",
    ),
    "trainer of its own": (
        MODEL_YAML,
        "training: {",
        "training: {trainer: own, ",
        "8: training.trainer",
        "trainer.py is missing; it says how the model is fitted and scored",
    ),
    "rounds sought": (
        MODEL_YAML,
        "training: {",
        "training: {trainer: sklearn, params: {estimator: LogisticRegression}, validation_days: 7, ",
        "8: training",
        "estimator 'LogisticRegression' makes is not made in rounds",
    ),
    "column of the SQL": (VIEW_YAML, "AS return_rate_7d", "AS return_rate", "2", "mean 'return_rate'?"),
    # a type
    "number": (TABLE_YAML, "share: 0.10", "share: few", "11: contract.max_quarantined_share", "(given: 'few')"),
    "date": (TABLE_YAML, "start: 2024-01-01", "start: 2024-13-01", "7: partitions.start", "month value"),
    "duration": (VIEW_YAML, "ttl: P3D", "ttl: three days", "10: ttl", "(given: 'three days')"),
    "list": (MODEL_YAML, "[branch_returns]", "branch_returns", "7: views", "(given: 'branch_returns')"),
    "mapping": (
        MODEL_YAML,
        "window: {holdout_days: 7, gap_days: 1, minimum_rows: 200}",
        "window: 7",
        "8: training.window",
        "(given: 7)",
    ),
}


@pytest.mark.parametrize(("yaml", "right", "wrong", "where", "hint"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_refused_with_its_place_and_a_hint(load, yaml, right, wrong, where, hint):
    """File, line and key of the mistake, and what was probably meant."""
    assert right in yaml

    told = why(load, yaml.replace(right, wrong, 1))

    assert f"defs.yaml:{where}: " in told
    assert hint in told


def test_all_mistakes_are_told_at_once(load):
    """Whoever mends one is not sent back for the next."""
    told = why(load, MODEL_YAML.replace("task:", "taks:").replace("every: week", "every: wek"))

    assert len([line for line in told.splitlines() if "defs.yaml:" in line]) == 3  # taks, task missing, every


def test_the_line_is_right_in_a_file_of_several_documents(load):
    """Tables and views usually share a file; the line is counted from its top."""
    yaml = TABLES_YAML.replace("ttl: P3D", "tll: P3D")

    told = why(load, yaml)

    line = 1 + next(number for number, text in enumerate(yaml.splitlines()) if "tll" in text)
    assert f"defs.yaml:{line}: tll: no such key. Did you mean 'ttl'?" in told


def test_a_rule_over_several_keys_is_told_where_they_stand(load):
    """What each key allows can still make no sense together."""
    told = why(load, MODEL_YAML.replace("cooldown_days: 7", "cooldown_days: 90"))

    assert "defs.yaml:13: retraining: max_cooldown_days (56) is less than cooldown_days (90)" in told


def test_nothing_is_listed_twice_or_of_another_kind(load):
    """What is known at a place is what may stand at that place, and the name of the key is never empty."""
    of_files = why(load, TABLE_YAML.replace("time_column:", "time_colum:"))
    whole = why(load, VIEW_YAML.replace("AS return_rate_7d", "AS return_rate"))

    assert of_files.count("kind") == 1
    assert "query" not in of_files
    assert ": :" not in whole


OWN_YAML = MODEL_YAML.replace("training: {", "training: {trainer: own, params: {rounds: 5}, ", 1)


@pytest.mark.parametrize(
    ("before", "after", "hint"),
    [
        ("def scorer(", "def score(", "ends without a function `scorer`"),
        ("import json", "import mlflow", "trainer.py:3 imports 'mlflow', which is for training alone"),
        ('"rounds": 60', '"epochs": 60', "parameter of trainer.py 'rounds' is not known"),
        ("import json", "import mlops_assets_tests", "belongs to no installed package"),
    ],
)
def test_a_trainer_of_its_own_that_is_none_is_refused_with_both_places(load, before, after, hint):
    """Where it is asked for, and which line of it is wrong."""
    told = why(load, OWN_YAML, trainer=BINS.replace(before, after))

    assert "defs.yaml:8: training.trainer: " in told
    assert hint in told


def test_dagster_shows_what_a_trainer_of_its_own_fits_with(load):
    """And a change of the file is a change of the code."""
    specs = [
        dg.Definitions.merge(
            load(OWN_YAML, trainer=text, model=LABEL_PY), dg.Definitions(resources={"home": HomeResource()})
        )
        for text in (BINS, f"{BINS}\n# import torch\n", f"{BINS}\ndef _unused():\n    import lightgbm\n")
    ]
    models = [
        next(spec for spec in loaded.resolve_all_asset_specs() if spec.key == dg.AssetKey(["thing", "model"]))
        for loaded in specs
    ]

    assert [model.kinds for model in models] == [{"python", "mlflow"}, {"python", "mlflow"}, {"lightgbm", "mlflow"}]
    assert len({model.code_version for model in models}) == 3


def test_what_is_declared_right_is_loaded_and_templates_are_filled_in(load, monkeypatch):
    """A value may come from the environment."""
    monkeypatch.setenv("SHOP_OWNER", "team:returns")

    loaded = load(MODEL_YAML.replace("owner: team:shop", 'owner: "{{ env.SHOP_OWNER }}"'))

    stores = dg.Definitions(resources={"home": HomeResource()})
    specs = {spec.key.to_user_string(): spec for spec in dg.Definitions.merge(loaded, stores).resolve_all_asset_specs()}
    assert specs["thing/model"].owners == ["team:returns"]
    assert {"thing/endpoint", "thing/performance"} <= specs.keys()
