"""The lineage of a whole project: source, raw and validated column, view, model input, feature, version, endpoint.

`declared_lineage` follows what is declared now. `lineage_of_versions` adds what was trained, each version by the
features and views in its own bundle, for they may be others than today's.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from mlops_assets.features import FeaturePlan
from mlops_assets.features.definition import STAMPS, ViewDefinition
from mlops_assets.features.row_sources import row_sources_of
from mlops_assets.governance import Event
from mlops_assets.lineage import Edge, Kind, LineageGraph, Node
from mlops_assets.orchestration.model_declaration import ModelFolder
from mlops_assets.orchestration.origins import Origins, of_copy, of_training_set, of_view, plan_of
from mlops_assets.orchestration.steps.datasets.training_sets import LABEL
from mlops_assets.orchestration.steps.fitting.bundles import LoadedBundle
from mlops_assets.orchestration.table_declaration import TableDeclaration
from mlops_assets.stores.home import Home

Tables = Mapping[str, tuple[Path, TableDeclaration]]
Views = Mapping[str, tuple[Path, ViewDefinition]]
Models = Mapping[str, ModelFolder]

STAGES: Mapping[str, Kind] = {"raw": "raw", "validated": "validated", "features": "view"}


def declared_lineage(*, tables: Tables, views: Views, models: Models) -> LineageGraph:
    """Give the graph of everything declared, from sources to models."""
    edges: set[Edge] = set()
    facts: dict[Node, Mapping[str, str]] = {}
    columns = {name: tuple(table.contract.columns) for name, (_, table) in tables.items()}
    for name, (_, table) in tables.items():
        source = Node("source", f"source/{name}")
        facts[source] = {"from": table.places}
        edges |= {Edge(source, Node("raw", f"raw/{name}", column)) for column in columns[name]}
        edges |= set(_edges(f"validated/{name}", of_copy(f"raw/{name}", columns[name])))
    for name, (_, view) in views.items():
        edges |= set(_edges(f"features/{name}", of_view(view, columns)))
        edges |= _by_key(f"features/{name}", view.keys, [*view.features, *STAMPS])
        chosen_by = row_sources_of(view.sql, tables=view.tables, columns=columns) if view.sql else ()
        for read, chooses in chosen_by:
            edges |= _by(column(f"validated/{read}", chooses), f"features/{name}", view.features)
    for name, folder in models.items():
        plan = plan_of(folder, {name: view.record() for name, (_, view) in views.items()})
        edges |= _edges_of_inputs(folder, plan) | _edges_of_features(name, name, plan)
        edges |= {Edge(Node("feature", name, feature), Node("model", name)) for feature in plan.module.features}
        edges.add(Edge(_input(name, LABEL), Node("model", name)))
    return LineageGraph(frozenset(edges), facts)


def lineage_of_versions(stores: Home, models: Models) -> LineageGraph:
    """Give the graph from model inputs to every trained version and to the endpoint that serves one, with digests."""
    edges: set[Edge] = set()
    facts: dict[Node, Mapping[str, str]] = {}
    for name, folder in models.items():
        release = stores.releases.current(name)
        was_live = _ever_live(stores, name)
        for trained in stores.state.versions(name):
            asset, sha256 = f"{name}@{trained.version}", trained.bundle_sha256
            node = Node("version", asset)
            live = release is not None and release.bundle_sha256 == sha256
            state = "live" if live else "was live" if sha256 in was_live else "never live"
            facts[node] = {"state": state, "bundle_sha256": sha256}
            plan = LoadedBundle.of(stores, name, sha256).vectorizer.plan
            edges |= _edges_of_inputs(folder, plan) | _edges_of_features(asset, name, plan)
            edges |= {Edge(Node("feature", asset, feature), node) for feature in plan.module.features}
            edges.add(Edge(_input(name, LABEL), node))
            if live and release is not None:
                endpoint = Node("endpoint", f"{name}/endpoint")
                edges.add(Edge(node, endpoint))
                where = {"url": stores.endpoint_url} if stores.endpoint_url else {}
                facts[endpoint] = {"version": str(release.version), "generation": str(release.generation), **where}
    return LineageGraph(frozenset(edges), facts)


def column(asset: str, name: str) -> Node:
    """Give the node of a column of a stored asset."""
    return Node(STAGES.get(asset.partition("/")[0], "input"), asset, name)


def _input(model: str, name: str) -> Node:
    return column(f"{model}/training_set", name)


def _edges(asset: str, origins: Origins) -> Iterator[Edge]:
    for name, pairs in origins.items():
        for pair in pairs:
            yield Edge(column(*pair), column(asset, name))


def _by_key(asset: str, keys: Iterable[str], columns: Sequence[str]) -> set[Edge]:
    """Give the edges from a view's keys, by which it groups its rows and by which they are found."""
    return {edge for key in keys for edge in _by(column(asset, key), asset, columns)}


def _by(origin: Node, asset: str, columns: Iterable[str]) -> set[Edge]:
    return {Edge(origin, column(asset, name), by="key") for name in columns}


def _edges_of_inputs(folder: ModelFolder, plan: FeaturePlan) -> set[Edge]:
    edges = set(_edges(f"{folder.name}/training_set", of_training_set(folder, plan)))
    for view in plan.views:
        names = [field.name for field in view.features]
        edges |= _by_key(f"{folder.name}/training_set", [key.name for key in view.keys], names)
    return edges


def _edges_of_features(asset: str, model: str, plan: FeaturePlan) -> set[Edge]:
    """Give the edges from a model's inputs to its features, by way of the functions in between."""
    edges: set[Edge] = set()
    waiting, seen = list(plan.module.features), set(plan.module.features)
    while waiting:
        name = waiting.pop()
        node = Node("feature", asset, name)
        function = plan.module.functions.get(name)
        for argument in function.arguments if function else ():
            stored = argument not in plan.module.functions
            edges.add(Edge(_input(model, argument) if stored else Node("feature", asset, argument), node))
            if not stored and argument not in seen:
                seen.add(argument)
                waiting.append(argument)
        if function is None:
            edges.add(Edge(_input(model, name), node))
    return edges


def _ever_live(stores: Home, model: str) -> set[str]:
    came = (Event.DEPLOYMENT_COMPLETED, Event.ROLLED_BACK)
    return {str(e.subject["bundle_sha256"]) for e in stores.state.audit_entries(model=model) if e.event in came}
