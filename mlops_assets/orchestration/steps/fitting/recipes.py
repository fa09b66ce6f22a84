"""What people wrote of a model, kept with each version, and the circumstances in which it was fitted."""

import os
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from pydantic import ValidationError

from mlops_assets.digests import sha256_bytes
from mlops_assets.errors import TrainingError
from mlops_assets.orchestration.model_declaration import ModelDeclaration, ModelFolder
from mlops_assets.records import Recipe
from mlops_assets.stores.home import Home
from mlops_assets.training import TrainingPolicy, library_versions, platform_facts, recipe_sha256

CPUINFO = Path("/proc/cpuinfo")


def recipe_of(folder: ModelFolder, policy: TrainingPolicy) -> Recipe:
    """Give what a folder says now, with the training policy as it is obeyed."""
    declaration = folder.declaration.model_copy(update={"training": policy})
    return Recipe(
        model=folder.name,
        declaration=declaration.model_dump(mode="json"),
        features=folder.features_source,
        model_py=folder.model_source,
        trainer_py=folder.trainer_source,
    )


def keep_recipe(stores: Home, recipe: Recipe) -> None:
    """Keep a recipe under its digest."""
    stores.records.put(_key(recipe.model), recipe_sha256(recipe), recipe)


def kept_recipe(stores: Home, model: str, sha256: str) -> Recipe | None:
    """Give the recipe kept under that digest; None if there is none."""
    return stores.records.find(_key(model), sha256, Recipe)


@dataclass(frozen=True)
class RecordedFolder(ModelFolder):
    """A model's folder as it was when a version was fitted."""

    recipe: Recipe

    @cached_property
    def features_source(self) -> str:
        """The text of features.py then."""
        return self.recipe.features

    @cached_property
    def model_source(self) -> str:
        """The text of model.py then."""
        return self.recipe.model_py

    @cached_property
    def trainer_source(self) -> str | None:
        """The text of trainer.py then."""
        return self.recipe.trainer_py


def folder_as_recorded(recipe: Recipe) -> RecordedFolder:
    """Give the folder a recipe was taken from.

    Raises:
        TrainingError: This release of the library cannot read the declaration.
    """
    try:
        declared = ModelDeclaration.model_validate(recipe.declaration)
    except ValidationError as error:
        raise TrainingError(
            f"The declaration of {recipe.model} on record cannot be read by this release of mlops-assets: "
            f"{error.errors()[0]['msg']}. Install the release on record to fit that version again.",
            model=recipe.model,
        ) from error
    return RecordedFolder(Path(recipe.model), declared, recipe)


def circumstances(folder: Path, *, also: Iterable[str] = ()) -> dict[str, str]:
    """Say in which code, from which lock file, with which libraries and on what machine this process works.

    `also` names libraries that other models do not depend on. What cannot be found out, such as the commit outside of
    a working tree, is said to be so.
    """
    root = next((parent for parent in folder.parents if (parent / "pyproject.toml").exists()), folder)
    lock = root / "requirements.lock"
    changed = _git(root, "status", "--porcelain", "--untracked-files=no")
    return {
        **library_versions(also),
        **platform_facts(),
        "cpu": _cpu(),
        "lock_sha256": sha256_bytes(lock.read_bytes()) if lock.exists() else "no lock file",
        "git_sha": os.environ.get("MLOPS_GIT_SHA") or _git(root, "rev-parse", "HEAD") or "no git commit",
        "git_dirty": "true" if changed else "false",
    }


def _key(model: str) -> tuple[str, str]:
    return ("recipes", model)


def _cpu() -> str:
    lines = CPUINFO.read_text(errors="replace").splitlines() if CPUINFO.exists() else []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, "") or "unknown"


def _git(root: Path, *arguments: str) -> str:
    try:
        done = subprocess.run(
            ["git", "-C", str(root), *arguments], capture_output=True, text=True, timeout=20, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
