"""The evidence for one version as files, and what of it the risk tier asks for.

The files depend on the evidence alone, not on when they were written: the same evidence gives the same digest, and an
approval of that digest stays good when a dossier is written again.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import rfc8785

from mlops_assets.digests import canonical_json, sha256_bytes, sha256_parts
from mlops_assets.errors import GovernanceError
from mlops_assets.governance.evidence import Evidence
from mlops_assets.governance.model_card import render_model_card
from mlops_assets.governance.risk import RiskTier
from mlops_assets.records import Dossier

SCHEMA: Final = "mlops-assets/dossier/1"  # count up when a field changes its meaning or goes


@dataclass(frozen=True, slots=True)
class Requirement:
    """Something that has to be in a dossier: its name, and how to see whether it is there."""

    name: str
    met: Callable[[Evidence], bool]


_MINIMAL = (
    Requirement("metrics", lambda e: bool(e.evaluation.challenger_metrics)),
    Requirement("gate reasons", lambda e: bool(e.evaluation.reasons)),
    Requirement("data versions", lambda e: bool(e.training_set.sources)),
    Requirement("reproducibility record", lambda e: bool(e.model_version.reproducibility)),
)
_LIMITED = (
    *_MINIMAL,
    Requirement("owner", lambda e: any(owner.strip() for owner in e.owners)),
    Requirement("purpose", lambda e: bool(e.charter.purpose.strip())),
    Requirement("limits", lambda e: bool(e.charter.limits.strip())),
    Requirement("feature importance", lambda e: bool(e.importance)),
)
_HIGH = (
    *_LIMITED,
    Requirement("exact explanations", lambda e: not e.unexplained),
    Requirement("intervals", lambda e: any(m.low is not None for m in e.evaluation.challenger_metrics)),
    Requirement("comparison with the baseline", lambda e: any(c.other == "baseline" for c in e.evaluation.comparisons)),
    Requirement("slices", lambda e: bool(e.evaluation.slices)),
    Requirement("business value", lambda e: bool(e.business_value)),
    Requirement("users", lambda e: bool(e.charter.users.strip())),
    Requirement("affected people", lambda e: bool(e.charter.affected.strip())),
    Requirement("uses out of scope", lambda e: bool(e.charter.out_of_scope.strip())),
    Requirement("rationale", lambda e: bool(e.charter.rationale.strip())),
    Requirement("risks", lambda e: bool(e.charter.risks.strip())),
    Requirement("oversight", lambda e: bool(e.charter.oversight.strip())),
)
REQUIREMENTS: Final[Mapping[RiskTier, tuple[Requirement, ...]]] = {
    "minimal": _MINIMAL,
    "limited": _LIMITED,
    "high": _HIGH,
}


def missing_evidence(evidence: Evidence) -> tuple[str, ...]:
    """Name what the risk tier asks for and the evidence lacks; empty when it is complete."""
    return tuple(needed.name for needed in REQUIREMENTS[evidence.risk_tier] if not needed.met(evidence))


def build_dossier(evidence: Evidence) -> dict[str, bytes]:
    """Give the dossier's files by name: `dossier.json`, canonical, with all facts, and `model_card.md` to read.

    Raises:
        GovernanceError: A number in the evidence is NaN, infinite or too large to have one canonical form.
    """
    lacking = missing_evidence(evidence)
    whole = {
        "schema": SCHEMA,
        "risk_tier": evidence.risk_tier,
        "requirements": {needed.name: needed.name not in lacking for needed in REQUIREMENTS[evidence.risk_tier]},
        "model_version": evidence.model_version,
        "evaluation": evidence.evaluation,
        "training_set": evidence.training_set,
        "owners": evidence.owners,
        "charter": evidence.charter.model_dump(),
        "business_value": dict(evidence.business_value),
        "importance": evidence.importance,
        **({"explained_rows": evidence.explained_rows} if evidence.explained_rows else {}),
        **({"unexplained": evidence.unexplained} if evidence.unexplained else {}),
    }
    try:
        facts = canonical_json(whole)
    except rfc8785.CanonicalizationError as error:
        raise GovernanceError(
            f"The dossier of {evidence.model_version.model} cannot be written: {error}. It would have no digest that "
            "others can check. Look for NaN, infinity or an integer beyond 2**53 - 1 among metrics and parameters.",
            model=evidence.model_version.model,
        ) from error
    return {"dossier.json": facts, "model_card.md": render_model_card(evidence).encode()}


def dossier_record(evidence: Evidence, files: Mapping[str, bytes], *, path: str) -> Dossier:
    """Give the record of a dossier whose `files` rest in the folder `path`."""
    return Dossier(
        model=evidence.model_version.model,
        sha256=sha256_parts({name: sha256_bytes(file) for name, file in files.items()}),
        model_version=evidence.model_version,
        evaluation_sha256=evidence.evaluation.sha256,
        path=path,
        risk_tier=evidence.risk_tier,
        missing=missing_evidence(evidence),
        review=evidence.left_open,
    )
