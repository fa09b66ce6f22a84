"""How Dagster sees it: components, assets, checks, sensors, the schedule and record IO.

The only room that imports Dagster, beside the code location and the command line.
"""

from mlops_assets.orchestration.entity import Entity
from mlops_assets.orchestration.feature_table import FeatureTable
from mlops_assets.orchestration.model_pipeline import ModelPipeline
from mlops_assets.orchestration.project import project_definitions
from mlops_assets.orchestration.raw_table import RawTable

__all__ = ["Entity", "FeatureTable", "ModelPipeline", "RawTable", "project_definitions"]
