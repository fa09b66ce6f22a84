"""What a view leaves to other places: the keys of its entity, and the text of its function and of what it imports."""

import os
from typing import Any

import dagster as dg

from mlops_assets.errors import DeclarationError, MlopsError, UnknownNameError
from mlops_assets.orchestration.declaring import place
from mlops_assets.orchestration.entity import declared_entities
from mlops_assets.orchestration.project_modules import modules_of_project
from mlops_assets.orchestration.raw_table import folder_of


def complete(attributes: dict[str, Any], context: dg.ComponentLoadContext) -> dict[str, Any]:
    """Give the attributes of a view with the keys of its entity and the source of its function filled in.

    Raises:
        DeclarationError: The entity is not declared, or has other keys than the view; or the file is not there, or it
            or what it imports is not Python.
    """
    given = {**attributes}
    if isinstance(name := given.get("entity"), str):
        given["keys"] = _keys_of(name, given.get("keys"), context)
    if isinstance(code := given.get("python"), dict) and isinstance(code.get("file"), str):
        given["python"] = code | _code_of(code["file"], context)
    return given


def _keys_of(name: str, stated: object, context: dg.ComponentLoadContext) -> dict[str, str]:
    entities = declared_entities(context)
    if name not in entities:
        mend = "Declare it with `type: mlops_assets.orchestration.Entity`, or give `keys` here."
        raise _refused(UnknownNameError("entity", name, known=entities, if_none=mend), context, "entity")
    keys: dict[str, str] = dict(entities[name].keys)
    if stated is not None and stated != keys:
        problem = DeclarationError(
            f"entity {name!r} is found by {keys}, and this view states {stated}. Leave out keys, or the entity."
        )
        raise _refused(problem, context, "keys")
    return keys


def _code_of(file: str, context: dg.ComponentLoadContext) -> dict[str, Any]:
    folder = folder_of(context)
    path = folder / file
    if not path.is_file():
        known = sorted(other.name for other in folder.glob("*.py"))
        raise _refused(UnknownNameError("file", file, known=known), context, "python", "file")
    source = path.read_text(encoding="utf-8")
    try:
        modules = modules_of_project(source, file=path, root=context.project_root)
    except SyntaxError as error:
        where = os.path.relpath(error.filename or path, folder)
        problem = DeclarationError(f"line {error.lineno} of {where} is not Python: {error.msg}")
        raise _refused(problem, context, "python", "file") from error
    return {"source": source, "modules": modules}


def _refused(problem: MlopsError, context: dg.ComponentLoadContext, *path: str) -> DeclarationError:
    return DeclarationError(f"{place(context, *path)}: {problem}")
