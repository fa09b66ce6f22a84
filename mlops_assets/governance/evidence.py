"""What is known about a model version when its dossier is written."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from mlops_assets.errors import GovernanceError
from mlops_assets.governance.charter import Charter
from mlops_assets.governance.explanations import Importance
from mlops_assets.governance.risk import RiskTier
from mlops_assets.records import EvaluationReport, ModelVersion, TrainingSet


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """Facts and texts about exactly one version; `business_value` holds the numbers declared for it, by name.

    `importance` is that of `explained_rows` held-out rows. `predicts` and `label` say what is forecast, and how that is
    counted. `unexplained` says why single decisions of this version have no exact explanation; empty where they have.

    Raises:
        GovernanceError: The evaluation or the training set is another version's.
    """

    evaluation: EvaluationReport
    training_set: TrainingSet
    risk_tier: RiskTier
    charter: Charter = field(default_factory=Charter)
    owners: tuple[str, ...] = ()
    business_value: Mapping[str, float | int | str | None] = field(default_factory=dict)
    importance: tuple[Importance, ...] = ()
    explained_rows: int = 0
    unexplained: str = ""
    predicts: str = ""
    label: str = ""

    def __post_init__(self) -> None:
        version, learnt_from = self.model_version, self.training_set
        if version.training_set_sha256 != learnt_from.sha256 or version.model != learnt_from.model:
            raise GovernanceError(
                f"{version.model} version {version.version} was trained on {version.training_set_sha256[:12]}, but the "
                f"training set given is {learnt_from.sha256[:12]} of {learnt_from.model}. A dossier of mixed versions "
                "proves nothing. Materialize model, evaluation and dossier together.",
                model=version.model,
                version=version.version,
            )

    @property
    def left_open(self) -> tuple[str, ...]:
        """What the gate leaves to a person, in its words; empty when it gave a verdict."""
        if self.evaluation.verdict != "review":
            return ()
        return tuple(reason for reason in self.evaluation.reasons if reason.startswith("Needs review"))

    @property
    def model_version(self) -> ModelVersion:
        """The version that was judged."""
        return self.evaluation.challenger
