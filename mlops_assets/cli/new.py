"""A project of one's own: a package with `defs/`, a first model of a data file, and what Dagster needs to run it."""

import sys
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from shutil import copyfile

from mlops_assets.cli.dagster_settings import DEFAULT_DAGSTER_YAML
from mlops_assets.errors import DeclarationError
from mlops_assets.orchestration.outline import as_name
from mlops_assets.orchestration.scaffolding import write_model_of

PYPROJECT = """\
[build-system]
requires = ["setuptools>=77"]
build-backend = "setuptools.build_meta"

[project]
name = "{package}"
version = "0.1.0"
requires-python = ">=3.11"
dependencies = ["mlops-assets>={library}"]

[tool.setuptools.packages.find]
include = ["{package}", "{package}.*"]

[tool.setuptools.package-data]
{package} = ["**/*"]

[tool.dg]
directory_type = "project"

[tool.dg.project]
root_module = "{package}"
code_location_name = "{package}"
code_location_target_module = "{package}.definitions"
"""

DEFINITIONS = '''\
"""The code location: everything declared below `defs/`."""

import dagster as dg
from mlops_assets.orchestration import project_definitions


@dg.definitions
def defs() -> dg.Definitions:
    """Load it."""
    return project_definitions(__file__)
'''

WORKSPACE = """\
# What plain `dagster dev` loads in this folder; `mlops up` needs no such file.
load_from:
  - python_module:
      module_name: {package}.definitions
      location_name: {package}
"""

README = """\
# {package}

    mlops up                                        # Dagster, MLflow and the endpoint; Ctrl-C stops them

and in a second terminal

    mlops refresh                                   # bring the data in
    mlops train {model} --reason "first model"
    mlops status

`{package}/defs/{model}/` is the model: `defs.yaml` says where its data come from and what is promised about it,
`features.py` what it looks at, `model.py` what it predicts and how it learns. `dg check defs` says whether they fit
together, and `dg scaffold defs mlops_assets.orchestration.ModelPipeline NAME` makes the folder of another model.
"""

GITIGNORE = """\
.mlops/
.venv/
__pycache__/
*.egg-info/
"""


@dataclass(frozen=True, slots=True)
class Made:
    """A new project: its folder and the name of its first model."""

    folder: Path
    model: str


def make_project(path: Path, *, data: Path, key: str, time: str, label: str, model: str | None) -> Made:
    """Make a project at `path` whose first model predicts `label` from a copy of `data`.

    Raises:
        DeclarationError: Something is at `path` already, a name cannot be used, or no model can be made of the data.
        UnknownNameError: A column is not in the file.
    """
    package, name = as_name(path.resolve().name), model or as_name(data.stem)
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise DeclarationError(
            f"There is something at {path}, and nothing of it will be overwritten. Name a new folder."
        )
    if package in sys.stdlib_module_names or find_spec(package):
        raise DeclarationError(
            f"The project's package would be named {package!r}, and Python has a module of that name already: one "
            "would hide the other. Name the folder otherwise.",
            name=package,
        )
    # First what may refuse the data, so that a refusal leaves nothing behind.
    write_model_of(data, path / package / "defs" / name, key=key, time=time, label=label)
    facts = {"package": package, "model": name, "library": version("mlops-assets")}
    texts = {
        "pyproject.toml": PYPROJECT.format(**facts),
        "workspace.yaml": WORKSPACE.format(**facts),
        "README.md": README.format(**facts),
        ".gitignore": GITIGNORE,
        f"{package}/__init__.py": '"""Models and their data."""\n',
        f"{package}/definitions.py": DEFINITIONS,
        f"{package}/defs/__init__.py": '"""What we run: one folder per model."""\n',
    }
    for file, text in texts.items():
        (path / file).write_text(text)
    copyfile(DEFAULT_DAGSTER_YAML, path / "dagster.yaml")
    return Made(path, name)
