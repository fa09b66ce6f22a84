"""What may go live and how we know: events of the audit log, explanations, model card, dossier, approval.

Pure rules over records. Where the evidence rests is the stores' business, who acts on it orchestration's.
"""

from mlops_assets.governance.approval import BY_RULE, ApprovalPolicy, approval_command, evaluate, take_decision
from mlops_assets.governance.audit import Event, Gap, gaps
from mlops_assets.governance.changes import changes
from mlops_assets.governance.charter import Charter
from mlops_assets.governance.dossier import REQUIREMENTS, build_dossier, dossier_record, missing_evidence
from mlops_assets.governance.evidence import Evidence
from mlops_assets.governance.explanations import Importance, Reason, global_importance, reasons, shuffled_importance
from mlops_assets.governance.holds import holds, require_hold
from mlops_assets.governance.judged import Judged, Trade, headline
from mlops_assets.governance.model_card import render_model_card
from mlops_assets.governance.report_page import render_report
from mlops_assets.governance.report_pictures import picture_files
from mlops_assets.governance.risk import RiskTier
from mlops_assets.governance.words import measured, weakest_first, words_of

__all__ = [
    "BY_RULE",
    "REQUIREMENTS",
    "ApprovalPolicy",
    "Charter",
    "Event",
    "Evidence",
    "Gap",
    "Importance",
    "Judged",
    "Reason",
    "RiskTier",
    "Trade",
    "approval_command",
    "build_dossier",
    "changes",
    "dossier_record",
    "evaluate",
    "gaps",
    "global_importance",
    "headline",
    "holds",
    "measured",
    "missing_evidence",
    "picture_files",
    "reasons",
    "render_model_card",
    "render_report",
    "require_hold",
    "shuffled_importance",
    "take_decision",
    "weakest_first",
    "words_of",
]
