"""docs/gate.md names every field there is, and its example runs; docs/defects.md tells of every defect there is."""

import re
from pathlib import Path

import pytest

from bench._defect_shop import days
from bench._defect_world import MODEL_FILES, Defect, Trial, at_night_after
from bench.defects import PAGE
from bench.defects_catalogue import CATALOGUE, DEFECTS
from mlops_assets.evaluation import BehaviourPolicy, GatePolicy
from mlops_assets.orchestration.steps.datasets.training_sets import HOLDOUT, training_rows_of
from mlops_assets.orchestration.steps.fitting.bundles import LoadedBundle
from mlops_assets.orchestration.steps.gate.own_tests import ModelUnderTest, run_own_tests

TEXT = (Path(__file__).parents[2] / "docs" / "gate.md").read_text()


def first_cells(header: str) -> list[str]:
    """Give the names in the first column of the table that begins with `header`."""
    table = TEXT.partition(header)[2].partition("\n\n")[0]
    cells = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
    return [name for cell in cells for name in re.findall(r"`(\w+)`", cell)]


@pytest.mark.parametrize(
    ("header", "policy"), [("| field | default |", GatePolicy), ("| field of `behaviour` |", BehaviourPolicy)]
)
def test_the_tables_have_every_field_of_the_policies_and_no_other(header, policy):
    """A field that is added is added here."""
    assert sorted(first_cells(header)) == sorted(policy.model_fields)


def test_the_example_runs_on_a_model_like_the_one_it_speaks_of(tmp_path):
    """The shop of the defect benchmark, with the page's own text as behaviour.py."""
    example = re.search(r"```python\n(def test_a_discount.*?)```", TEXT, re.S)
    assert example
    trial = Trial(tmp_path, Defect(), files={**MODEL_FILES, "behaviour.py": example[1]})
    at = at_night_after(24)
    trial.bring_in(trial.land(days(0, 25)), at=at)
    training_set, version = trial.train(at)
    held = training_rows_of(trial.home, training_set, part=HOLDOUT)

    found = run_own_tests(
        trial.folder, ModelUnderTest.on(LoadedBundle.of(trial.home, version.model, version.sha256), held)
    )

    assert [each.words for each in found] == ["as its test asks."] * 2


def test_every_defect_is_on_the_page_once_and_no_other():
    """Whoever adds a defect makes the page anew; this test need not."""
    rows = re.findall(r"^\| (?!defect |---)(.*?) \| .* \|$", PAGE.read_text(), re.M)

    assert rows == [defect.name for defects in CATALOGUE.values() for defect in defects]


def test_there_are_enough_defects_of_every_kind():
    """Forty were asked for; names are unique, and each says what was done."""
    assert len(DEFECTS) == sum(map(len, CATALOGUE.values())) >= 40
    assert all(CATALOGUE.values())
    assert all(defect.what for defect in DEFECTS.values())


def test_every_defect_does_something():
    """One that overrides nothing would be a sound retraining under another name."""
    ways = {"stopped", *(name for name, found in vars(Defect).items() if callable(found))}

    idle = [
        name for name, defect in DEFECTS.items() if all(getattr(defect, way) is getattr(Defect, way) for way in ways)
    ]

    assert idle == []
