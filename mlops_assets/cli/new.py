"""A project of one's own: a package with `defs/`, a first model, and what Dagster needs to run it."""

import re
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from shutil import copyfile

import mlops_assets
from mlops_assets.errors import DeclarationError
from mlops_assets.orchestration.scaffolding import ModelFiles

PYPROJECT = """\
[project]
name = "{project}"
version = "0.1.0"
requires-python = ">=3.11"
dependencies = ["mlops-assets>={library}"]

[tool.setuptools.packages.find]
include = ["{package}*"]

[tool.dg]
directory_type = "project"

[tool.dg.project]
root_module = "{package}"
code_location_target_module = "{package}.definitions"
"""

DEFINITIONS = '''\
"""The code location: everything declared below `defs/`."""

import dagster as dg
from mlops_assets.orchestration import project_definitions


@dg.definitions
def defs() -> dg.Definitions:
    return project_definitions(__file__)
'''

README = """\
# {project}

    mlops up                                  # Dagster, MLflow and the endpoint; Ctrl-C stops them
    mlops refresh                             # bring the data in
    mlops train {model} --reason "first model"
    mlops status

`{package}/defs/{model}/` is the model: `defs.yaml` says where its data come from and what is promised about it,
`features.py` what it looks at, `model.py` what it predicts and how it learns.
"""


@dataclass(frozen=True)
class Made:
    """A new project: its folder and the name of its first model."""

    folder: Path
    model: str


def make_project(path: Path, *, data: Path, key: str, time: str, label: str, model: str | None) -> Made:
    """Make a project at `path` whose first model predicts `label` from a copy of `data`.

    Raises:
        DeclarationError: The folder holds something already, or its name makes no package.
        UnknownNameError: A column is not in the file.
    """
    if path.exists() and any(path.iterdir()):
        raise DeclarationError(f"{path} is not empty, and nothing of it will be overwritten. Name a new folder.")
    package, name = _identifier(path.name), _identifier(model or data.stem)
    folder = path / package / "defs" / name
    files = ModelFiles.from_data(name, data, key=key, time=time, label=label)
    files.write(folder, source="{here}/" + data.name)
    copyfile(data, folder / data.name)
    texts = {
        "pyproject.toml": PYPROJECT,
        f"{package}/definitions.py": DEFINITIONS,
        "README.md": README,
        "workspace.yaml": "load_from:\n  - python_module: {package}.definitions\n",
        ".gitignore": ".mlops/\n.venv/\n__pycache__/\n",
        f"{package}/__init__.py": '"""{project}: models and their data."""\n',
        f"{package}/defs/__init__.py": "",
    }
    facts = {"project": path.name, "package": package, "model": name, "library": version("mlops-assets")}
    for file, text in texts.items():
        (path / file).write_text(text.format(**facts) if "{" in text and not file.endswith("definitions.py") else text)
    copyfile(Path(mlops_assets.__file__).parent / "cli" / "dagster.yaml", path / "dagster.yaml")
    return Made(path, name)


def _identifier(name: str) -> str:
    """Give `name` as a Python and Dagster name.

    >>> _identifier("Credit-risk 2024")
    'credit_risk_2024'
    """
    plain = re.sub(r"\W+", "_", name.lower()).strip("_")
    if not plain or not plain[0].isalpha():
        raise DeclarationError(f"{name!r} makes no name of a package: begin it with a letter.", name=name)
    return plain
