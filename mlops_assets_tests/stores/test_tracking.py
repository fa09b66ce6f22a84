"""Tracking in a real MLflow on a SQLite file."""

import contextlib
import json
import sqlite3
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest

from mlops_assets.digests import sha256_bytes, sha256_parts
from mlops_assets.errors import StoreError
from mlops_assets.records import Column, TableVersion, Window
from mlops_assets.stores.tracking import Read, Tracking, end_killed_runs
from mlops_assets_tests._processes import PROCESSES

pytestmark = pytest.mark.slow

PARTS = {"model.txt": b"tree", "features.py": b"FEATURES = ()"}
DIGEST = sha256_parts({name: sha256_bytes(part) for name, part in PARTS.items()})
FLIGHTS = TableVersion(
    table="validated/flights", version=7, sha256="f" * 64, rows=842, columns=(Column(name="carrier", dtype="string"),)
)


@pytest.fixture(scope="module")
def tracking(tmp_path_factory) -> Tracking:
    """MLflow in an empty folder; making its tables takes seconds, so the tests of this file share it."""
    folder = tmp_path_factory.mktemp("mlflow")
    return Tracking(f"sqlite:///{folder}/deep/mlflow.sqlite", folder / "artifacts", ui_url="http://127.0.0.1:5000/")


def train(tracking: Tracking, model: str = "flight_delay", **changes) -> tuple[str, str | None]:
    """Log a training."""
    facts = {
        "params": {"num_leaves": 31, "deterministic": True},
        "metrics": {"auc": 0.71},
        "curves": {"valid auc": [0.6, 0.65, 0.7]},
        "tags": {"dagster.run_id": "r-1"},
        "datasets": [Read(version=FLIGHTS, context="joined")],
        "artifacts": PARTS,
    }
    return tracking.log_training(model, **facts | changes)


def test_a_training_is_found_in_mlflow_with_all_it_was_made_of(tracking):
    """Numbers, curves, inputs with their digests, the way back to Dagster, and the files, byte for byte."""
    run_id, _ = train(tracking)

    client = tracking._client()
    run = client.get_run(run_id)
    assert run.info.status == "FINISHED"
    assert run.data.params == {"num_leaves": "31", "deterministic": "True"}
    assert run.data.metrics["auc"] == 0.71
    assert [(m.step, m.value) for m in client.get_metric_history(run_id, "valid auc")] == [
        (0, 0.6),
        (1, 0.65),
        (2, 0.7),
    ]
    assert run.data.tags["dagster.run_id"] == "r-1"
    [read] = run.inputs.dataset_inputs
    assert (read.dataset.name, read.dataset.digest) == ("validated/flights", "f" * 36)
    assert {tag.key: tag.value for tag in read.tags} == {
        "mlflow.data.context": "joined",
        "mlops.sha256": "f" * 64,
        "mlops.version": "7",
    }
    for name, part in PARTS.items():
        with open(client.download_artifacts(run_id, f"bundle/{name}"), "rb") as file:
            assert file.read() == part


def test_the_address_leads_to_the_run(tracking):
    """A link in Dagster opens the run's page."""
    run_id, url = train(tracking)

    assert url is not None
    assert url.startswith("http://127.0.0.1:5000/#/experiments/")
    assert url.endswith(f"/runs/{run_id}?workflowType=machine_learning")  # not to the pages for chats


def test_without_pages_there_is_no_address(tracking):
    """No link is better than a dead one."""
    blind = Tracking(tracking.uri, tracking._artifact_root)

    assert train(blind)[1] is None


def test_the_registered_version_points_at_the_runs_files(tracking):
    """Whoever finds a version in the registry finds its files and its digest."""
    run_id, _ = train(tracking, "registered")

    [version] = tracking._client().search_model_versions("name = 'registered'")
    assert version.run_id == run_id
    assert version.source == f"{tracking._client().get_run(run_id).info.artifact_uri}/bundle"
    assert version.tags["mlops.bundle_sha256"] == DIGEST


def test_what_is_registered_is_the_form_that_mlflow_loads(tracking):
    """Where there is one; the bundle stands beside it, byte for byte."""
    run_id, _ = train(tracking, "loadable", mlflow_model={"MLmodel": b"flavors: {}", "data/model": b"tree"})

    client = tracking._client()
    [version] = client.search_model_versions("name = 'loadable'")
    files = {file.path for folder in ("model", "bundle") for file in client.list_artifacts(run_id, folder)}
    assert version.source.endswith("/artifacts/model")
    assert files == {"model/MLmodel", "model/data", "bundle/model.txt", "bundle/features.py"}


