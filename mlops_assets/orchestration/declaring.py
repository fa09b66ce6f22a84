"""From YAML to frozen declarations: typos are refused with file, line and the nearest right spelling."""

import re
from collections.abc import Callable, Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin

import dagster as dg
from dagster_shared.yaml_utils.source_position import SourcePositionTree
from pydantic import BaseModel, RootModel, ValidationError

from mlops_assets.errors import DeclarationError

D = TypeVar("D", bound=BaseModel)
Completing = Callable[[dict[str, Any], dg.ComponentLoadContext], dict[str, Any]]

DECLARATION, FOLDER = "mlops/declaration", "mlops/folder"  # metadata by which a declaration is read back from its asset


def attributes_model(declaration: type[D]) -> type[BaseModel]:
    """Give the model Dagster validates `attributes:` with: any mapping passes, the JSON schema is `declaration`'s.

    The real check is `declare`, which knows the file and the line and can say what was probably meant.
    """

    class Attributes(RootModel[dict[str, Any]]):
        @classmethod
        def model_json_schema(cls, *args: Any, **kwargs: Any) -> dict[str, Any]:
            return declaration.model_json_schema(*args, **kwargs)

    Attributes.__name__ = f"{declaration.__name__}Attributes"
    return Attributes


def declare(
    declaration: type[D],
    attributes: BaseModel | None,
    context: dg.ComponentLoadContext,
    *,
    complete: Completing | None = None,
) -> D:
    """Build a declaration from the YAML attributes of a component, templates (`{{ env.X }}`) rendered.

    `complete` gives them with what the YAML leaves to other places; that is no template, whatever it holds.

    Raises:
        DeclarationError: A key or a value cannot be obeyed; the message lists each with file, line and what was
            probably meant.
    """
    raw = attributes.root if isinstance(attributes, RootModel) else {}
    rendered = context.resolution_context.resolve_value(raw, as_type=dict)
    if complete and isinstance(rendered, dict):
        rendered = complete(rendered, context)
    try:
        return declaration.model_validate(rendered)
    except ValidationError as error:
        positions = context.resolution_context.source_position_tree
        problems: list[dict[str, Any]] = [{**problem} for problem in error.errors()]
    for problem in problems:
        facts: Mapping[str, Any] = problem.get("ctx") or {}
        if isinstance(ours := facts.get("error"), Exception):
            ours.with_traceback(None)  # pydantic never lets go of it, nor it of all its frames have seen
    lines = [_explain(declaration, problem, positions) for problem in problems]
    raise DeclarationError(
        f"{context.component_path.file_path.name} declares what cannot be obeyed, so nothing of it is loaded:\n"
        + "\n".join(f"  {line}" for line in lines),
        problems=lines,
    )


def place(context: dg.ComponentLoadContext, *path: str) -> str:
    """Give where a key of a component's attributes stands, as `defs.yaml:12: entity`."""
    positions = context.resolution_context.source_position_tree
    where = _line([*path], positions) if positions else context.component_path.file_path.name
    return f"{where}: {'.'.join(path)}"


def _explain(declaration: type[BaseModel], problem: dict[str, Any], positions: SourcePositionTree | None) -> str:
    path = [part for part in problem["loc"] if not str(part).startswith("function-")]
    facts: Mapping[str, Any] = problem.get("ctx") or {}
    kind = problem["type"]
    if kind in {
        "union_tag_invalid",
        "union_tag_not_found",
    }:  # pydantic points at the union, not at the key that chooses
        path.append(str(facts["discriminator"]).strip("'"))
        kind = "literal_error" if kind == "union_tag_invalid" else "missing"
    in_file = _in_file(path, positions)
    where = f"{_line(in_file, positions)}: " if positions else ""
    where += f"{name}: " if (name := ".".join(str(part) for part in in_file)) else ""
    if kind == "extra_forbidden":
        known = sorted({*_fields_at(declaration, path[:-1])})
        near = get_close_matches(str(in_file[-1]), known, n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        return f"{where}no such key.{hint} Known here: {', '.join(known)}."
    if kind == "missing":
        return f"{where}is missing, and there is no sensible default."
    given = facts.get("tag", problem.get("input"))
    message = str(problem["msg"]).removeprefix("Value error, ")
    if kind in {"literal_error", "enum"}:
        choices = re.findall(r"'([^']*)'", str(facts.get("expected") or facts.get("expected_tags")))
        near = get_close_matches(str(given), choices, n=1)
        message = f"should be one of {', '.join(choices)}."
        message += f" Did you mean {near[0]!r}?" if near else ""
    return f"{where}{message}" if isinstance(given, Mapping) else f"{where}{message} (given: {given!r})"


def _in_file(path: list[Any], positions: SourcePositionTree | None) -> list[Any]:
    """Drop the parts of pydantic's path that name union members rather than keys of the file."""
    if positions is None:
        return path
    node: SourcePositionTree | None = positions.children.get("attributes", positions)
    kept: list[Any] = []
    for index, part in enumerate(path):
        last = index == len(path) - 1
        if node is not None and part in node.children:
            node = node.children[part]
        elif not last:
            continue
        kept.append(part)
    return kept


def _line(path: list[Any], positions: SourcePositionTree) -> str:
    position = positions.lookup_closest_and_path(["attributes", *path], None)[0]
    return f"{Path(position.filename).name}:{position.start.line}"


def _fields_at(declaration: type[BaseModel], path: list[Any]) -> Iterator[str]:
    """Name the keys that may stand at `path`, looking through optionals, unions, lists and mappings.

    `path` is pydantic's: behind the key of a union it names the member that was chosen.
    """
    found: list[type[BaseModel]] = [declaration]
    for part in path:
        chosen = [model for model in found if part == _tag_of(model)]
        found = chosen or [
            inner
            for model in found
            for inner in (_models_in(model.model_fields[part].annotation) if part in model.model_fields else [model])
        ]
    for model in found:
        yield from model.model_fields


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    if get_origin(annotation) in (Annotated, Union, UnionType, list, tuple, dict, Mapping):
        return [model for argument in get_args(annotation) for model in _models_in(argument)]
    return []


def _tag_of(model: type[BaseModel]) -> Any:
    """Give the value of `kind` by which a member of a union is chosen; None for what is in no union."""
    kind = model.model_fields.get("kind")
    return kind.default if kind and get_origin(kind.annotation) is Literal else None
