"""The evaluation report of a version: first what a business owner has to know, then what engineers ask for.

It is a pure function of what was recorded, so it can be written again at any time and says the same.
"""

from collections.abc import Iterable, Mapping
from html import escape
from typing import Final

from mlops_assets import pages
from mlops_assets.governance.changes import changes
from mlops_assets.governance.judged import Judged, headline, verdict_of
from mlops_assets.governance.report_classes import classes
from mlops_assets.governance.report_findings import cell, weak
from mlops_assets.governance.report_groups import groups
from mlops_assets.governance.report_pictures import pictures
from mlops_assets.governance.report_rules import behaves, why
from mlops_assets.governance.words import days, one_digit, percent, plain, signed, whole_percent, words_of
from mlops_assets.records import Comparison, Metric

FIRST: Final = 8  # measures shown before the rest
PER_1000: Final = ("value_per_1000", "answers_per_1000")  # decisions or answers
FOR_ENGINEERS: Final = ("roc", "precision_recall", "residuals", "learning")
LEADING: Final = 12  # features shown before the rest


def render_report(judged: Judged) -> str:
    """Give the report as one page of HTML that needs nothing else."""
    drawn = pictures(judged)
    sections = (
        _top(judged),
        why(judged),
        _worth(judged, drawn),
        _good(judged, drawn),
        _changed(judged),
        weak(judged),
        classes(judged, drawn),
        groups(judged),
        behaves(judged),
        _looks_at(judged),
        _for_engineers(judged, drawn),
    )
    title = f"{judged.report.model}, version {judged.version.version}: evaluation"
    return pages.document(title, "".join(section for section in sections if section))


def _top(judged: Judged) -> str:
    report, (said, look) = judged.report, verdict_of(judged)
    beside = f" beside version {judged.before.version}" if judged.before else ""
    first = next(iter(report.reasons), "")
    because = "" if look == "passed" else f" {escape(first.partition(': ')[2] or first)}"
    label = judged.label.removeprefix("1 for ")
    hit = f"A hit is {escape(label)} " if label and report.challenger.task == "binary" else f"{escape(label)} "
    return (
        f"<p class=dim>{escape(report.model)} · version {judged.version.version}{beside}</p>"
        f"<h1>{escape(headline(judged))}</h1>"
        f'<p><span class="verdict {look}">{said}</span>{because}</p>{_figures(judged)}'
        f"<p>{escape(judged.description)}</p>"
        f"<p class=dim>{hit if label else ''}Judged on {report.window.rows:,} {escape(judged.things)} of "
        f"{days(report.window)}, which no version shown here has learnt from. Ranges in small print hold the true "
        "value in 95 of 100 cases.</p>"
    )


def _figures(judged: Judged) -> str:
    mine, others = _by_name(judged.report.challenger_metrics), _by_name(judged.other_metrics)
    wanted = [*_FIGURES, judged.primary_metric]
    shown = {}
    for name in dict.fromkeys(name for name in wanted if name in mine):
        if (name in PER_1000 and judged.trade is None) or (name in _DISTANCES and "coverage" in mine):
            continue
        words = words_of(name)
        title, value = words.title, words.form(mine[name].value)
        if name in PER_1000 and judged.trade:
            title, value = f"Value per 1,000 {judged.things}", f"{judged.trade.unit} {value}"
        beside = f"{judged.other}: {words.form(others[name].value)}" if name in others else words.said
        shown[title] = (value, beside)
    return pages.figures(shown)


def _worth(judged: Judged, drawn: Mapping[str, str]) -> str:
    if not judged.portrait.gains and "value" not in drawn:
        return ""
    panels = [drawn[name] for name in ("value", "found", "within") if name in drawn]
    gains = pages.table(
        (f"Gain over {judged.other}", "", ""),
        (_gain(judged, gain) for gain in judged.portrait.gains),
        numbers=(1,),
    )
    return f"<h2>What it is worth</h2>{_declared(judged)}{gains if judged.portrait.gains else ''}{_pair(panels)}"


