"""`Entity`: what views are about, with keys that several of them share."""

from collections import Counter
from collections.abc import Mapping

import dagster as dg
from pydantic import BaseModel

from mlops_assets.errors import DeclarationError, examples
from mlops_assets.features.entity import Entity as EntityDeclaration
from mlops_assets.orchestration.declaring import attributes_model, declare


class Entity(dg.Component, dg.Resolvable):
    """An entity; it makes no asset, but where a view has `keys:` its name may stand as `entity:`."""

    def __init__(self, declaration: EntityDeclaration) -> None:
        self.declaration = declaration

    @classmethod
    def get_model_cls(cls) -> type[BaseModel]:
        """Give the schema of `attributes:`."""
        return attributes_model(EntityDeclaration)

    @classmethod
    def load(cls, attributes: BaseModel | None, context: dg.ComponentLoadContext) -> "Entity":
        """Build the component from YAML."""
        return cls(declare(EntityDeclaration, attributes, context))

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        """Build nothing: an entity is looked up by the views that name it."""
        return dg.Definitions()


def declared_entities(context: dg.ComponentLoadContext) -> Mapping[str, EntityDeclaration]:
    """Give the entities of the project by name.

    Raises:
        DeclarationError: A name is declared twice, so views could disagree about its keys.
    """
    found = [component.declaration for component in context.component_tree.get_all_components(of_type=Entity)]
    if twice := sorted(name for name, times in Counter(entity.name for entity in found).items() if times > 1):
        raise DeclarationError(
            f"entity {examples(twice)} is declared more than once, so views could be found by different keys under one "
            "name. Keep one declaration.",
            entities=twice,
        )
    return {entity.name: entity for entity in found}
