"""The catalogue of features, as text for people and as JSON for programs."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from datetime import datetime, timedelta

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from mlops_assets.cli.printing import console
from mlops_assets.errors import UnknownNameError
from mlops_assets.orchestration.catalogue import CataloguedView, Consumer


def named(views: Sequence[CataloguedView], name: str | None) -> Sequence[CataloguedView]:
    """Give all views, or the one asked for.

    Raises:
        UnknownNameError: There is none of that name.
    """
    if name is None:
        return views
    if not (found := [view for view in views if view.name == name]):
        raise UnknownNameError("feature view", name, known=[view.name for view in views])
    return found


def as_data(views: Sequence[CataloguedView]) -> str:
    """Give the catalogue as JSON."""
    return json.dumps([asdict(view) for view in views], indent=2, default=_plain)


def show_catalogue(views: Sequence[CataloguedView], *, now: datetime) -> None:
    """Print a row per view."""
    table = Table("view", "found by", "features", "owner", "newest", "used by", expand=True)
    for view in views:
        table.add_row(
            Text(view.name),
            ", ".join(view.keys),
            str(len(view.features)),
            view.owner or "",
            _freshness(view, now),
            "\n".join(f"{_who(each.model, each.version)}{_shares(each)}" for each in view.consumers) or "nobody",
        )
    console().print(table, Text("`mlops features VIEW` shows the features of one."))


def show_view(view: CataloguedView, *, now: datetime) -> None:
    """Print a view with its features and consumers."""
    console().print(Group(*_details(view, now)))


def _details(view: CataloguedView, now: datetime) -> Iterator[RenderableType]:
    keys = ", ".join(f"{name} ({dtype})" for name, dtype in view.keys.items())
    yield Text(f"{view.name}: {view.description}")
    yield Text(f"  owner      {view.owner or 'nobody'}")
    yield Text(f"  found by   {keys}" + (f", the keys of {view.entity}" if view.entity else ""))
    yield Text(f"  computed   by {view.computed_by}")
    yield Text(f"  newest     {_freshness(view, now)}; a row holds for {_span(view.ttl_s)}")
    for each in view.consumers:
        yield Text(
            f"  used by    {_who(each.model, each.version)}, {each.owner or 'without owner'}: {len(each.features)} "
            f"features{_shares(each)}"
        )
    for said in view.not_of_one:
        yield Text(f"  beware     {said}")
    table = Table("feature", "type", "meaning", "default", "coverage", "importance", expand=True)
    for feature in view.features:
        table.add_row(
            Text(feature.name),
            feature.dtype,
            Text(feature.description),
            "" if feature.default is None else str(feature.default),
            _percent(feature.coverage),
            "\n".join(f"{model} {_percent(share)}" for model, share in feature.importance.items()),
        )
    yield table


def _shares(consumer: Consumer) -> str:
    """Give what a model gets of a view, as far as it is known."""
    shares = {"coverage": consumer.coverage, "importance": consumer.importance}
    return "".join(f", {name} {_percent(share)}" for name, share in shares.items() if share is not None)


def _span(seconds: float) -> str:
    days, rest = divmod(timedelta(seconds=seconds), timedelta(days=1))
    return ", ".join([*([f"{days} days"] if days else []), *([f"{rest} hours"] if rest else [])])


def _who(model: str, version: int | None) -> str:
    return f"{model} v{version}" if version else f"{model} (nothing live)"


def _freshness(view: CataloguedView, now: datetime) -> str:
    if view.newest is None:
        return "no rows yet"
    return f"{view.newest:%Y-%m-%d %H:%M}" + (", older than its ttl" if view.stale else "")


def _percent(share: float | None) -> str:
    return "" if share is None else f"{share:.1%}"


def _plain(value: object) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    raise TypeError(f"{value!r} has no form in JSON")
