"""The modules of a project that some Python imports, found as Python finds them, without running any."""

import ast
import sysconfig
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import find_spec
from pathlib import Path

from mlops_assets.features.reached_code import PACKAGE, imported


def modules_of_project(source: str, *, file: Path, root: Path) -> dict[str, str]:
    """Give the texts of the project's modules that a text imports, and of those they import, by name.

    A package stands under its name and `PACKAGE`. Libraries are left out, also where the project holds their
    environment: the lock file says which they are.

    Args:
        source: The text.
        file: Where it was read, for messages.
        root: The project's folder.

    Raises:
        SyntaxError: A text is not Python; `filename` says which.
    """
    found: dict[str, str] = {}
    left = [("", file, source)]
    while left:
        module, path, text = left.pop()
        tree = ast.parse(text, str(path))
        for name in {name for name, _ in imported(tree, package=module.rpartition(".")[0])}:
            spec = _spec(name)
            origin = Path(spec.origin).resolve() if spec and spec.origin else None
            if spec is None or origin is None or origin.suffix != ".py" or not _is_of_project(origin, root.resolve()):
                continue
            key = name if spec.submodule_search_locations is None else name + PACKAGE
            if key not in found:
                found[key] = origin.read_text(encoding="utf-8")
                left.append((key, origin, found[key]))
    return dict(sorted(found.items()))


def _spec(module: str) -> ModuleSpec | None:
    """Say where a module is. `find_spec` alone would run the packages above it."""
    top, *below = module.split(".")
    try:
        spec = find_spec(top) if top else None
    except ValueError:  # it is there, and was not imported from anywhere
        return None
    name = top
    for part in below:
        name = f"{name}.{part}"
        places = spec.submodule_search_locations if spec else None
        spec = PathFinder.find_spec(name, places) if places is not None else None
    return spec


def _is_of_project(path: Path, root: Path) -> bool:
    libraries = (Path(sysconfig.get_path(name)).resolve() for name in ("stdlib", "purelib", "platlib"))
    outside = "site-packages" in path.parts or any(path.is_relative_to(library) for library in libraries)
    return path.is_relative_to(root) and not outside
