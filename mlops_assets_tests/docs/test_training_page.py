"""What docs/training.md declares can be declared."""

import re
from pathlib import Path

import pytest
import yaml

from mlops_assets.training import TrainingPolicy

PAGE = Path(__file__).parents[2] / "docs" / "training.md"
BLOCKS = re.findall(r"```yaml\n(.*?)```", PAGE.read_text(), re.S)


def test_the_page_has_its_examples():
    """Windows, checkpoints, a search and a cluster."""
    declared = {key for block in BLOCKS for key in yaml.safe_load(block)["training"]}

    assert {"window", "params", "tuning", "distributed"} <= declared


@pytest.mark.parametrize("block", BLOCKS)
def test_an_example_is_accepted(block):
    """Its keys are known, and its parameters suit the trainer."""
    TrainingPolicy.model_validate(yaml.safe_load(block)["training"]).require_task("binary")
