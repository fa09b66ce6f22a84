"""What may go live and how we know: events of the audit log, explanations, model card, dossier, approval.

Pure rules over records. Where the evidence rests is the stores' business, who acts on it orchestration's.
"""

from mlops_assets.governance.approval import ApprovalPolicy, approval_command, evaluate, take_decision
from mlops_assets.governance.audit import Event, Gap, gaps
from mlops_assets.governance.charter import Charter
from mlops_assets.governance.dossier import REQUIREMENTS, build_dossier, dossier_record, missing_evidence
from mlops_assets.governance.evidence import Evidence
from mlops_assets.governance.explanations import Importance, Reason, global_importance, reasons
from mlops_assets.governance.holds import holds, require_hold
from mlops_assets.governance.model_card import render_model_card
from mlops_assets.governance.risk import RiskTier

__all__ = [
    "REQUIREMENTS",
    "ApprovalPolicy",
    "Charter",
    "Event",
    "Evidence",
    "Gap",
    "Importance",
    "Reason",
    "RiskTier",
    "approval_command",
    "build_dossier",
    "dossier_record",
    "evaluate",
    "gaps",
    "global_importance",
    "holds",
    "missing_evidence",
    "reasons",
    "render_model_card",
    "require_hold",
    "take_decision",
]
