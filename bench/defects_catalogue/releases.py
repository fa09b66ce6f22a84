"""Versions on their way to the endpoint without what they need."""

from dataclasses import replace

from bench._defect_world import NAME, Defect, Trial
from bench.defects_catalogue.training import _Params
from mlops_assets.governance import take_decision
from mlops_assets.records import Approval, Dossier, EvaluationReport

CHARTER = (
    "risk_tier: high\n"
    "charter: {purpose: Packing., users: Packers., affected: Nobody else., out_of_scope: Whom to sell to.,\n"
    "  limits: A made-up shop., rationale: All is known when an order is placed., risks: Too little padding.,\n"
    "  oversight: A packer may always add padding.}\n"
)


class _High(Defect):
    """A model of high risk, which a person has to let go."""

    def files(self, files: dict[str, str]) -> dict[str, str]:
        return {**files, "defs.yaml": files["defs.yaml"].partition("risk_tier")[0] + CHARTER}


class ApprovalOfAnother(_High):
    name = "approval for another digest"
    what = "a person approved the dossier as it was before the evaluation was run again"

    def documented(self, trial: Trial, dossier: Dossier) -> Dossier:
        read = replace(dossier, sha256="0" * 64)
        decision = take_decision(read, digest="0" * 64, by="boss", reason="read it", at=trial.training_set.cut_off)
        trial.home.state.approval_add(decision)
        return dossier


class OwnApproval(_High):
    name = "approval by whoever asked"
    what = "the person who asked for the training approves its result"

    def documented(self, trial: Trial, dossier: Dossier) -> Dossier:
        at = trial.training_set.cut_off
        trial.home.state.approval_add(take_decision(dossier, digest=dossier.sha256, by="bench", reason="mine", at=at))
        return dossier


class ApprovalMoved(Defect):
    name = "approval put on another version"
    what = "the record of an approval is edited to name a version that the gate refused"

    def approved(self, trial: Trial, approval: Approval) -> Approval:
        parts = trial.home.bundles.load(NAME, approval.model_version.sha256)
        other = trial.home.bundles.save(NAME, {**parts, "meta.json": parts["meta.json"] + b"\n"})
        return replace(approval, model_version=replace(approval.model_version, sha256=other))


class DossierIncomplete(_High):
    name = "evidence missing"
    what = "a model of high risk whose owner wrote neither risks nor oversight"

    def files(self, files: dict[str, str]) -> dict[str, str]:
        high = super().files(files)["defs.yaml"]
        return {**files, "defs.yaml": high.replace("risks: Too little padding.,", "risks: ' ',")}


class ForgedVerdict(_Params):
    name = "verdict forged on the way"
    what = "the record that the dossier is written from says `passed`; the gate had said no"
    params = {"num_iterations": 2, "num_leaves": 2}

    def judged(self, trial: Trial, report: EvaluationReport) -> EvaluationReport:
        return replace(report, passed=True, verdict="pass")