def test_the_parts_of_a_training_set_are_inputs_of_their_own(tracking):
    """MLflow tells them apart by name and context, with the rows and the time of each."""
    moments = [datetime(2013, month, 1, tzinfo=UTC) for month in (1, 3, 4)]
    windows = {
        "train": Window(start=moments[0], end=moments[1], rows=600, label_mean=0.2),
        "holdout": Window(start=moments[1], end=moments[2], rows=242, label_mean=0.3),
    }

    run_id, _ = train(
        tracking, "parts", datasets=[Read(version=FLIGHTS, context=name, part=part) for name, part in windows.items()]
    )

    found = {each.dataset.name: each for each in tracking._client().get_run(run_id).inputs.dataset_inputs}
    assert set(found) == {"validated/flights (train)", "validated/flights (holdout)"}
    for name, part in windows.items():
        read = found[f"validated/flights ({name})"]
        assert {tag.key: tag.value for tag in read.tags}["mlflow.data.context"] == name
        assert json.loads(read.dataset.profile)["rows"] == part.rows


def test_a_report_stands_on_the_runs_page_and_is_replaced(tracking):
    """Judged again, a version has one report, not two."""
    run_id, _ = train(tracking, "reported", tags={"dagster_run_url": "http://dagster.example/runs/r-1"})

    tracking.log_report(run_id, "It is refused.", {"report.html": b"old", "plots/roc.svg": b"<svg/>"})
    tracking.log_report(run_id, "It may go live.", {"report.html": b"new", "plots/roc.svg": b"<svg/>"})

    client = tracking._client()
    told = client.get_run(run_id).data.tags["mlflow.note.content"]
    assert told == "It may go live.\n\n[Its run in Dagster](http://dagster.example/runs/r-1)"
    assert Path(client.download_artifacts(run_id, "report.html")).read_bytes() == b"new"
    assert [file.path for file in client.list_artifacts(run_id, "plots")] == ["plots/roc.svg"]


def test_mlflow_says_what_a_model_is_for_and_what_was_found_of_it(tracking):
    """At the experiment, at the registered model and at its version."""
    run_id, _ = train(tracking, "described", about="Will this order come back?")

    tracking.log_report(run_id, "It may go live.", {})

    client = tracking._client()
    tags = client.get_experiment_by_name("described").tags
    assert tags["mlflow.note.content"] == "Will this order come back?"
    assert client.get_registered_model("described").description == "Will this order come back?"
    assert client.get_model_version("described", "1").description == "It may go live."


def test_an_alias_moves_and_a_champion_is_no_challenger_any_more(tracking):
    """One model is the champion, and what became champion stops being the challenger."""
    parts = {"model.txt": b"second"}
    second_digest = sha256_parts({"model.txt": sha256_bytes(b"second")})
    first, _ = train(tracking, "moving")
    second, _ = train(tracking, "moving", artifacts=parts)
    assert tracking.alias_of("moving", "champion") is None

    tracking.set_alias("moving", first, DIGEST, "champion")
    tracking.set_alias("moving", second, second_digest, "challenger")
    between = (tracking.alias_of("moving", "champion"), tracking.alias_of("moving", "challenger"))
    tracking.set_alias("moving", second, second_digest, "champion")

    assert between == (DIGEST, second_digest)
    assert tracking.alias_of("moving", "champion") == second_digest
    assert tracking.alias_of("moving", "challenger") is None


def test_an_alias_on_another_bundle_is_refused(tracking):
    """A run and a digest that do not belong together are somebody's mistake."""
    run_id, _ = train(tracking, "mistaken")

    with pytest.raises(StoreError, match="not the bundle"):
        tracking.set_alias("mistaken", run_id, "0" * 64, "champion")
    with pytest.raises(StoreError, match="no version"):
        tracking.set_alias("mistaken", "0" * 32, DIGEST, "champion")

    assert tracking.alias_of("mistaken", "champion") is None


def test_a_training_that_cannot_be_logged_leaves_a_failed_run_and_no_version(tracking):
    """Half a run never looks like a whole one."""
    with pytest.raises(StoreError, match="refused"):
        train(tracking, "failing", params={"name?": 1})

    client = tracking._client()
    experiment = client.get_experiment_by_name("failing")
    [run] = client.search_runs([experiment.experiment_id])
    assert run.info.status == "FAILED"
    assert client.search_model_versions("name = 'failing'") == []


def test_a_training_done_again_is_the_run_it_was(tracking):
    """A bundle has one run and one version in MLflow, however often a killed training has to be repeated."""
    first, _ = train(tracking, "again")

    second, _ = train(tracking, "again", tags={"dagster.run_id": "r-2"})

    assert second == first
    assert len(tracking._client().search_model_versions("name = 'again'")) == 1


def test_two_trainings_of_a_bundle_at_once_are_logged_once(tracking):
    """As by two commands on one home: the second waits for the first, and finds it."""
    other = Tracking(tracking.uri, tracking._artifact_root)
    with ThreadPoolExecutor(2) as pool:
        both = [pool.submit(train, each, "at_once") for each in (tracking, other)]

    assert len({done.result()[0] for done in both}) == 1
    assert len(tracking._client().search_model_versions("name = 'at_once'")) == 1


