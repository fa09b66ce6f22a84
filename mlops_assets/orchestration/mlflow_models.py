"""A bundle as a model of MLflow's own, so that `mlflow models serve` and `mlflow.pyfunc.load_model` give its scores.

Both take the feature vector. A plain LightGBM model is one of MLflow's own flavour, which needs nothing of ours to be
served. Any other keeps its bundle, digests and all, and is scored by this package: a flavour of its framework would
answer with something else, such as scores that are not calibrated or a class instead of its probability. Neither holds
a pickle.
"""

import logging
import tempfile
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from mlops_assets.features.columns import as_arrays
from mlops_assets.orchestration.steps.fitting.bundles import LoadedBundle
from mlops_assets.scoring.own import OWN_PART, read_own
from mlops_assets.stores.bundles import BundleStore
from mlops_assets.training import distributions_of

if TYPE_CHECKING:
    import pandas as pd
    from mlflow.models import ModelSignature

Array = npt.NDArray[np.float64]

NATIVE: Final = "model.txt"  # the only part such a bundle scores with
BUNDLES: Final = "bundles"


def mlflow_model(bundle: LoadedBundle, rows: pa.Table) -> dict[str, bytes]:
    """Give the files of an MLflow model that scores as the bundle does; `rows` of its training set become examples."""
    import pandas as pd

    names = bundle.vectorizer.names
    example = vectors_of(bundle, rows)
    frame = pd.DataFrame(example, columns=list(names))
    signature = _signature(names, bundle.score(example))
    for noisy in ("mlflow.utils.environment", "mlflow.pyfunc"):  # it misses pip, and tells what it is about to do
        logging.getLogger(noisy).setLevel(logging.ERROR)
    with tempfile.TemporaryDirectory(prefix="mlops-mlflow-") as folder:
        path = Path(folder, "model")
        if _is_plain_lightgbm(bundle):
            _save_lightgbm(bundle, path, frame, signature)
        else:
            _save_bundle(bundle, path, frame, signature)
        return {str(file.relative_to(path)): file.read_bytes() for file in sorted(path.rglob("*")) if file.is_file()}


def get_ready(trainer: str) -> None:
    """Import what saves a model, and let MLflow look through all that is installed, as it does once in a process."""
    from importlib import import_module

    from mlflow.utils.requirements_utils import warn_dependency_requirement_mismatches

    import_module("mlflow.lightgbm" if trainer == "lightgbm" else "mlflow.pyfunc")
    warn_dependency_requirement_mismatches(_pinned("mlflow"))


def vectors_of(bundle: LoadedBundle, rows: pa.Table) -> Array:
    """Give the feature vectors of rows of a training set."""
    return bundle.vectorizer.vector(as_arrays(rows, bundle.vectorizer.plan.inputs))


def _is_plain_lightgbm(bundle: LoadedBundle) -> bool:
    """Whether MLflow's own flavour would answer with the bundle's scores."""
    return bundle.meta["trainer"] == "lightgbm" and bundle.calibration == "none"


def _save_lightgbm(bundle: LoadedBundle, path: Path, examples: "pd.DataFrame", signature: "ModelSignature") -> None:
    import lightgbm
    import mlflow.lightgbm

    mlflow.lightgbm.save_model(
        lightgbm.Booster(model_str=bundle.parts[NATIVE].decode()),
        path,
        signature=signature,
        input_example=examples,
        pip_requirements=_pinned("mlflow", "lightgbm", "numpy", "pandas"),  # else it looks for them, for a minute
    )


def _save_bundle(bundle: LoadedBundle, path: Path, examples: "pd.DataFrame", signature: "ModelSignature") -> None:
    import mlflow.pyfunc

    with tempfile.TemporaryDirectory(prefix="mlops-bundle-") as folder:
        root = Path(folder, BUNDLES)
        BundleStore(root).save(bundle.model, bundle.parts)
        mlflow.pyfunc.save_model(
            path,
            loader_module=__name__,
            data_path=str(root),
            signature=signature,
            input_example=examples,
            pip_requirements=_pinned("mlflow", "mlops-assets", "pandas", *_own_needs(bundle)),
        )


def _own_needs(bundle: LoadedBundle) -> tuple[str, ...]:
    """Name what a trainer of the model's own scores with."""
    own = bundle.parts.get(OWN_PART)
    return distributions_of(read_own(own.decode()).packages) if own else ()


class _Scorer:
    """What MLflow asks for scores."""

    def __init__(self, bundle: LoadedBundle) -> None:
        self._bundle = bundle

    def predict(self, data: "pd.DataFrame", params: dict[str, Any] | None = None) -> Array:
        """Score feature vectors, one a row; columns may come in any order."""
        return self._bundle.score(data[list(self._bundle.vectorizer.names)].to_numpy(np.float64))


def _load_pyfunc(data_path: str) -> _Scorer:
    """Load what `_save_bundle` kept, every digest verified; MLflow calls it by this name."""
    store = BundleStore(data_path)
    [model] = (folder.name for folder in Path(data_path).iterdir())
    [sha256] = store.list(model)
    return _Scorer(LoadedBundle(model, sha256, store.load(model, sha256)))


def _signature(names: Sequence[str], scores: Array) -> "ModelSignature":
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, Schema, TensorSpec

    return ModelSignature(
        inputs=Schema([ColSpec("double", name) for name in names]),
        outputs=Schema([TensorSpec(np.dtype(np.float64), (-1, *scores.shape[1:]))]),
    )


def _pinned(*names: str) -> list[str]:
    return [f"{name}=={version(name)}" for name in names]