def _declared(judged: Judged) -> str:
    """Say what decisions are worth, as it was declared."""
    trade = judged.trade
    if trade is None:
        return ""
    unit = escape(trade.unit)
    if trade.answers:
        pairs = ((came, answer, worth) for came, answers in trade.answers.items() for answer, worth in answers.items())
        rows = [(escape(came), escape(answer), f"{unit} {signed(worth)}") for came, answer, worth in pairs]
        table = pages.table(("when this came", "and this was answered", "it brings"), rows, numbers=(2,))
        return f"<p class=dim>As declared; whatever is not in the table brings nothing.</p>{table}"
    return (
        f"<p class=dim>As declared: {whole_percent(trade.capacity_share)} of {escape(judged.things)} can be acted on; "
        f"a hit brings {unit} {plain(trade.value_of_hit)}, a false alarm costs {unit} "
        f"{plain(trade.cost_of_false_alarm)}.</p>"
    )


def _gain(judged: Judged, gain: Comparison) -> tuple[str, str, str]:
    words = words_of(gain.metric)
    unit, scale, title, form = "", 1.0, words.title, plain
    if gain.metric in PER_1000:
        unit, title = f"{judged.trade.unit} " if judged.trade else "", f"Value per 1,000 {judged.things}"
    elif words.form is percent:
        right = gain.metric == "multiclass_accuracy"
        scale, form = 100.0, one_digit
        title = f"Right of 100 {judged.things}" if right else f"Hits per 100 {judged.things} flagged"
    if not words.higher_is_better:
        title += ", saved"
    value, low, high = (scale * number for number in (gain.difference, gain.low, gain.high))
    reach = max(abs(low), abs(high), 1e-12)
    tone = "good" if gain.low > 0 else "bad" if gain.high < 0 else "second"
    shown = "may be chance" if gain.low <= 0 <= gain.high else "beyond chance"
    return (
        f"{escape(title)}<small>{shown}</small>",
        f"{escape(unit)}{signed(value, form)}<small>{signed(low, form)} to {signed(high, form)}</small>",
        pages.spread(value, low, high, ends=(-reach, reach), tone=tone, zero=0.0),
    )


def _good(judged: Judged, drawn: Mapping[str, str]) -> str:
    panels = [drawn[name] for name in ("reliability", "forecasts") if name in drawn]
    return f"<h2>How good it is</h2>{_metrics(judged)}{_pair(panels)}"


def _metrics(judged: Judged) -> str:
    report = judged.report
    rivals = {f"version {judged.version.version}": _by_name(report.challenger_metrics)}
    if report.champion_metrics:
        rivals[judged.other] = _by_name(report.champion_metrics)
    rivals["simple model"] = _by_name(report.baseline_metrics)
    mine = rivals[f"version {judged.version.version}"]
    first = [name for name in _FIGURES if name in mine]  # what is paid for
    names = [name for name in dict.fromkeys((*first, *mine)) if judged.trade or name not in (*PER_1000, "value")]
    rows = [
        (
            f"{escape(words_of(name).title)}<small>{escape(words_of(name).said)}</small>",
            *(cell(metrics.get(name)) for metrics in rivals.values()),
        )
        for name in names
    ]

    def table(part: list[tuple[str, ...]]) -> str:
        return pages.table(("", *rivals), part, numbers=range(1, len(rivals) + 1))

    if not (more := rows[FIRST:]):
        return table(rows)
    return f"{table(rows[:FIRST])}<details><summary>{len(more)} more</summary>{table(more)}</details>"


def _changed(judged: Judged) -> str:
    if judged.before is None or judged.before_set is None:
        return "<h2>What changed</h2><p>This is held against no version before: none was live.</p>"
    rows = [tuple(map(escape, row)) for row in changes(judged)]
    number, now = judged.before.version, judged.version.version
    if not rows:
        return (
            f"<h2>What changed since version {number}</h2><p>Nothing: rows, features, parameters and libraries are the "
            "same.</p>"
        )
    return f"<h2>What changed since version {number}</h2>" + pages.table(
        ("", f"version {number}", f"version {now}"), rows
    )