@pytest.fixture
def cut_short(tracking) -> str:
    """A run whose process was killed before it had logged all."""
    train(tracking, "killed", artifacts={"model.txt": b"other"})
    client = tracking._client()
    experiment = client.get_experiment_by_name("killed").experiment_id
    return str(client.create_run(experiment, tags={"mlops.bundle_sha256": DIGEST}).info.run_id)


@pytest.mark.parametrize("parts", [PARTS, {"model.txt": b"yet another"}])
def test_a_run_whose_process_was_killed_is_ended_by_the_next_training(tracking, cut_short, parts):
    """Of the same bundle or not; it does not stand there as running, and is not taken for the run of the bundle."""
    whole, _ = train(tracking, "killed", artifacts=parts)

    client = tracking._client()
    assert client.get_run(cut_short).info.status == "KILLED"
    assert client.get_run(whole).info.status == "FINISHED"


def test_a_start_ends_the_runs_of_killed_processes_and_leaves_those_of_people(tracking, cut_short):
    """Also where no training follows; what somebody logs from a notebook is not ours to end."""
    client = tracking._client()
    experiment = client.get_experiment_by_name("killed").experiment_id
    by_hand = client.create_run(experiment).info.run_id

    end_killed_runs(client)

    assert client.get_run(cut_short).info.status == "KILLED"
    assert client.get_run(by_hand).info.status == "RUNNING"


def test_a_run_killed_after_its_version_was_registered_is_whole(tracking):
    """Registering is the last thing done, so the run lacks nothing but its end."""
    run_id, _ = train(tracking, "registered_and_killed")
    client = tracking._client()
    client.update_run(run_id, status="RUNNING")

    again, _ = train(tracking, "registered_and_killed")

    assert again == run_id
    assert client.get_run(run_id).info.status == "FINISHED"


def test_kill_9_while_the_tables_are_made_leaves_none(tmp_path):
    """MLflow itself could never open what is left in the midst of its forty migrations."""
    uri = f"sqlite:///{tmp_path}/m.sqlite"
    code = f"from mlops_assets.stores.tracking import make_database; make_database({uri!r}, '.')"
    maker = subprocess.Popen([sys.executable, "-c", code])
    while not any(map(migrated, tmp_path.glob(".*/m.sqlite"))):
        assert maker.poll() is None, "the tables were made before it could be killed"
        time.sleep(0.01)
    maker.kill()
    maker.wait()

    halfway = not (tmp_path / "m.sqlite").exists()
    run_id, _ = train(Tracking(uri, tmp_path / "artifacts"))

    assert halfway
    assert run_id


def migrated(database: Path) -> bool:
    """Tell whether the making of tables has come past its first migrations."""
    with contextlib.closing(sqlite3.connect(database)) as connection, contextlib.suppress(sqlite3.OperationalError):
        return connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'registered_models'").fetchone() is not None
    return False


def test_one_name_for_a_number_and_a_curve_is_refused(tracking):
    """MLflow would show the curve's last point as the number."""
    with pytest.raises(StoreError, match="Rename the curve"):
        train(tracking, curves={"auc": [0.1]})


def test_long_curves_and_many_params_are_logged_whole(tracking):
    """What exceeds one request of MLflow's goes in several."""
    run_id, _ = train(
        tracking, "long", curves={"loss": [1 / (n + 1) for n in range(2100)]}, params={f"p{n}": n for n in range(150)}
    )

    client = tracking._client()
    assert len(client.get_metric_history(run_id, "loss")) == 2100
    assert len(client.get_run(run_id).data.params) == 150


def first_training(folder: Path, model: str) -> None:
    tracking = Tracking(f"sqlite:///{folder}/mlflow.sqlite", folder / "artifacts")
    run_id, _ = train(tracking, model)
    tracking.set_alias(model, run_id, DIGEST, "champion")


def test_two_first_trainings_at_once_both_succeed(tmp_path):
    """Two models trained for the first time by two processes do not fall over the making of MLflow's tables."""
    started = [
        PROCESSES.Process(target=first_training, args=(tmp_path, model)) for model in ("flight_delay", "air_time")
    ]
    for process in started:
        process.start()
    for process in started:
        process.join(120)

    assert [process.exitcode for process in started] == [0, 0]


def test_importing_tracking_does_not_import_mlflow():
    """Whoever only needs a home does not wait for MLflow."""
    code = "import sys, mlops_assets.stores.tracking; print('mlflow' in sys.modules)"

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "False"


def test_telemetry_is_off(tracking):
    """Nothing is sent to anybody."""
    code = (
        "from mlops_assets.stores.tracking import Tracking\n"
        f"Tracking({tracking.uri!r}, '/nowhere').alias_of('m', 'champion')\n"
        "from mlflow.telemetry.client import get_telemetry_client\n"
        "print(get_telemetry_client())"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env={})

    assert done.stdout.strip() == "None"
