"""The declarations on the page about features can be loaded, and its functions run."""

import re
from pathlib import Path

import pytest
import yaml

from mlops_assets.features import FeatureModule, FeaturePlan
from mlops_assets.features.definition import ViewDefinition
from mlops_assets.features.entity import Entity

PAGE = (Path(__file__).parents[2] / "docs" / "features.md").read_text()
DECLARED = [yaml.safe_load(text) for text in re.findall(r"```yaml\n(.*?)```", PAGE, re.S)]
CODE = re.findall(r"```python\n(.*?)```", PAGE, re.S)
VIEWS = [each["attributes"] for each in DECLARED if each.get("type", "").endswith(".FeatureTable")]
ENTITIES = {
    each["attributes"]["name"]: each["attributes"] for each in DECLARED if each.get("type", "").endswith("Entity")
}


def declared(attributes):
    attributes = {key: value for key, value in attributes.items() if key != "partitions"}
    if "entity" in attributes:
        attributes["keys"] = ENTITIES[attributes["entity"]]["keys"]
    if "python" in attributes:
        attributes["python"] |= {"source": CODE[0]}
    return ViewDefinition.model_validate(attributes)


@pytest.mark.parametrize("attributes", VIEWS, ids=lambda attributes: attributes["name"])
def test_every_view_on_the_page_can_be_obeyed(attributes):
    """In each of the three ways."""
    assert declared(attributes).record().features


def test_the_defaults_on_the_page_fit_the_view_above():
    """Names and kinds."""
    (defaults,) = (each["defaults"] for each in DECLARED if "defaults" in each)

    assert declared(VIEWS[0] | {"defaults": defaults}).record().defaults == defaults


def test_the_entities_on_the_page_can_be_obeyed():
    """And a view names one."""
    assert [Entity.model_validate(each).name for each in ENTITIES.values()] == ["carrier"]


def test_the_functions_on_the_page_find_what_they_ask_for():
    """In the request, and in the view without code."""
    module = FeatureModule.load(CODE[1], name="page")

    plan = FeaturePlan(module, [declared(VIEWS[0]).record()])

    assert {field.name for field in plan.inputs} == {
        "carrier", "distance", "carrier_late_rate_1d", "carrier_late_rate_7d",
    }  # fmt: skip
