"""The graph of lineage, walked up and down, and its names."""

import pytest

from mlops_assets.errors import UnknownNameError
from mlops_assets.lineage import Edge, LineageGraph, Node

SOURCE = Node("source", "source/flights")
RAW_DELAY, RAW_CARRIER = (Node("raw", "raw/flights", name) for name in ("arr_delay", "carrier"))
DELAY, CARRIER = (Node("validated", "validated/flights", name) for name in ("arr_delay", "carrier"))
RATE, KEY = (Node("view", "features/carriers", name) for name in ("late_rate", "carrier"))
RATE_OF_WEATHER = Node("view", "features/flights", "carrier")
MODEL = Node("model", "delay")

GRAPH = LineageGraph(
    frozenset({
        Edge(SOURCE, RAW_DELAY), Edge(SOURCE, RAW_CARRIER), Edge(RAW_DELAY, DELAY), Edge(RAW_CARRIER, CARRIER),
        Edge(DELAY, RATE), Edge(CARRIER, KEY), Edge(KEY, RATE, by="key"), Edge(RATE, MODEL),
        Edge(CARRIER, RATE_OF_WEATHER),
    }),
    {SOURCE: {"from": "files"}},
)  # fmt: skip


def test_down_gives_all_that_a_column_reaches_in_the_order_of_the_stages():
    """Once each, itself left out."""
    assert GRAPH.down(RAW_DELAY) == [DELAY, RATE, MODEL]


def test_versions_are_listed_by_number():
    """The tenth comes after the ninth."""
    edges = {Edge(Node("model", "m"), Node("version", f"m@{number}")) for number in (10, 9, 1)}

    reached = LineageGraph(frozenset(edges), {}).down(Node("model", "m"))

    assert [node.asset for node in reached] == ["m@1", "m@9", "m@10"]


def test_up_gives_all_that_it_comes_from_sources_first():
    """By its keys, too."""
    assert GRAPH.up(MODEL) == [SOURCE, RAW_DELAY, RAW_CARRIER, DELAY, CARRIER, KEY, RATE]


def test_keys_can_be_left_out():
    """What a value is computed from, and not what it is found by."""
    assert GRAPH.up(MODEL, by=["value"]) == [SOURCE, RAW_DELAY, DELAY, RATE]


def test_a_circle_ends():
    """Lineage has none; a walk must not hang where a fault makes one."""
    circle = LineageGraph(frozenset({Edge(DELAY, RATE), Edge(RATE, DELAY)}))

    assert circle.down(DELAY) == [RATE]


@pytest.mark.parametrize(
    ("name", "node"),
    [
        ("raw/flights.arr_delay", RAW_DELAY),
        ("validated/flights.arr_delay", DELAY),
        ("flights.arr_delay", RAW_DELAY),
        ("flights.carrier", RAW_CARRIER),
        ("features/flights.carrier", RATE_OF_WEATHER),
        ("carriers.late_rate", RATE),
        ("delay", MODEL),
    ],
)
def test_a_short_name_means_the_node_nearest_to_the_source(name, node):
    """A view that is called as a table is asked for with its stage."""
    assert GRAPH.named(name) == node


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("flights.arr_dely", "column of raw/flights 'arr_dely' is not known. Did you mean 'arr_delay'?"),
        ("carriers.late", "column of features/carriers 'late' is not known. Did you mean 'late_rate'?"),
        ("fligths.carrier", "table, view or model 'fligths' is not known. Did you mean 'flights'?"),
        ("dely", "table, view or model 'dely' is not known. Did you mean 'delay'?"),
    ],
)
def test_an_unknown_name_is_told_with_the_nearest(name, told):
    """Of a known table the nearest column, else the nearest table."""
    with pytest.raises(UnknownNameError) as refused:
        GRAPH.named(name)

    assert str(refused.value).startswith(told)
