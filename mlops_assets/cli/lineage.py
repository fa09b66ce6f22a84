"""Lineage of a column, as text for people and as JSON for programs."""

import json
from collections.abc import Iterator, Sequence
from itertools import groupby

from mlops_assets.lineage import Kind, LineageGraph, Node

HEADINGS: dict[Kind, str] = {
    "source": "sources",
    "raw": "raw tables",
    "validated": "validated tables",
    "view": "feature views",
    "input": "model inputs",
    "feature": "features",
    "model": "models",
    "version": "versions",
    "endpoint": "endpoints",
}


def as_text(graph: LineageGraph, name: str, *, up: bool, down: bool) -> str:
    """Show what a column comes from and what it reaches, stage by stage."""
    node = graph.named(name)
    lines = []
    if up:
        lines += [f"{node} comes from", *_listed(graph, graph.up(node))]
    if down:
        lines += [f"{node} reaches", *_listed(graph, graph.down(node))]
    return "\n".join(lines)


def as_data(graph: LineageGraph, name: str, *, up: bool, down: bool) -> str:
    """Give the same as JSON, with the edges in between."""
    node = graph.named(name)
    found = {
        **({"up": graph.up(node)} if up else {}),
        **({"down": graph.down(node)} if down else {}),
    }
    there = {node, *(each for nodes in found.values() for each in nodes)}
    edges = sorted(edge for edge in graph.edges if edge.origin in there and edge.target in there)
    return json.dumps(
        {
            "of": _plain(graph, node),
            **{way: [_plain(graph, each) for each in nodes] for way, nodes in found.items()},
            "edges": [{"from": str(e.origin), "to": str(e.target), "by": e.by} for e in edges],
        },
        indent=2,
    )


def _listed(graph: LineageGraph, nodes: Sequence[Node]) -> Iterator[str]:
    if not nodes:
        yield "  nothing"
    # Each version's own features are in the data; as text they would say nearly the same over and over.
    shown = [node for node in nodes if not (node.kind == "feature" and "@" in node.asset)]
    for kind, stage in groupby(shown, key=lambda node: node.kind):
        for place, (asset, found) in enumerate(groupby(stage, key=lambda node: node.asset)):
            each = list(found)
            columns = ", ".join(node.column for node in each if node.column)
            known = ", ".join(_fact(name, value) for name, value in graph.facts.get(each[0], {}).items())
            said = ": ".join(part for part in (asset, columns or known) if part)
            yield f"  {'' if place else HEADINGS[kind]:<18}{said}"


def _fact(name: str, value: str) -> str:
    shown = value[:12] if name.endswith("sha256") else value
    return shown if name in {"state", "from", "url"} else f"{name} {shown}"


def _plain(graph: LineageGraph, node: Node) -> dict[str, str]:
    return {
        "name": str(node),
        "kind": node.kind,
        "asset": node.asset,
        "column": node.column,
        **graph.facts.get(node, {}),
    }
