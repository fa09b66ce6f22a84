"""`dg scaffold defs`: folders that load as they are made, and a model's that trains once it is filled in."""

import re
from pathlib import Path

import click
import dagster as dg
import pyarrow.csv
import pytest
import yaml

from mlops_assets.cli.new import make_project
from mlops_assets.orchestration.release_chain import RELEASE_CHAIN
from mlops_assets.orchestration.scaffolding import (
    ModelParams,
    ModelPipelineScaffolder,
    RawTableScaffolder,
    TableParams,
)
from mlops_assets.orchestration.table_declaration import TableDeclaration
from mlops_assets.sources import SOURCES
from mlops_assets_tests._commands import execute, run
from mlops_assets_tests._endpoint import running_endpoint
from mlops_assets_tests._sales import ROLES, sales, sales_csv

COMPONENT = "mlops_assets.orchestration.{}"
MODEL = COMPONENT.format("ModelPipeline")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A user's project with a model of its own."""
    return make_project(tmp_path / "shop", data=sales_csv(tmp_path / "sales.csv"), **ROLES, model=None).folder


@pytest.mark.slow
def test_whatever_is_scaffolded_loads_as_it_is_made(project):
    """Tables, views and models, blank or of a data file; Dagster loads all of them together."""
    roles = [part for role, column in ROLES.items() for part in (f"--{role}", column)]
    for component in ("RawTable", "FeatureTable", "ModelPipeline"):
        run("dg", "scaffold", "defs", COMPONENT.format(component), f"blank_{component.lower()}", cwd=project)
    run("dg", "scaffold", "defs", COMPONENT.format("RawTable"), "claims", "--kind", "events", cwd=project)
    run("dg", "scaffold", "defs", MODEL, "gifts", "--data", "../sales.csv", *roles, cwd=project)

    said = run("dg", "check", "defs", cwd=project)

    assert "All definitions loaded successfully" in said
    assert (project / "shop" / "defs" / "gifts" / "sales.csv").exists()


@pytest.mark.slow
def test_a_blank_folder_trains_once_source_target_and_features_are_filled_in(project):
    """Names are replaced by the file's own and the amounts by smaller ones; no other line is touched."""
    folder = project / "shop" / "defs" / "returns"
    run("dg", "scaffold", "defs", MODEL, "returns", cwd=project)
    columns = {"id": "sale", "at": "sold_at", "amount": "price", "country": "country", "label": "returned"}
    pyarrow.csv.write_csv(sales().select(list(columns.values())), folder / "returns.csv")
    for name, keep in {"defs.yaml": "", "features.py": "", "model.py": "def label"}.items():
        text = (folder / name).read_text().replace("minimum_rows: 1000", "minimum_rows: 200")
        text = re.sub(r"\b(id|at|amount|label)\b(?!\.)", lambda word: columns[word[0]], text)
        (folder / name).write_text(text.replace("def returned", keep))

    run("mlops", "refresh", cwd=project)
    with running_endpoint(project / ".mlops") as endpoint:
        chain = [f"returns/{stage}" for stage in RELEASE_CHAIN]
        done = execute(project, "release", *chain, MLOPS_ENDPOINT_URL=endpoint.url)
        answer = endpoint.client.get("/models/returns").json()

    assert done.success, done.said
    assert (answer["version"], answer["features"]) == (1, ["price", "country", "hour"])


def request(folder: Path, **params: str) -> dg.ScaffoldRequest[ModelParams]:
    """Give what `dg` passes on; it has made the folder by then."""
    folder.mkdir()
    return dg.ScaffoldRequest(
        type_name=MODEL,
        target_path=folder,
        scaffold_format="yaml",
        project_root=folder.parent,
        params=ModelParams(**params),
    )


@pytest.mark.parametrize(
    ("name", "params", "said"),
    [
        ("Returns", {}, "Take 'returns'"),
        ("returns", {"data": "sales.csv", "key": "sale"}, "needs --time, --label as well"),
        ("returns", {"data": "no.csv", "key": "sale", "time": "sold_at", "label": "returned"}, "no.csv"),
    ],
)
def test_what_is_refused_is_said_plainly_and_leaves_no_folder(tmp_path, name, params, said):
    """`dg` prints a ClickException without a traceback; an empty folder would be in the way of the next attempt."""
    asked = request(tmp_path / name, **params)

    with pytest.raises(click.ClickException) as refused:
        ModelPipelineScaffolder().scaffold(asked)

    assert said in refused.value.message
    assert not asked.target_path.exists()


def test_a_folder_with_something_in_it_is_kept_when_a_model_is_refused(tmp_path):
    """Only a folder that holds nothing goes with the refusal."""
    asked = request(tmp_path / "Returns")
    (asked.target_path / "notes.txt").touch()

    with pytest.raises(click.ClickException):
        ModelPipelineScaffolder().scaffold(asked)

    assert (asked.target_path / "notes.txt").exists()


@pytest.mark.parametrize("kind", SOURCES)
def test_a_table_of_every_kind_of_source_is_scaffolded_as_it_may_be_declared(tmp_path, kind):
    """The source is to be filled in, and stands in a declaration that loads."""
    folder = tmp_path / "claims"
    folder.mkdir()

    RawTableScaffolder().scaffold(
        dg.ScaffoldRequest(
            type_name=COMPONENT.format("RawTable"),
            target_path=folder,
            scaffold_format="yaml",
            project_root=tmp_path,
            params=TableParams(kind=kind),
        )
    )

    written = yaml.safe_load((folder / "defs.yaml").read_text())
    assert TableDeclaration.model_validate(written["attributes"]).source.kind == kind
