"""The code location of this repository: the example's tables, views and models."""

import dagster as dg

from mlops_assets.orchestration.project import project_definitions


@dg.definitions
def defs() -> dg.Definitions:
    """Load everything declared below `defs/`."""
    return project_definitions(__file__)
