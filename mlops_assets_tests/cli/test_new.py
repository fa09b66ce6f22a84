"""`mlops new`: a project of one's own that loads, trains, answers and is watched, without a line written."""

import re
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from shutil import copytree, ignore_patterns
from typing import Any

import pyarrow.compute as pc
import pytest
from click.testing import CliRunner

from mlops_assets.cli import cli
from mlops_assets.cli.new import make_project
from mlops_assets.errors import DeclarationError
from mlops_assets.orchestration.release_chain import RELEASE_CHAIN
from mlops_assets.orchestration.watch_chain import WATCH_CHAIN
from mlops_assets.records import PerformanceReport
from mlops_assets.stores.home import Home
from mlops_assets_tests._commands import Execution, execute, run
from mlops_assets_tests._endpoint import RunningEndpoint, running_endpoint
from mlops_assets_tests._sales import ROLES, sales, sales_csv

MODEL = "sales"
WEEK = "2024-04-01"
SALE = {"sold_at": "2024-04-10T03:00:00Z", "price": 80.0, "pieces": 2, "age": None, "country": "IT", "gift": 0}


@dataclass(frozen=True)
class Released:
    """A new project whose first model is live."""

    root: Path
    endpoint: RunningEndpoint
    release: Execution

    @property
    def home(self) -> Home:
        return Home(self.root / ".mlops")

    def ask(self, **changed: Any) -> Any:
        return self.endpoint.predict({**SALE, **changed}, model=MODEL)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project as the command makes it."""
    folder = tmp_path_factory.mktemp("user")
    sales_csv(folder / "sales.csv")
    roles = [part for role, column in ROLES.items() for part in (f"--{role}", column)]
    run("mlops", "new", "my-shop", "--data", "sales.csv", *roles, cwd=folder)
    return folder / "my-shop"


@pytest.fixture(scope="module")
def released(project: Path) -> Iterator[Released]:
    """Its data brought in, its model released to a real endpoint."""
    run("mlops", "refresh", cwd=project)
    with running_endpoint(project / ".mlops") as endpoint:
        chain = [f"{MODEL}/{stage}" for stage in RELEASE_CHAIN]
        yield Released(project, endpoint, execute(project, "release", *chain, MLOPS_ENDPOINT_URL=endpoint.url))


@pytest.mark.slow
def test_the_first_model_trains_and_goes_live(released):
    """Every check of the chain passes, the gate among them, and the release is what the endpoint should serve."""
    assert released.release.success, released.release.said
    assert released.release.checks == dict.fromkeys(
        [
            *(f"{MODEL}/training_set/{name}" for name in ("leakage", "enough_rows", "fresh_data")),
            f"{MODEL}/model/reproducible",
            f"{MODEL}/evaluation/promotion_gate",
            f"{MODEL}/dossier/complete",
            f"{MODEL}/approval/granted",
            f"{MODEL}/endpoint/live",
        ],
        True,
    )
    assert released.home.releases.current(MODEL).version == 1


@pytest.mark.slow
def test_it_answers_and_has_learnt_what_there_was_to_learn(released):
    """The made-up sales come back more often from Italy and when they cost more."""
    usual, dear, german = released.ask(), released.ask(price=160.0), released.ask(country="DE")

    scores = [answer.json()["predictions"][0]["score"] for answer in (usual, dear, german)]

    assert scores[2] < scores[0] < scores[1]


@pytest.mark.slow
def test_a_wrong_request_is_told_which_field_is_wrong(released):
    """The request's fields are those of the generated features.py."""
    answer = released.ask(price="dear")

    assert answer.status_code == 422
    assert "price" in answer.text


@pytest.mark.slow
def test_predictions_are_held_against_their_labels_in_a_table_without_partitions(released):
    """A week of sales is asked for as it came; the labels are in the file, so every prediction finds its own."""
    rows = sales()
    week = rows.filter(pc.equal(pc.strftime(pc.floor_temporal(rows["sold_at"], unit="week"), "%Y-%m-%d"), WEEK))
    for row in week.select(["sale", *SALE]).to_pylist():
        at = row["sold_at"].isoformat()
        instance = {**row, "sold_at": at, "gift": float(row["gift"])}
        released.endpoint.predict(instance, model=MODEL, request_id=instance.pop("sale"), at=at).raise_for_status()

    watched = execute(released.root, "watch_weeks", *(f"{MODEL}/{stage}" for stage in WATCH_CHAIN), partition=WEEK)

    assert watched.success, watched.said
    found = released.home.records.get((MODEL, "performance"), WEEK, PerformanceReport)
    assert (found.rows, found.coverage) == (week.num_rows, 1.0)


def test_a_model_takes_fewer_than_sixty_lines(project):
    """All three files together, for a file of eight columns."""
    files = [project / "my_shop" / "defs" / MODEL / name for name in ("defs.yaml", "features.py", "model.py")]

    assert sum(len(file.read_text().splitlines()) for file in files) < 60


