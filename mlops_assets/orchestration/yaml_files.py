"""What is wrong with YAML files as files, told before anything in them is taken for a declaration."""

from collections.abc import Iterator, Sequence
from importlib import import_module
from pathlib import Path

import yaml

from mlops_assets.errors import DeclarationError, UnknownNameError

LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def require_readable(defs: Path, *, components: Sequence[str]) -> None:
    """Make sure that every `defs.yaml` below `defs` is YAML, says nothing twice, and names components that exist.

    Args:
        defs: The folder of the project's declarations.
        components: What `type` may be; others that can be imported pass as well.

    Raises:
        DeclarationError: One is not, with file and line of each fault.
    """
    problems = [
        f"{file.parent.name}/{file.name}:{line}: {what}"
        for file in sorted(defs.rglob("defs.yaml"))
        for line, what in _faults(file.read_text(), components)
    ]
    if problems:
        raise DeclarationError(
            "Nothing is loaded, for these files cannot be read:\n" + "\n".join(f"  {each}" for each in problems),
            problems=problems,
        )


def _faults(text: str, components: Sequence[str]) -> Iterator[tuple[int, str]]:
    try:
        for document in yaml.compose_all(text, Loader=LOADER):
            yield from _repeated(document)
            yield from _unknown_type(document, components)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        begun = f" {error.context}" if error.context else ""
        begun += f" that begins in line {error.context_mark.line + 1}" if error.context and error.context_mark else ""
        yield (mark.line + 1 if mark else 1), f"is not YAML: {error.problem}{begun}.{_mend(text, mark)}"
    except yaml.reader.ReaderError as error:
        yield text.count("\n", 0, error.position) + 1, f"is not YAML: {error.reason}. Take that character out."


def _mend(text: str, mark: yaml.Mark | None) -> str:
    line = text.splitlines()[mark.line] if mark and mark.line < len(text.splitlines()) else ""
    if "\t" in line[: len(line) - len(line.lstrip())]:
        return " Indent with spaces; YAML takes no tabs."
    return " What is wrong may stand in a line before: look for a bracket, a quote or a colon too many or too few."


def _repeated(node: yaml.Node | None) -> Iterator[tuple[int, str]]:
    """Find keys that stand twice in one mapping, of which YAML would keep the last without a word."""
    if isinstance(node, yaml.MappingNode):
        first: dict[str, int] = {}
        for key, value in node.value:
            line = key.start_mark.line + 1
            if isinstance(key, yaml.ScalarNode) and key.value in first:
                yield (
                    line,
                    f"{key.value}: stands in line {first[key.value]} already, and only one would count. Keep one.",
                )
            if isinstance(key, yaml.ScalarNode):
                first.setdefault(key.value, line)
            yield from _repeated(value)
    elif isinstance(node, yaml.SequenceNode):
        for each in node.value:
            yield from _repeated(each)


def _unknown_type(document: yaml.Node | None, components: Sequence[str]) -> Iterator[tuple[int, str]]:
    """Find a component that is not there; one whose name begins with a dot stands in the project itself."""
    for key, value in document.value if isinstance(document, yaml.MappingNode) else ():
        if key.value == "type" and isinstance(value, yaml.ScalarNode) and not _exists(value.value):
            yield value.start_mark.line + 1, str(UnknownNameError("type: component", value.value, known=components))


def _exists(component: str) -> bool:
    module, _, name = component.rpartition(".")
    if component.startswith("."):
        return True
    try:
        return bool(module) and hasattr(import_module(module), name)
    except ModuleNotFoundError as error:
        if module == error.name or module.startswith(f"{error.name}."):
            return False
        raise  # it is there, and what it imports is not
