"""What was found in a batch, as one page for people: it needs no script, no style sheet and no network."""

from collections.abc import Sequence
from html import escape

from mlops_assets.pages import document, table
from mlops_assets.records import BatchQuality, ExpectationResult
from mlops_assets.validation.trend import Bar, Point, bars, line


def page(quality: BatchQuality, history: Sequence[tuple[str, BatchQuality]]) -> str:
    """Give the page of a batch.

    Args:
        quality: What was found in it.
        history: The last batches with the places of their pages below the table's folder; this one is the last.
    """
    day = quality.partition or "read whole"
    return document(
        f"{quality.table}, {day}: data quality",
        f"<h1>{escape(quality.table)} <span class=dim>{escape(day)}</span></h1>"
        f"{_verdict(quality)}{_figures(quality)}{_trend(history)}{_rules(quality)}{_expectations(quality, history)}"
        f"<p class=dim>Judged at {quality.at:%Y-%m-%d %H:%M} UTC.</p>",
    )


def _verdict(quality: BatchQuality) -> str:
    warned = [each for each in quality.expectations if not each.success and each.severity == "warn"]
    if quality.blocked:
        return (
            f'<p><span class="verdict blocked">blocked</span> Nothing of this batch goes on, and what was there before '
            f"stays.</p><p>{escape(quality.blocked)}</p>"
        )
    if quality.quarantined:
        return '<p><span class="verdict part">let through in part</span> Rows that break a rule are held.</p>'
    kept = "Every row breaks waived rules at most." if quality.waived else "Every row keeps the contract."
    if warned:
        return f'<p><span class="verdict warned">let through with a warning</span> {kept}</p>'
    return f'<p><span class="verdict passed">let through</span> {kept}</p>'


def _figures(quality: BatchQuality) -> str:
    on = 0 if quality.blocked else quality.rows - quality.quarantined
    asked = len(quality.expectations)
    figures = {
        "rows came": f"{quality.rows:,}",
        "went on": f"{on:,}",
        "held in quarantine": f"{quality.quarantined:,}",
        "rules waived": str(len(quality.waivers)),
    }
    if asked:
        figures["expectations met"] = f"{sum(each.success for each in quality.expectations)} of {asked}"
    cells = "".join(f"<div><dt>{name}</dt><dd>{value}</dd></div>" for name, value in figures.items())
    return f"<dl>{cells}</dl>"


def _rules(quality: BatchQuality) -> str:
    """Lay out every rule that rows were held to and what people waived, with those that are broken first."""
    broken = quality.rules | quality.waived
    names = {**quality.asked, **quality.rules, **dict.fromkeys(quality.waivers)}
    if not names:
        return ""
    version = f", version {quality.contract}" if quality.contract else ""
    lines = [
        (
            _rule(name, quality),
            f"{quality.rows:,}" if name in quality.asked or name in quality.rules else "–",
            f"{broken.get(name, 0):,}",
            f"{broken.get(name, 0) / max(1, quality.rows):.2%}",
            _fate(name, quality),
        )
        for name in sorted(names, key=lambda name: -broken.get(name, 0))
    ]
    head = ("rule", "rows looked at", "rows that break it", "share", "")
    return f"<h2>Rules of the contract{version}</h2>{_counted(quality)}{table(head, lines, numbers=(1, 2, 3))}"


def _counted(quality: BatchQuality) -> str:
    """Say how many rules there are and how many are broken, where that was noted."""
    if not quality.asked:
        return ""
    found = sum(name in quality.rules or name in quality.waived for name in quality.asked)
    said = f"{found or 'none'} {'is' if found == 1 else 'are'} broken"
    return (
        f"<p class=dim>Every row was held to each of {len(quality.asked)} rules; {said}. A value that is missing "
        "where it may be breaks none.</p>"
    )


def _rule(name: str, quality: BatchQuality) -> str:
    demand = quality.asked.get(name, "")
    return f"<code>{escape(name)}</code>{f'<small>{escape(demand)}</small>' if demand else ''}"


def _fate(name: str, quality: BatchQuality) -> str:
    if name in quality.rules:
        return "<span class=failed>holds them back</span>"
    return "<span class=warns>waived</span>" if name in quality.waivers else "<span class=met>kept</span>"


def _expectations(quality: BatchQuality, history: Sequence[tuple[str, BatchQuality]]) -> str:
    if not quality.expectations:
        return ""
    head = "<tr><th>of</th><th>expectation</th><th class=number>found</th><th>last batches</th><th></th></tr>"
    lines = "".join(
        f"<tr><td>{escape(each.column or 'the table')}</td><td>{escape(_words(each.name))}<br>"
        f"<code>{escape(each.expected)}</code>{_why(each)}</td>"
        f'<td class="number found">{escape(_shown(each.observed))}</td>'
        f"<td>{line([_point(each, number, batch) for _, batch in history])}</td><td>{_mark(each, quality)}</td></tr>"
        for number, each in sorted(enumerate(quality.expectations), key=lambda asked: asked[1].success)
    )
    return f"<h2>The batch as a whole</h2><div class=scroll><table>{head}{lines}</table></div>"


def _trend(history: Sequence[tuple[str, BatchQuality]]) -> str:
    if len(history) < 2:
        return ""
    drawn = bars([_bar(place, batch) for place, batch in history])
    first, last = history[0][1], history[-1][1]
    return (
        f"<h2>The last {len(history)} batches</h2><p class=dim>Rows of each, {_name(first)} to {_name(last)}; a bar "
        'leads to its page. <span class=key style="--tone:var(--good)">went on</span>'
        '<span class=key style="--tone:var(--held)">held</span>'
        f'<span class=key style="--tone:var(--stopped)">blocked</span></p><div class=scroll>{drawn}</div>'
    )


def _bar(place: str, batch: BatchQuality) -> Bar:
    said = f"{_name(batch)}: {batch.rows:,} rows, {batch.quarantined:,} held{', blocked' if batch.blocked else ''}"
    return Bar(batch.rows - batch.quarantined, batch.quarantined, bool(batch.blocked), said, f"../{place}")


def _point(asked: ExpectationResult, number: int, batch: BatchQuality) -> Point | None:
    """Give what the same line of the suite found in another batch, as far as it is a number."""
    if number >= len(batch.expectations):
        return None
    found = batch.expectations[number]
    if found.rule != asked.rule or not isinstance(found.observed, float):
        return None
    return Point(found.observed, not found.success, f"{_name(batch)}: {_shown(found.observed)}")


def _name(batch: BatchQuality) -> str:
    return batch.partition or f"{batch.at:%Y-%m-%d %H:%M}"


def _words(name: str) -> str:
    return name.removeprefix("expect_").replace("_", " ")


def _why(each: ExpectationResult) -> str:
    return f"<span class=why>{escape(each.why)}</span>" if each.why else ""


def _mark(each: ExpectationResult, quality: BatchQuality) -> str:
    if each.success:
        return "<span class=met>met</span>"
    if each.rule in quality.waivers:
        return "<span class=warns>waived</span>"
    return f"<span class={'failed' if each.blocks else 'warns'}>not met{'' if each.blocks else ', warns'}</span>"


def _shown(observed: float | str | None) -> str:
    if isinstance(observed, float):
        return f"{observed:,.0f}" if observed == int(observed) and abs(observed) >= 2 else f"{observed:,.4g}"
    return observed or ""
