"""LightGBM text models through the C library, found but never imported: 30 ms and 30 MB instead of 3 s and 190 MB.

Scores are those of `lightgbm.Booster.predict(…, num_threads=1)`, bit for bit, the objective's transformation included.
The C interface is documented at https://lightgbm.readthedocs.io/en/stable/C-API.html.
"""

import ctypes
import threading
import weakref
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import numpy.typing as npt

from mlops_assets.errors import BundleError

Vectors = npt.NDArray[np.float64]

_FLOAT64, _ROW_MAJOR, _PREDICT_NORMAL, _ALL_TREES = 1, 1, 0, -1
_PARAMETERS = b"num_threads=1 verbosity=-1"  # more threads only fight over the cores on single rows
_Int, _Int64, _Handle = ctypes.c_int, ctypes.c_int64, ctypes.c_void_p


class NativeBooster:
    """A loaded model; its memory goes back when the last reference to it does."""

    def __init__(self, model_text: bytes) -> None:
        """Load a model saved by `Booster.model_to_string()`.

        Raises:
            BundleError: The text is no LightGBM model.
        """
        library = _library(holding_gil=False)
        trees, handle, fast = _Int(), _Handle(), _Handle()
        self._check(library.LGBM_BoosterLoadModelFromString(model_text, ctypes.byref(trees), ctypes.byref(handle)))
        self._free_booster = weakref.finalize(self, library.LGBM_BoosterFree, handle)
        self._free_booster.atexit = False
        self.trees = trees.value
        self.features = self._count("LGBM_BoosterGetNumFeature", handle)
        self.outputs = self._count("LGBM_BoosterGetNumClasses", handle)
        self._check(
            library.LGBM_BoosterPredictForMatSingleRowFastInit(
                handle, _PREDICT_NORMAL, 0, _ALL_TREES, _FLOAT64, self.features, _PARAMETERS, ctypes.byref(fast)
            )
        )
        weakref.finalize(self, library.LGBM_FastConfigFree, fast).atexit = False  # runs before the booster is freed
        self._handle, self._fast, self._library = handle, fast, library
        self._one_row = _library(holding_gil=True).LGBM_BoosterPredictForMatSingleRowFast
        self._row = np.zeros(self.features)
        self._row_address = _Handle(self._row.ctypes.data)
        self._length, self._scores = _Int64(), np.zeros(self.outputs)
        self._length_address, self._score_address = ctypes.byref(self._length), _Handle(self._scores.ctypes.data)
        self._single = threading.Lock()  # the fast configuration and its buffers serve one row at a time

    def score(self, vectors: Vectors) -> Vectors:
        """Give one score per row of `vectors`, shape (n, features), float64; of k classes one for each, shape (n, k).

        Raises:
            BundleError: The rows have another width than the model.
        """
        if vectors.ndim != 2 or vectors.shape[1] != self.features:
            raise BundleError(f"the model takes rows of {self.features} features and was given {vectors.shape}.")
        scores = self._score_row(vectors[0]) if len(vectors) == 1 else self._score_rows(np.ascontiguousarray(vectors))
        return scores if self.outputs == 1 else scores.reshape(len(vectors), self.outputs)

    def _score_row(self, vector: Vectors) -> Vectors:
        with self._single:
            self._row[:] = vector
            self._check(self._one_row(self._fast, self._row_address, self._length_address, self._score_address))
            return self._scores.copy()

    def _score_rows(self, vectors: Vectors) -> Vectors:
        scores, length = np.empty(len(vectors) * self.outputs), _Int64()
        if not len(vectors):
            return scores
        self._check(
            self._library.LGBM_BoosterPredictForMat(
                self._handle,
                _Handle(vectors.ctypes.data),
                _FLOAT64,
                *vectors.shape,
                _ROW_MAJOR,
                _PREDICT_NORMAL,
                0,
                _ALL_TREES,
                _PARAMETERS,
                ctypes.byref(length),
                scores.ctypes.data_as(ctypes.POINTER(ctypes.c_double)),
            )
        )
        return scores

    def _count(self, function: str, handle: ctypes.c_void_p) -> int:
        count = _Int()
        self._check(getattr(_library(holding_gil=False), function)(handle, ctypes.byref(count)))
        return count.value

    @staticmethod
    def _check(code: int) -> None:
        if code:
            told = _library(holding_gil=False).LGBM_GetLastError().decode(errors="replace")
            raise BundleError(f"LightGBM refused: {told}. Is model.txt the whole text of a LightGBM model?")


@lru_cache
def _library(*, holding_gil: bool) -> ctypes.CDLL:
    """Load LightGBM's shared library; `holding_gil` for calls too short to be worth letting other threads in."""
    package = find_spec("lightgbm")
    folders = package.submodule_search_locations if package else None
    found = [file for folder in folders or () for file in sorted(Path(folder).glob("*/lib_lightgbm.*"))]
    if not found:
        raise BundleError("LightGBM's library is not installed, so its models cannot be served. Install lightgbm.")
    library = (ctypes.PyDLL if holding_gil else ctypes.CDLL)(str(found[0]))
    library.LGBM_GetLastError.restype = ctypes.c_char_p
    return library
