"""The measures a model may be judged by: each with its value, its interval and its paired comparison."""

from collections.abc import Mapping
from typing import Final

from mlops_assets.evaluation.measures.binary import BINARY
from mlops_assets.evaluation.measures.measure import Measure
from mlops_assets.evaluation.measures.multiclass import MULTICLASS
from mlops_assets.evaluation.measures.regression import REGRESSION
from mlops_assets.evaluation.measures.terms import Terms

__all__ = ["MEASURES", "Measure", "Terms"]

MEASURES: Final[Mapping[str, Measure]] = {**BINARY, **MULTICLASS, **REGRESSION}