def test_the_command_says_how_to_go_on(tmp_path):
    """The lines can be typed as they stand."""
    data = sales_csv(tmp_path / "sales.csv")
    roles = [part for role, column in ROLES.items() for part in (f"--{role}", column)]

    said = CliRunner().invoke(cli, ["new", str(tmp_path / "shop"), "--data", str(data), *roles]).output

    assert f"cd {tmp_path / 'shop'}\n  mlops up\n" in said
    assert f"mlops refresh\n  mlops train {MODEL} --reason" in said


def test_a_folder_may_be_called_what_no_package_may(tmp_path):
    """The package, and with it everything that names it, takes the nearest name."""
    data = sales_csv(tmp_path / "Sales of 2024.csv")

    made = make_project(tmp_path / "Credit-Risk 2", data=data, **ROLES, model=None)

    assert made.model == "sales_of_2024"
    assert (made.folder / "credit_risk_2" / "defs" / "sales_of_2024" / "Sales of 2024.csv").exists()
    assert "credit_risk_2.definitions" in (made.folder / "workspace.yaml").read_text()


def test_nothing_that_is_there_is_overwritten(tmp_path):
    """A folder with anything in it is somebody's."""
    data = sales_csv(tmp_path / "sales.csv")

    with pytest.raises(DeclarationError, match="nothing of it will be overwritten"):
        make_project(tmp_path, data=data, **ROLES, model=None)

    assert list(tmp_path.iterdir()) == [data]


@pytest.mark.parametrize("name", ["json", "numpy", "mlops_assets"])
def test_a_project_hides_no_module(tmp_path, name):
    """A package of that name would be imported in its place, or it in the package's."""
    data = sales_csv(tmp_path / "sales.csv")

    with pytest.raises(DeclarationError, match="a module of that name already"):
        make_project(tmp_path / name, data=data, **ROLES, model=None)


def test_refused_data_leave_no_half_a_project(tmp_path):
    """What may refuse comes before the first file."""
    data = sales_csv(tmp_path / "sales.csv")

    with pytest.raises(DeclarationError, match="not times"):
        make_project(tmp_path / "shop", data=data, **{**ROLES, "time": "price"}, model=None)

    assert not (tmp_path / "shop").exists()


@pytest.mark.slow
def test_first_commands_may_come_at_once(tmp_path):
    """All of them find no database; one makes it, and the others wait instead of stumbling over half of it."""
    data = sales_csv(tmp_path / "sales.csv")
    folder = make_project(tmp_path / "shop", data=data, **ROLES, model=None).folder
    look = "from mlops_assets.cli.project import Project; print(Project.find().instance.get_runs())"

    with ThreadPoolExecutor() as pool:
        said = list(pool.map(lambda _: run(sys.executable, "-c", look, cwd=folder), range(4)))

    assert said == ["[]\n"] * 4


def test_a_mistake_in_a_declaration_is_said_without_a_traceback(tmp_path):
    """Dagster wraps what a component raises; the user is told the file, the line and what was meant."""
    folder = make_project(tmp_path / "shop", data=sales_csv(tmp_path / "sales.csv"), **ROLES, model=None).folder
    declared = folder / "shop" / "defs" / MODEL / "defs.yaml"
    declared.write_text(declared.read_text().replace("champion_evidence", "champion_evidnce"))

    with pytest.raises(AssertionError) as failed:
        run("mlops", "status", cwd=folder)

    assert re.search(r"mlops: .*\n +defs.yaml:\d+: gate.champion_evidnce: no such key. Did you mean", str(failed.value))
    assert "Traceback" not in str(failed.value)


@pytest.mark.slow
def test_rows_that_break_the_contract_are_told_when_they_come(tmp_path):
    """A key for the second time and a price that is missing: both rows are held, and the user hears of it."""
    folder = make_project(tmp_path / "shop", data=sales_csv(tmp_path / "sales.csv"), **ROLES, model=None).folder
    with (folder / "shop" / "defs" / MODEL / "sales.csv").open("a") as data:
        data.write('"S00001",2024-04-11T00:00:00Z,9.5,1,30,"DE",false,0\n')
        data.write('"S99999",2024-04-11T00:00:00Z,,1,30,"DE",false,0\n')

    said = run("mlops", "refresh", cwd=folder)

    assert re.search(rf"rows of {MODEL} went to quarantine/{MODEL}: .*price", said)


@pytest.mark.slow
def test_what_is_wrong_with_a_project_is_said_in_a_line_by_up_as_well(project, tmp_path):
    """Not with the last words of the server that could not load it; a source without its file names that file."""
    shop = tmp_path / "shop"
    copytree(project, shop, ignore=ignore_patterns(".mlops"))
    defs = shop / "my_shop" / "defs" / MODEL
    (defs / "sales.csv").unlink()

    with pytest.raises(AssertionError) as refused:
        run("mlops", "refresh", cwd=shop)
    (defs / "model.py").write_text((defs / "model.py").read_text().replace("num_leaves", "num_leafs"))
    with pytest.raises(AssertionError) as stopped:
        run("mlops", "up", cwd=shop)

    assert "\nError: raw/sales: None of the files that could hold the table exists: " in str(refused.value)
    assert "\nmlops: sales/model.py: PARAMS: LightGBM parameter 'num_leafs' is not known." in str(stopped.value)
    assert "Traceback" not in str(stopped.value)
