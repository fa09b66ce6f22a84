"""Whether data is what it promises to be: contracts on rows, quality suites on whole batches, volume and freshness.

A contract is held against every row. Bad rows go to quarantine, each once and with all its reasons; faults of structure
and too many bad rows block the batch. A quality suite says what a batch as a whole must look like.
"""

from mlops_assets.validation.contract import ColumnRule, Contract
from mlops_assets.validation.freshness import Promise, staleness
from mlops_assets.validation.pieces import refused_pieces, validate_pieces
from mlops_assets.validation.quarantine import Tally, Validation, validate
from mlops_assets.validation.row_rule import RowRule
from mlops_assets.validation.structure import Conformed, conform
from mlops_assets.validation.suite import QualitySuite, SuiteResult, check
from mlops_assets.validation.volume import VolumePolicy, odd_day, odd_whole

__all__ = [
    "ColumnRule",
    "Conformed",
    "Contract",
    "Promise",
    "QualitySuite",
    "RowRule",
    "SuiteResult",
    "Tally",
    "Validation",
    "VolumePolicy",
    "check",
    "conform",
    "odd_day",
    "odd_whole",
    "refused_pieces",
    "staleness",
    "validate",
    "validate_pieces",
]
