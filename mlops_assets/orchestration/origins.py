"""What each column of an asset is made of, one step back: the one place that Dagster's pages and our graph ask."""

from collections.abc import Iterable, Mapping, Sequence

from mlops_assets.features import FeatureModule, FeaturePlan
from mlops_assets.features.definition import ViewDefinition, lineage
from mlops_assets.features.join import DECISION_TIME
from mlops_assets.orchestration.model_declaration import ModelFolder
from mlops_assets.orchestration.steps.datasets.training_sets import LABEL, PART
from mlops_assets.orchestration.steps.fitting.bundles import LoadedBundle
from mlops_assets.records import FeatureVectorSpec, FeatureView
from mlops_assets.stores.home import Home

Origins = dict[str, tuple[tuple[str, str], ...]]  # per column the (asset, column) pairs it is made of


def of_copy(asset: str, columns: Iterable[str]) -> Origins:
    """Give the origins of a table that holds rows of `asset` as they are."""
    return {column: ((asset, column),) for column in columns}


def of_view(view: ViewDefinition, columns: Mapping[str, Sequence[str]]) -> Origins:
    """Give the origins of a view's stored columns; `columns` are those of its tables by name."""
    return {
        column: tuple((f"validated/{table}", name) for table, name in sources)
        for column, sources in lineage(view, columns).items()
    }


def plan_of(folder: ModelFolder, views: Mapping[str, FeatureView]) -> FeaturePlan:
    """Give a model's features as its folder has them now, over those of `views` that it names."""
    module = FeatureModule.load(folder.features_source, name=folder.name)
    return FeaturePlan(module, [views[name] for name in folder.declaration.views if name in views])


def plan_as_trained(folder: ModelFolder, spec: FeatureVectorSpec) -> FeaturePlan:
    """Give a model's features over the views a training set was joined with."""
    return FeaturePlan(FeatureModule.load(folder.features_source, name=folder.name), spec.views)


def of_training_set(folder: ModelFolder, plan: FeaturePlan) -> Origins:
    """Give the origins of a model's training set: view features, request fields, keys, decision time and label."""
    about = folder.declaration.decisions
    table = f"validated/{about.table}"
    found: Origins = of_copy(
        table, [about.key, *(field.name for field in plan.module.request), *folder.declaration.gate.columns_beside]
    )
    found[DECISION_TIME] = found[PART] = ((table, about.time),)
    found[LABEL] = tuple((table, column) for column in folder.label_columns)
    for view in plan.views:
        stored = f"features/{view.name}"
        for key in view.keys:
            found.setdefault(key.name, tuple((table, name) for name in requested(plan, key.name)))
        found |= of_copy(stored, (feature.name for feature in view.features))
        found[f"{view.name}__status"] = ((stored, "event_time"), (stored, "known_at"))
        found[f"{view.name}__event_time"] = ((stored, "event_time"),)
    return found


def of_predictions(stores: Home, model: str) -> Origins:
    """Give the origins of what sealed predictions hold of stored features, as the live version reads them."""
    release = stores.releases.current(model)
    if release is None:
        return {}
    plan = LoadedBundle.of(stores, model, release.bundle_sha256).vectorizer.plan
    stored = {field.name: f"features/{view.name}" for view in plan.views for field in view.features}
    read = tuple((stored[field.name], field.name) for field in plan.inputs if field.name in stored)
    return dict.fromkeys(("stored", "vector", "score", "decision"), read)


def requested(plan: FeaturePlan, name: str) -> tuple[str, ...]:
    """Give the request fields and stored features that a name is computed from, by way of functions if need be."""
    function = plan.module.functions.get(name)
    if function is None:
        return (name,)
    return tuple(dict.fromkeys(leaf for argument in function.arguments for leaf in requested(plan, argument)))
