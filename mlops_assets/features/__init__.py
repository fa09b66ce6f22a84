"""What a model looks at: stored views, functions of a request, and the vector both become.

This front door stays light, for the endpoint comes through it: NumPy and the standard library only. Computing views
(`view`), joining them as of a decision (`join`) and proving parity (`parity`) bring DuckDB and Arrow, and are imported
from their own files, as is `leakage`.
"""

from mlops_assets.features.local_time import day_of_week, day_of_year, hour_of_day, local_time
from mlops_assets.features.module import Array, FeatureFunction, FeatureModule
from mlops_assets.features.plan import FeaturePlan
from mlops_assets.features.spec import build_spec
from mlops_assets.features.vector import Vectorizer

__all__ = [
    "Array",
    "FeatureFunction",
    "FeatureModule",
    "FeaturePlan",
    "Vectorizer",
    "build_spec",
    "day_of_week",
    "day_of_year",
    "hour_of_day",
    "local_time",
]
