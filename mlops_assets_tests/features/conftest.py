"""Fixtures of the features room; the small world they are built from is in `_world.py`."""

import pytest

from mlops_assets.features import FeatureModule
from mlops_assets_tests.features._world import SOURCE


@pytest.fixture
def module():
    """The module of the small world, loaded."""
    return FeatureModule.load(SOURCE, name="delay")
