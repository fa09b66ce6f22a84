"""Few rows out of many that come piece by piece."""

import numpy as np
import numpy.typing as npt
import pyarrow as pa


class Picking:
    """Picks the rows at some places of a table that is only seen piece by piece."""

    def __init__(self, places: npt.NDArray[np.int64]) -> None:
        self._places = places
        self._seen = 0

    def of(self, piece: pa.Table) -> pa.Table:
        """Give those of the next rows that are wanted, as a copy."""
        first, end = np.searchsorted(self._places, (self._seen, self._seen + piece.num_rows))
        rows = piece.take(pa.array(self._places[first:end] - self._seen))
        self._seen += piece.num_rows
        return rows
