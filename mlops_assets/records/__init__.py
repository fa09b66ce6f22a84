"""The nouns that travel between assets: small, frozen, and carrying the SHA-256 of what they name.

Bytes stay in the stores; a record says which bytes, by digest, and what they came from. Times are UTC.
"""

from mlops_assets.records.data import BatchQuality, Column, ContractVersion, ExpectationResult, Severity, TableVersion
from mlops_assets.records.evaluation import (
    BehaviourResult,
    Calibration,
    CalibrationBin,
    Comparison,
    Curve,
    DiscoveredSlice,
    EvaluationReport,
    Fairness,
    FairnessGap,
    GroupRates,
    Metric,
    Portrait,
    SliceResult,
    ValuePoint,
    Verdict,
)
from mlops_assets.records.evidence import Approval, ApprovalDecision, AuditEntry, Dossier
from mlops_assets.records.features import FeatureVectorSpec, FeatureView, Field, VectorFeature
from mlops_assets.records.live import (
    ColumnDrift,
    DriftReport,
    Endpoint,
    ParityDifference,
    ParityReport,
    PerformanceReport,
    RetrainingDecision,
)
from mlops_assets.records.spans import Span, Window
from mlops_assets.records.training import (
    ModelVersion,
    Params,
    Recipe,
    Reproduction,
    ReproductionLevel,
    Task,
    TrainingSet,
    Trial,
)

__all__ = [
    "Approval",
    "ApprovalDecision",
    "AuditEntry",
    "BatchQuality",
    "BehaviourResult",
    "Calibration",
    "CalibrationBin",
    "Column",
    "ColumnDrift",
    "Comparison",
    "ContractVersion",
    "Curve",
    "DiscoveredSlice",
    "Dossier",
    "DriftReport",
    "Endpoint",
    "EvaluationReport",
    "ExpectationResult",
    "Fairness",
    "FairnessGap",
    "FeatureVectorSpec",
    "FeatureView",
    "Field",
    "GroupRates",
    "Metric",
    "ModelVersion",
    "Params",
    "ParityDifference",
    "ParityReport",
    "PerformanceReport",
    "Portrait",
    "Recipe",
    "Reproduction",
    "ReproductionLevel",
    "RetrainingDecision",
    "Severity",
    "SliceResult",
    "Span",
    "TableVersion",
    "Task",
    "TrainingSet",
    "Trial",
    "ValuePoint",
    "VectorFeature",
    "Verdict",
    "Window",
]
