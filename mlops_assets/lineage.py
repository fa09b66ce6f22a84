"""Where columns come from and what they reach: one graph as plain data, and the ways through it.

A node is a column of an asset, or what stands beside columns: a source, a model, one of its versions, an endpoint. An
edge says that its target is computed from its origin (`value`), or that its rows are chosen, grouped or found by it
(`key`).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

from mlops_assets.errors import UnknownNameError

Kind = Literal["source", "raw", "validated", "view", "input", "feature", "model", "version", "endpoint"]
By = Literal["value", "key"]
KINDS: tuple[Kind, ...] = ("source", "raw", "validated", "view", "input", "feature", "model", "version", "endpoint")


@dataclass(frozen=True, slots=True, order=True)
class Node:
    """A column of `asset` (`raw/flights`, `features/weather`, `delay`, `delay@3`), or all of it where there is none."""

    kind: Kind
    asset: str
    column: str = ""

    def __str__(self) -> str:
        return f"{self.asset}.{self.column}" if self.column else self.asset

    @property
    def short(self) -> str:
        """Give the name without the stage before it: `flights.arr_delay` for `raw/flights.arr_delay`."""
        return str(self).partition("/")[2] if self.kind in {"raw", "validated", "view"} else str(self)


@dataclass(frozen=True, slots=True, order=True)
class Edge:
    """One step of lineage, from what was there first to what was made of it."""

    origin: Node
    target: Node
    by: By = "value"


@dataclass(frozen=True)
class LineageGraph:
    """Edges, and what else is known of a node by name, such as a version's digest.

    >>> raw, good = Node("raw", "raw/flights", "dest"), Node("validated", "validated/flights", "dest")
    >>> [str(node) for node in LineageGraph(frozenset({Edge(raw, good)})).down(raw)]
    ['validated/flights.dest']
    """

    edges: frozenset[Edge]
    facts: Mapping[Node, Mapping[str, str]] = field(default_factory=dict)

    def __or__(self, other: "LineageGraph") -> "LineageGraph":
        return LineageGraph(self.edges | other.edges, {**self.facts, **other.facts})

    @cached_property
    def nodes(self) -> frozenset[Node]:
        """Everything that has an edge or a fact."""
        return frozenset({node for edge in self.edges for node in (edge.origin, edge.target)} | self.facts.keys())

    def up(self, *nodes: Node, by: Iterable[By] = ("value", "key")) -> list[Node]:
        """Give everything the nodes come from, sources first."""
        return self._reach(nodes, self._origins, frozenset(by))

    def down(self, *nodes: Node, by: Iterable[By] = ("value", "key")) -> list[Node]:
        """Give everything the nodes reach, endpoints last."""
        return self._reach(nodes, self._targets, frozenset(by))

    def origins(self, node: Node) -> list[Node]:
        """Give what a node is made of, one step back."""
        return sorted(edge.origin for edge in self._origins.get(node, ()))

    def named(self, name: str) -> Node:
        """Give the node of a name, in full or without its stage; of `flights.dest`, the one nearest to the source.

        Raises:
            UnknownNameError: There is none; the message holds the nearest right spelling.
        """
        for node in self._in_order:
            if name in (str(node), node.short):
                return node
        asset, dot, column = name.rpartition(".")
        owners = [node for node in self._in_order if asset in (node.asset, Node(node.kind, node.asset).short)]
        if dot and owners:
            known = {node.column for node in owners if node.asset == owners[0].asset and node.column}
            raise UnknownNameError(f"column of {owners[0].asset}", column, known=known)
        known = {Node(node.kind, node.asset).short for node in self.nodes if node.kind != "source"}
        raise UnknownNameError("table, view or model", asset or name, known=known)

    @cached_property
    def _in_order(self) -> list[Node]:
        return sorted(self.nodes, key=_place)

    @cached_property
    def _origins(self) -> dict[Node, set[Edge]]:
        return self._edges_by({edge: edge.target for edge in self.edges})

    @cached_property
    def _targets(self) -> dict[Node, set[Edge]]:
        return self._edges_by({edge: edge.origin for edge in self.edges})

    @staticmethod
    def _edges_by(ends: Mapping[Edge, Node]) -> dict[Node, set[Edge]]:
        found: dict[Node, set[Edge]] = {}
        for edge, end in ends.items():
            found.setdefault(end, set()).add(edge)
        return found

    def _reach(self, start: Iterable[Node], steps: Mapping[Node, set[Edge]], by: frozenset[By]) -> list[Node]:
        begun = set(start)
        seen, waiting = set(begun), list(begun)
        while waiting:
            for edge in steps.get(waiting.pop(), ()):
                for node in (edge.origin, edge.target):
                    if edge.by in by and node not in seen:
                        seen.add(node)
                        waiting.append(node)
        return sorted(seen - begun, key=_place)


def _place(node: Node) -> tuple[int, str, int, Node]:
    asset, _, version = node.asset.partition("@")
    return KINDS.index(node.kind), asset, int(version) if version.isdecimal() else 0, node
