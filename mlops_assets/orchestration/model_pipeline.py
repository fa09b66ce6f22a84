"""`ModelPipeline`: one folder becomes the whole life of a model.

    training_set -> model -> evaluation -> dossier -> approval -> endpoint    one run, one cut-off
    predictions -> parity, drift, performance                                  one run per window
    reproduction                                                              what is live, once a week

Each asset is a shell: it takes records, calls one step, and returns the record that step made.
"""

import dagster as dg
from pydantic import BaseModel

from mlops_assets.errors import DeclarationError
from mlops_assets.orchestration.declaring import attributes_model, declare, place
from mlops_assets.orchestration.model_declaration import ModelDeclaration, ModelFolder
from mlops_assets.orchestration.raw_table import folder_of
from mlops_assets.orchestration.release_chain import release_assets
from mlops_assets.orchestration.reproduction import reproduction_asset
from mlops_assets.orchestration.scaffolding import ModelPipelineScaffolder
from mlops_assets.orchestration.watch_chain import watch_assets


@dg.scaffold_with(ModelPipelineScaffolder)
class ModelPipeline(dg.Component, dg.Resolvable):
    """A model's whole life from one folder: `defs.yaml` (promises), `features.py` and `model.py` (what it is)."""

    def __init__(self, declaration: ModelDeclaration) -> None:
        self.declaration = declaration

    @classmethod
    def get_model_cls(cls) -> type[BaseModel]:
        """Give the schema of `attributes:`."""
        return attributes_model(ModelDeclaration)

    @classmethod
    def load(cls, attributes: BaseModel | None, context: dg.ComponentLoadContext) -> "ModelPipeline":
        """Build the component from YAML.

        Raises:
            DeclarationError: It, the trainer it says is its own, model.py or the gate cannot be obeyed.
        """
        declared = declare(ModelDeclaration, attributes, context)
        folder = ModelFolder(folder_of(context), declared)
        try:
            folder.require_trainer()
        except DeclarationError as error:
            raise DeclarationError(f"{place(context, 'training', 'trainer')}: {error}") from None
        folder.require_model()
        try:
            folder.require_judge()
        except DeclarationError as error:
            raise DeclarationError(f"{place(context, 'gate', 'primary_metric')}: {error}") from None
        return cls(declared)

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        """Build the assets of the model; its name is its folder's."""
        folder = ModelFolder(folder_of(context), self.declaration)
        return dg.Definitions(assets=[*release_assets(folder), *watch_assets(folder), reproduction_asset(folder)])
