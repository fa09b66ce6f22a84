"""A model card in Markdown: what a version is for, how good it is, what it learnt from, and how to make it again."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from mlops_assets.governance.evidence import Evidence
from mlops_assets.records import Comparison, Metric, TableVersion, Task, Window

TOP_FEATURES: Final = 20
KINDS: Final[Mapping[Task, str]] = {
    "binary": "probability of an event",
    "multiclass": "probability of each class",
    "regression": "number",
}
NOT_WRITTEN: Final = "*Nobody has written this yet.*"


def render_model_card(evidence: Evidence) -> str:
    """Give the model card of the version in `evidence`."""
    sections = (
        _summary(evidence),
        _use(evidence),
        _performance(evidence),
        _slices(evidence),
        _value(evidence),
        _features(evidence),
        _data(evidence),
        _care(evidence),
        _again(evidence),
    )
    return "\n\n".join(section for section in sections if section) + "\n"


def _summary(evidence: Evidence) -> str:
    version, report = evidence.model_version, evidence.evaluation
    facts = {
        **({"Predicts": _text(evidence.predicts)} if evidence.predicts else {}),
        **({"Label": _text(evidence.label)} if evidence.label else {}),
        "Kind": KINDS[version.task],
        "Owner": ", ".join(evidence.owners) or NOT_WRITTEN,
        "Risk tier": evidence.risk_tier,
        "Gate": {"pass": "passed", "fail": "**refused**", "review": "**left to a person**"}[report.verdict],
        "Knows data until": f"{version.cut_off:%Y-%m-%d %H:%M} UTC",
        "Bundle digest": f"`{version.sha256}`",
        "MLflow run": _link(version.mlflow_run_id, version.mlflow_url),
    }
    return f"# {_text(version.model)}, version {version.version}\n\n" + _table(("", ""), facts.items())


def _use(evidence: Evidence) -> str:
    charter = evidence.charter
    parts = ["## What it is for", _written(charter.purpose)]
    optional = (("Who uses it", charter.users), ("Not for", charter.out_of_scope))
    parts += [f"**{title}.** {text.strip()}" for title, text in optional if text.strip()]
    return "\n\n".join(parts)


def _performance(evidence: Evidence) -> str:
    report = evidence.evaluation
    rivals: dict[str, Mapping[str, Metric]] = {"This version": _by_name(report.challenger_metrics)}
    if report.champion_metrics:
        rivals["Champion"] = _by_name(report.champion_metrics)
    if report.baseline_metrics:
        rivals["Simple baseline"] = _by_name(report.baseline_metrics)
    names = dict.fromkeys(name for metrics in rivals.values() for name in metrics)
    rows = ([name, *(_measured(metrics.get(name)) for metrics in rivals.values())] for name in names)
    parts = [
        "## How good it is",
        f"Measured on decisions it was not trained on, {_window(report.window)}. In brackets: 95 % intervals.",
        _table(("Metric", *rivals), rows),
    ]
    if report.comparisons:
        parts.append("On the same rows, pair by pair (above zero is in favour of this version):")
        parts.append(
            _table(("Against", "Metric", "Difference", "p", "Rows"), (_compared(c) for c in report.comparisons))
        )
    verdict = {"pass": "**passed** it", "fail": "**refused** it", "review": "**left** it to a person"}[report.verdict]
    parts.append(f"The gate {verdict}:\n\n" + "\n".join(f"- {_text(reason)}" for reason in report.reasons))
    return "\n\n".join(parts)


def _slices(evidence: Evidence) -> str:
    if not evidence.evaluation.slices:
        return ""
    rows = (
        (
            part.column,
            part.level,
            part.metric.name,
            _measured(part.metric),
            _count(part.metric.n),
            "few" if part.small else "",
        )
        for part in evidence.evaluation.slices
    )
    return "## Where it is better and worse\n\n" + _table(("Field", "Value", "Metric", "Measured", "Rows", ""), rows)


def _value(evidence: Evidence) -> str:
    if not evidence.business_value:
        return ""
    rows = (
        (name.replace("_", " "), _number(value) if isinstance(value, int | float) else value)
        for name, value in evidence.business_value.items()
        if value is not None
    )
    return "## What it is worth\n\nDeclared with the model:\n\n" + _table(("", ""), rows)


def _features(evidence: Evidence) -> str:
    spec = evidence.training_set.spec
    parts = [
        "## What it looks at",
        f"{len(spec.features)} features, computed by code with the digest `{spec.code_sha256[:12]}`.",
    ]
    if shown := evidence.importance[:TOP_FEATURES]:
        origin = {feature.name: feature.origin.replace("_", " ") for feature in spec.features}
        rows = ((i.feature, origin.get(i.feature, ""), f"{100 * i.share:.1f} %") for i in shown)
        measured = "change when its values are shuffled" if evidence.unexplained else "contribution"
        of = f" of {_count(evidence.explained_rows)} held-out decisions" if evidence.explained_rows else ""
        parts.append(f"How much each moves the score{of} (share of the mean absolute {measured}):")
        parts.append(_table(("Feature", "Comes from", "Share"), rows))
        if rest := evidence.importance[TOP_FEATURES:]:
            parts.append(f"{len(rest)} more share {100 * sum(i.share for i in rest):.1f} %.")
    if evidence.unexplained:
        parts.append(f"**Single decisions are not explained.** {_text(evidence.unexplained)}")
    return "\n\n".join(parts)


def _data(evidence: Evidence) -> str:
    learnt = evidence.training_set
    windows = {"Training": learnt.train, "Held out": learnt.holdout}
    return "\n\n".join(
        (
            "## What it learnt from",
            _table(
                ("", "Decisions", "Rows", "Mean of the label"),
                ((name, _span(w), _count(w.rows), _number(w.label_mean)) for name, w in windows.items()),
            ),
            f"Joined from what was known at {learnt.cut_off:%Y-%m-%d %H:%M} UTC:",
            _table(("Table", "Version", "Rows", "Digest"), (_source(source) for source in learnt.sources)),
        )
    )


def _care(evidence: Evidence) -> str:
    charter = evidence.charter
    parts = ["## Limits", _written(charter.limits)]
    optional = (
        ("Whom a wrong score hurts", charter.affected),
        ("Risks", charter.risks),
        ("Oversight", charter.oversight),
        ("Why it is built this way", charter.rationale),
    )
    for title, text in optional:
        if text.strip():
            parts += [f"## {title}", text.strip()]
    return "\n\n".join(parts)


def _again(evidence: Evidence) -> str:
    version, learnt = evidence.model_version, evidence.training_set
    return "\n\n".join(
        (
            "## How to make it again",
            f"`mlops reproduce {version.model}@{version.version}` joins `{learnt.table}` at version {learnt.version} "
            f"anew (digest `{learnt.sha256}`), "
            "fits with the parameters below, and tells what differs from the record. The bundle's digest must come out "
            f"as `{version.sha256}`. Whether it did is said by `mlops status` and by the audit log, for it is tried "
            "after this was written.",
            _table(("Parameter", "Value"), ((name, f"`{value}`") for name, value in version.params.items())),
            _table(("Environment", ""), ((k, f"`{v}`") for k, v in version.reproducibility.items())),
        )
    )


# --- pieces of Markdown ---


def _table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(_cell(cell) for cell in line) + " |" for line in lines)


def _cell(value: object) -> str:
    """Give `value` so that it stays within its cell, whatever it holds."""
    return _text(str(value)).replace("|", "\\|")


def _text(value: str) -> str:
    """Give text on one line that no page takes for HTML."""
    return " ".join(value.split()).replace("<", "&lt;")


def _written(text: str) -> str:
    return text.strip() or NOT_WRITTEN


def _link(name: str | None, url: str | None) -> str:
    if name is None:
        return "none"
    return f"[{name}]({url})" if url else name


def _source(source: TableVersion) -> tuple[str, int, str, str]:
    return source.table, source.version, _count(source.rows), f"`{source.sha256[:12]}`"


def _by_name(metrics: Iterable[Metric]) -> dict[str, Metric]:
    return {metric.name: metric for metric in metrics}


def _measured(metric: Metric | None) -> str:
    if metric is None:
        return "–"
    return _number(metric.value) + _interval(metric.low, metric.high)


def _compared(comparison: Comparison) -> tuple[str, ...]:
    difference = f"{comparison.difference:+.4g}{_interval(comparison.low, comparison.high)}"
    p = f"{comparison.p_value:.3f}" if comparison.p_value >= 0.001 else "under 0.001"
    return comparison.other, comparison.metric, difference, p, _count(comparison.n)


def _interval(low: float | None, high: float | None) -> str:
    return "" if low is None or high is None else f" ({_number(low)} to {_number(high)})"


def _window(window: Window) -> str:
    return f"{_span(window)} ({_count(window.rows)} rows)"


def _span(window: Window) -> str:
    return f"{window.start:%Y-%m-%d} to {window.end:%Y-%m-%d}"


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def _count(number: int) -> str:
    return f"{number:,}"
