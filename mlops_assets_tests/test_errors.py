"""Errors: one tree, facts that can be read, messages that name the nearest right spelling."""

import inspect

import pytest

from mlops_assets import errors
from mlops_assets.errors import DeclarationError, MlopsError, StoreError, UnknownNameError, examples

CLASSES = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if kind.__module__ == errors.__name__]


@pytest.mark.parametrize("kind", CLASSES)
def test_every_error_is_in_the_one_tree(kind):
    """Whoever catches `MlopsError` catches all of them."""
    assert issubclass(kind, MlopsError)


@pytest.mark.parametrize("kind", [kind for kind in CLASSES if kind.__bases__ == (MlopsError,) or kind is MlopsError])
def test_every_branch_is_drawn_in_the_tree_of_the_module(kind):
    """The page opens with the whole tree."""
    assert kind.__name__ in errors.__doc__


def test_facts_are_attributes():
    """The numbers of the case can be read without parsing the message."""
    error = StoreError("full", path="/x", errno=28)

    assert str(error) == "full"
    assert (error.path, error.errno, error.facts) == ("/x", 28, {"path": "/x", "errno": 28})


def test_a_fact_never_given_is_an_attribute_error():
    """`hasattr` and `getattr` with a default behave."""
    error = StoreError("full")

    assert not hasattr(error, "path")
    with pytest.raises(AttributeError, match="'StoreError' has no attribute 'path'"):
        _ = error.path


def test_an_unknown_name_comes_with_the_nearest():
    """A typo is answered by the right spelling and by all there is, sorted."""
    error = UnknownNameError("drift metric", "pis", known=["psi", "js", "chi_square"])

    assert str(error) == "drift metric 'pis' is not known. Did you mean 'psi'? Known: chi_square, js, psi."
    assert isinstance(error, (DeclarationError, ValueError, KeyError))


def test_a_name_like_nothing_known_gets_no_guess():
    """A far-fetched suggestion would mislead."""
    assert str(UnknownNameError("source", "zzz", known=["files"])) == "source 'zzz' is not known. Known: files."


def test_where_nothing_is_known_it_says_how_to_come_by_one():
    """A list of nothing would help nobody."""
    bare = UnknownNameError("source", "x", known=[])
    told = UnknownNameError("source", "x", known=[], if_none="Declare one.")
    there = UnknownNameError("source", "x", known=["files"], if_none="Declare one.")

    assert str(bare) == "source 'x' is not known, for there is none."
    assert str(told) == "source 'x' is not known, for there is none. Declare one."
    assert "Declare one" not in str(there)


@pytest.mark.parametrize(
    ("values", "shown"), [([], ""), (["a"], "a"), (range(5), "0, 1, 2, 3, 4"), (range(7), "0, 1, 2, 3, 4 and 2 more")]
)
def test_examples_are_at_most_five(values, shown):
    """A message stays short, and says how much it leaves out."""
    assert examples(values) == shown