def _looks_at(judged: Judged) -> str:
    ranked = judged.portrait.importance
    if not ranked:
        return ""
    origin = {feature.name: feature.origin.replace("_", " ") for feature in judged.training_set.spec.features}
    most = ranked[0][1] or 1.0
    rows = [
        (
            f"{escape(name)}<small>{'computed' if origin.get(name) == 'on demand' else origin.get(name, '')}</small>",
            percent(share),
            pages.bar(share / most),
        )
        for name, share in ranked
    ]
    rest = sum(share for _, share in ranked[LEADING:])
    more = f"<p class=dim>{len(ranked) - LEADING} more share {percent(rest)}.</p>" if len(ranked) > LEADING else ""
    of = f" of {judged.portrait.explained_rows:,} {escape(judged.things)}" if judged.portrait.explained_rows else ""
    return (
        f"<h2>What it looks at</h2><p class=dim>How much each moves the scores{of}, as a share of all movement.</p>"
        f"{pages.table(('', '', ''), rows[:LEADING], numbers=(1,))}{more}"
    )


def _for_engineers(judged: Judged, drawn: Mapping[str, str]) -> str:
    version, report = judged.version, judged.report
    panels = [picture for name, picture in drawn.items() if name.partition(" of ")[0] in FOR_ENGINEERS]
    learnt = judged.training_set
    facts = {
        "Bundle": version.sha256,
        "Evaluation": report.sha256,
        "Held against": report.champion_sha256 or "no version",
        "Policy of the gate": report.policy_sha256,
        "Training set": f"{learnt.table} version {learnt.version}, {version.training_set_sha256}",
        "Knows data until": f"{version.cut_off:%Y-%m-%d %H:%M} UTC",
        "Owner": judged.owner or "nobody named",
    }
    links = "".join(
        f'<li><a href="{escape(address)}">{escape(name)}</a></li>' for name, address in judged.links.items()
    )
    compared = (
        (escape(c.other), escape(c.metric), f"{c.difference:+.4g}", f"{c.low:.4g} to {c.high:.4g}", f"{c.p_value:.3g}")
        for c in report.comparisons
    )
    sources = (
        (escape(s.table), str(s.version), f"{s.rows:,}", f"<code>{s.sha256[:16]}</code>")
        for s in judged.training_set.sources
    )
    params = ((escape(name), f"<code>{escape(str(value))}</code>") for name, value in version.params.items())
    environment = ((escape(k), f"<code>{escape(v)}</code>") for k, v in version.reproducibility.items())
    return (
        f"<h2>For engineers</h2>{f'<ul>{links}</ul>' if links else ''}{_pair(panels)}"
        + "<h3>Paired comparisons the gate rests on</h3>"
        + pages.table(("against", "metric", "difference", "interval", "p"), compared, numbers=(2, 3, 4))
        + "<details><summary>Digests, data, parameters, environment</summary>"
        + pages.table(("", ""), ((name, f"<code>{escape(fact)}</code>") for name, fact in facts.items()))
        + pages.table(("table", "version", "rows", "digest"), sources, numbers=(1, 2))
        + pages.table(("parameter", "value"), params)
        + pages.table(("environment", ""), environment)
        + "</details>"
    )


_DISTANCES: Final = ("mae", "rmse", "r2")  # by which no forecast of a quantile is judged
_FIGURES: Final = (
    *PER_1000,
    "precision_at_capacity",
    "recall_at_capacity",
    "multiclass_accuracy",
    "top_label_ece",
    "coverage",
    "pinball",
    *_DISTANCES,
)


def _by_name(metrics: Iterable[Metric]) -> dict[str, Metric]:
    return {metric.name: metric for metric in metrics}


def _pair(panels: Iterable[str]) -> str:
    inside = "".join(panels)
    return f"<div class=pair>{inside}</div>" if inside else ""
