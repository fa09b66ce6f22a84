"""Assets hand each other records; this keeps them as JSON and gives them back typed."""

from functools import cache

import dagster as dg

from mlops_assets.orchestration.resources import HomeResource


@cache
def record_type(record: type) -> dg.DagsterType:
    """Give the Dagster type of an asset that returns `record` beside its check results.

    Dagster cannot read it off the annotation of a function with checks, and would take the value to be nothing.
    """
    return dg.PythonObjectDagsterType(record, name=f"{record.__name__}Record")


class RecordIO(dg.ConfigurableIOManager):
    """Keeps the newest record of every asset (and partition) in the record store.

    The type comes from the annotation of the asking asset's argument.
    """

    home: dg.ResourceDependency[HomeResource]

    def handle_output(self, context: dg.OutputContext, obj: object) -> None:
        """Keep the record an asset returned, under each partition the run was for."""
        partitions = context.asset_partition_keys if context.has_asset_partitions else [None]
        for partition in partitions:
            self.home.open().records.put(tuple(context.asset_key.path), partition, obj)

    def load_input(self, context: dg.InputContext) -> object:
        """Give the newest record of the upstream asset."""
        partition = context.asset_partition_key if context.has_asset_partitions else None
        wanted = context.dagster_type.typing_type
        return self.home.open().records.get(tuple(context.asset_key.path), partition, wanted)
