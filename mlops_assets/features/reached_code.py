"""What of some Python can have a part in what one of its functions gives, also in modules of the project it imports.

Comments, layout and docstrings are no part of it, nor is what the function does not reach. Where nobody can tell, it
counts.
"""

import ast
from collections.abc import Iterator, Mapping
from importlib.util import resolve_name

OWN = ""  # the text the function is in, among the modules it reaches
NOTHING, EVERYTHING = "", "*"  # what may be wanted of a module beside one of its names
PACKAGE = ".__init__"  # ends the names of packages, so that all before the last dot is what `.` means in the text


def reached(source: str, function: str, *, modules: Mapping[str, str]) -> dict[str, list[str]]:
    """Give the statements that may have a part in what a function gives, by module, in a form fit to be compared.

    Args:
        source: The text the function is in; its statements stand under `OWN`.
        function: Its name.
        modules: The texts of modules it may import, by name; of a package with `PACKAGE` behind it.

    Raises:
        SyntaxError: A text is not Python.
    """
    bodies = {name: _statements(text) for name, text in {OWN: source, **modules}.items()}
    kept: dict[str, set[int]] = {}
    wanted, seen = [(OWN, function)], set[tuple[str, str]]()
    while wanted:
        if (asked := wanted.pop()) in seen:
            continue
        seen.add(asked)
        module, name = asked
        package = module.rpartition(".")[0]
        if module not in kept:  # an import runs what it imports, whether or not the name is used
            kept[module] = set()
            whole = (each for each in bodies[module] if isinstance(each, ast.Import | ast.ImportFrom))
            wanted += [(key, NOTHING) for each in whole for key, _ in _of_modules(each, package, bodies)]
        for place, statement in enumerate(bodies[module]):
            binds = _bound_by(statement)
            if place not in kept[module] and (not binds or name == EVERYTHING or name in binds):
                kept[module].add(place)
                wanted += [(module, node.id) for node in ast.walk(statement) if isinstance(node, ast.Name)]
                wanted += _of_modules(statement, package, bodies)
    return {module: [ast.dump(bodies[module][place]) for place in sorted(places)] for module, places in kept.items()}


def imported(tree: ast.AST, *, package: str) -> Iterator[tuple[str, str]]:
    """Give what is imported anywhere in the code: each module it may be from, and the name wanted of it.

    `from shop import late` may be of a name in `shop`, or of the module `shop.late`: both are given.
    """
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, EVERYTHING
                yield from ((above, NOTHING if alias.asname else EVERYTHING) for above in _above(alias.name))
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                try:
                    base = resolve_name("." * node.level + base, package)
                except ImportError:  # it runs into that, too
                    continue
            yield from ((above, NOTHING) for above in _above(base))
            for alias in node.names:
                yield base, alias.name
                yield f"{base}.{alias.name}", EVERYTHING


def _above(module: str) -> list[str]:
    parts = module.split(".")
    return [".".join(parts[:end]) for end in range(1, len(parts))]


def _of_modules(tree: ast.AST, package: str, bodies: Mapping[str, object]) -> list[tuple[str, str]]:
    """Give what code imports from those modules whose text is there."""
    found = imported(tree, package=package)
    return [(key, name) for module, name in found for key in (module, module + PACKAGE) if key in bodies]


def _statements(text: str) -> list[ast.stmt]:
    tree = ast.parse(text)
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            node.body = [each for each in node.body if not _is_text(each)]
    return tree.body


def _bound_by(statement: ast.stmt) -> set[str]:
    """Name what a statement does nothing but bind; empty for one that may do more."""
    match statement:
        case ast.FunctionDef(decorator_list=[]) | ast.ClassDef(decorator_list=[]):
            return {statement.name}
        case ast.Import() | ast.ImportFrom():
            names = {(alias.asname or alias.name).partition(".")[0] for alias in statement.names}
            return set() if "*" in names else names
        case ast.Assign(targets=[ast.Name(id=name)]) | ast.AnnAssign(target=ast.Name(id=name)):
            return set() if any(isinstance(node, ast.Call) for node in ast.walk(statement)) else {name}
        case _:
            return set()


def _is_text(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
