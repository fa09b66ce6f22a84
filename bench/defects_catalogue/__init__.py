"""Defects as they arise in life, one small class each, in files by where they get in."""

from types import ModuleType

from bench._defect_world import Defect
from bench.defects_catalogue import artefacts, code, data, disguised, features, labels, releases, training

FILES = (data, labels, features, code, training, artefacts, releases, disguised)


def _of(module: ModuleType) -> list[type[Defect]]:
    """Give the defects of a file in the order in which they stand there."""
    return [
        each
        for each in vars(module).values()
        if isinstance(each, type) and each.__module__ == module.__name__ and "name" in vars(each)
    ]


CATALOGUE: dict[str, list[type[Defect]]] = {(module.__doc__ or "").rstrip("."): _of(module) for module in FILES}
DEFECTS: dict[str, type[Defect]] = {defect.name: defect for found in CATALOGUE.values() for defect in found}
