"""How Python that travels inside a bundle is looked at and run."""

import ast
import sys
import traceback

import pytest

from mlops_assets.carried_code import imports, moods, run

MODULE = """\
from __future__ import annotations

from dataclasses import dataclass


@dataclass
class Net:
    width: int


def broken():
    raise ValueError("no net")
"""


def ran(source, module="carried_in_a_test"):
    return run(ast.parse(source), source, filename="<carried>", module=module)


def test_dataclasses_find_their_module():
    """They look among Python's modules for what their annotations mean."""
    namespace = ran(MODULE)

    assert namespace["Net"](width=3).width == 3


def test_tracebacks_show_the_line():
    """Whoever reads the endpoint's log sees the code that failed."""
    with pytest.raises(ValueError, match="no net") as failure:
        ran(MODULE)["broken"]()

    assert 'raise ValueError("no net")' in "".join(traceback.format_tb(failure.value.__traceback__))


def test_what_failed_leaves_no_module_behind():
    """Nobody imports half of it."""
    with pytest.raises(ZeroDivisionError):
        ran("1 / 0", module="carried_and_failed")

    assert "carried_and_failed" not in sys.modules


def test_imports_and_moods_are_found_with_their_lines():
    """Wherever they stand."""
    tree = ast.parse("import a.b\ndef f():\n    from ..c import d\n    return now(), x.now(), np.random.rand()\n")

    assert list(imports(tree)) == [(1, "a.b"), (3, "..c")]
    assert list(moods(tree)) == [(4, "the clock (`now`)"), (4, "chance (`random`)")]
