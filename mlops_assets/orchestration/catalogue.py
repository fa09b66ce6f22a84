"""The catalogue of features: what views there are, who answers for them, who uses them, and what they are worth.

For whoever looks whether a feature is there already before building it again.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime

import msgspec
import pyarrow.compute as pc

from mlops_assets.features import FeatureModule, FeaturePlan
from mlops_assets.features.redefinition import computation_of
from mlops_assets.orchestration.feature_table import FeatureTableDeclaration
from mlops_assets.orchestration.model_declaration import ModelFolder
from mlops_assets.orchestration.partitions import span_of
from mlops_assets.orchestration.steps import sealed_predictions
from mlops_assets.orchestration.steps.fitting.bundles import LoadedBundle
from mlops_assets.orchestration.steps.live.redefined import not_of_one
from mlops_assets.stores.home import Home
from mlops_assets.stores.predictions import StoredRow

WINDOWS_COUNTED = 4  # the newest sealed windows; older ones say how a view once did

_decode_stored = msgspec.json.Decoder(dict[str, StoredRow]).decode


@dataclass(frozen=True, slots=True, kw_only=True)
class Consumer:
    """A model that uses a view. `version` is what is live, None if nothing is.

    `coverage` is the share of its newest decisions that found a row; `importance` the share of its scores' movement
    that comes from features computed from the view, on held-out rows. Features computed from two views count in both.
    """

    model: str
    owner: str | None
    version: int | None
    features: tuple[str, ...]
    coverage: float | None
    importance: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CataloguedFeature:
    """One stored feature; `coverage` is the share of decisions, over all models, for which it had a value."""

    name: str
    dtype: str
    description: str
    default: float | str | None
    coverage: float | None
    importance: dict[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class CataloguedView:
    """One view. `newest` is the end of its newest partition, or its newest event time; None if it has no rows.

    `not_of_one` says which of its days, and of the live models that read it, are of another definition than declared.
    """

    name: str
    description: str
    owner: str | None
    entity: str | None
    keys: dict[str, str]
    computed_by: str
    ttl_s: float
    newest: datetime | None
    stale: bool
    consumers: tuple[Consumer, ...]
    features: tuple[CataloguedFeature, ...]
    not_of_one: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Usage:
    """What one model makes of views: the features it asks for, what moves its scores, and what it found."""

    model: str
    owner: str | None
    version: int | None
    inputs: frozenset[str]
    shares: Mapping[frozenset[str], float]  # by the stored features each slot of the vector is computed from
    decisions: int = 0
    found: Counter[str] = field(default_factory=Counter)  # rows by view
    known: Counter[str] = field(default_factory=Counter)  # values by feature

    def importance(self, features: Iterable[str]) -> float | None:
        wanted = {*features}
        return sum(share for inputs, share in self.shares.items() if inputs & wanted) if self.shares else None


def catalogue(
    views: Iterable[FeatureTableDeclaration], models: Mapping[str, ModelFolder], stores: Home, *, now: datetime
) -> list[CataloguedView]:
    """Give every declared view with what is known of it at `now`, by name."""
    views = sorted(views, key=lambda view: view.name)
    usages = [_usage(folder, views, stores) for folder in models.values()]
    return [_entry(view, usages, stores, now=now) for view in views]


def _entry(view: FeatureTableDeclaration, usages: Iterable[_Usage], stores: Home, *, now: datetime) -> CataloguedView:
    using = [usage for usage in usages if usage.inputs & view.features.keys()]
    newest = _newest(view, stores)
    return CataloguedView(
        name=view.name,
        description=view.description,
        owner=view.owner,
        entity=view.entity,
        keys={**view.keys},
        computed_by="aggregates" if view.aggregates else view.python.frames if view.python else "sql",
        ttl_s=view.ttl.total_seconds(),
        newest=newest,
        stale=newest is not None and now > newest + view.ttl,
        consumers=tuple(
            Consumer(
                model=usage.model,
                owner=usage.owner,
                version=usage.version,
                features=tuple(name for name in view.features if name in usage.inputs),
                coverage=_share(usage.found[view.name], usage.decisions),
                importance=usage.importance(view.features),
            )
            for usage in using
        ),
        features=tuple(
            CataloguedFeature(
                name=name,
                dtype=dtype,
                description=view.describe.get(name, ""),
                default=view.defaults.get(name),
                coverage=_share(sum(u.known[name] for u in using), sum(u.decisions for u in using)),
                importance={
                    usage.model: share
                    for usage in using
                    if name in usage.inputs and (share := usage.importance([name])) is not None
                },
            )
            for name, dtype in view.features.items()
        ),
        not_of_one=tuple(not_of_one(stores, computation_of(view)) if newest else ()),
    )


def _newest(view: FeatureTableDeclaration, stores: Home) -> datetime | None:
    table = f"features/{view.name}"
    if not stores.tables.exists(table):
        return None
    if days := stores.tables.partitions(table):
        return span_of(max(days)).end
    newest: datetime | None = pc.max(stores.tables.read(table, columns=["event_time"])["event_time"]).as_py()
    return newest


def _usage(folder: ModelFolder, views: Iterable[FeatureTableDeclaration], stores: Home) -> _Usage:
    """Tell of the live version, or of what is declared while nothing is live."""
    release = stores.releases.current(folder.name)
    if release is None:
        module = FeatureModule.load(folder.features_source, name=folder.name)
        plan = FeaturePlan(module, [view.record() for view in views if view.name in folder.declaration.views])
        stored = {feature.name for view in plan.views for feature in view.features}
        asked = frozenset(each.name for each in plan.inputs) & stored
        return _Usage(folder.name, folder.declaration.owner, None, asked, {})
    bundle = LoadedBundle.of(stores, folder.name, release.bundle_sha256)
    plan = bundle.vectorizer.plan
    stored = {feature.name for view in plan.views for feature in view.features}
    usage = _Usage(
        folder.name,
        folder.declaration.owner,
        release.version,
        frozenset(each.name for each in plan.inputs) & stored,
        _shares(bundle, stores, stored),
    )
    return _counted(usage, stores)


def _shares(bundle: LoadedBundle, stores: Home, stored: set[str]) -> dict[frozenset[str], float]:
    """Give the importance in the version's dossier, by the stored features each slot is computed from."""
    file = stores.dossiers / bundle.model / bundle.sha256 / "dossier.json"
    listed = msgspec.json.decode(file.read_bytes())["importance"] if file.exists() else []
    shares: Counter[frozenset[str]] = Counter()
    for each in listed:
        leaves = frozenset(_leaves(bundle.vectorizer.module, each["feature"])) & stored
        shares[leaves] += each["share"]
    return dict(shares)


def _leaves(module: FeatureModule, name: str) -> Iterator[str]:
    """Name the request fields and stored features a feature is computed from in the end."""
    if name not in module.functions:
        yield name
        return
    for argument in module.functions[name].arguments:
        yield from _leaves(module, argument)


def _counted(usage: _Usage, stores: Home) -> _Usage:
    """Count what the newest decisions found."""
    table = f"{usage.model}/predictions"
    if not stores.tables.exists(table):
        return usage
    windows = sorted(stores.tables.partitions(table))[-WINDOWS_COUNTED:]
    found: Counter[str] = Counter()
    known: Counter[str] = Counter()
    decisions = 0
    for text in sealed_predictions(stores, usage.model, partitions=windows)["stored"].to_pylist():
        decisions += 1
        for view, row in _decode_stored(text).items():
            if row.status == "ok":
                found[view] += 1
                known.update(name for name, value in row.values.items() if value is not None)
    return _Usage(usage.model, usage.owner, usage.version, usage.inputs, usage.shares, decisions, found, known)


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None
