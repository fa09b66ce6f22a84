"""The history of a project's tables, from which a replay lets one day after the other arrive."""

from collections.abc import Callable, Mapping

import pyarrow as pa
import pyarrow.parquet as pq

from mlops_assets.cli.project import Project
from mlops_assets.errors import DeclarationError
from mlops_assets.orchestration.partitions import span_of

Fault = Callable[[pa.Table], pa.Table]


class World:
    """The history of the project's partitioned tables, as their archives hold it."""

    def __init__(self, project: Project) -> None:
        self._tables = {name: table for name, table in project.tables.items() if table[1].partitions}
        self._landing = project.home.landing

    def history(self, table: str) -> pa.Table:
        """Give all rows of a table.

        Raises:
            DeclarationError: The table has no partitions.
        """
        if table not in self._tables:
            raise DeclarationError(
                f"Table {table} is read whole, so it has no days that could be played one after the other. Declare its "
                "`partitions` and `time_column` to play it.",
                table=table,
            )
        folder, declared = self._tables[table]
        return declared.source.read(None, variables={"here": str(folder), "landing": str(self._landing)})

    def land(self, day: str, faults: Mapping[str, Fault]) -> None:
        """Let the batches of `day` arrive as files, faulty where a fault is planned."""
        for name, (folder, declared) in self._tables.items():
            nowhere = self._landing / "nothing has landed here yet"
            rows = declared.source.read(span_of(day), variables={"here": str(folder), "landing": str(nowhere)})
            rows = faults[name](rows) if name in faults else rows
            path = self._landing / name / f"{day}.parquet"
            path.parent.mkdir(parents=True, exist_ok=True)
            part = path.with_suffix(".part")
            pq.write_table(rows, part)
            part.replace(path)
