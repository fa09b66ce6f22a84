"""Few rows out of many that come piece by piece."""

import numpy as np
import numpy.typing as npt
import pyarrow as pa


class Picked:
    """The rows at some places of a table that is only seen piece by piece."""

    def __init__(self, places: npt.NDArray[np.int64]) -> None:
        self._places = places
        self._seen = 0
        self._rows: list[pa.Table] = []

    def see(self, piece: pa.Table) -> None:
        """Keep those of the next rows that are wanted."""
        first, end = np.searchsorted(self._places, (self._seen, self._seen + piece.num_rows))
        self._rows.append(piece.take(pa.array(self._places[first:end] - self._seen)))
        self._seen += piece.num_rows

    def table(self) -> pa.Table:
        """Give the rows that were kept, in their order."""
        return pa.concat_tables(self._rows)
