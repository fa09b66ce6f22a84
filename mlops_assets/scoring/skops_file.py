"""Reads what `skops` wrote as plain numbers and names: no class is looked up and nothing is run.

A file is a zip of arrays and of `schema.json`, which nests nodes: `__module__` and `__class__` name a type,
`__loader__` says how it was taken apart. Only the types listed here are read, which are those our trainer writes.
"""

import io
import json
import zipfile
from typing import Any

import numpy as np

from mlops_assets.digests import sha256_bytes
from mlops_assets.errors import BundleError, examples

TYPES = {
    # plain data
    *("builtins.dict", "builtins.list", "builtins.slice", "builtins.str", "builtins.tuple"),
    *("numpy.dtype", "numpy.float64", "numpy.int64", "numpy.ndarray", "numpy.uint64"),
    "numpy.random._generator.Generator",
    # what linear models look at
    "sklearn.compose._column_transformer.ColumnTransformer",
    "sklearn.impute._base.MissingIndicator",
    "sklearn.impute._base.SimpleImputer",
    "sklearn.pipeline.Pipeline",
    "sklearn.preprocessing._data.StandardScaler",
    "sklearn.preprocessing._encoders.OneHotEncoder",
    "sklearn.linear_model._base.LinearRegression",
    "sklearn.linear_model._coordinate_descent.ElasticNet",
    "sklearn.linear_model._coordinate_descent.Lasso",
    "sklearn.linear_model._logistic.LogisticRegression",
    "sklearn.linear_model._ridge.Ridge",
    # trees and forests
    "sklearn.ensemble._forest.ExtraTreesClassifier",
    "sklearn.ensemble._forest.ExtraTreesRegressor",
    "sklearn.ensemble._forest.RandomForestClassifier",
    "sklearn.ensemble._forest.RandomForestRegressor",
    "sklearn.tree._classes.DecisionTreeClassifier",
    "sklearn.tree._classes.DecisionTreeRegressor",
    "sklearn.tree._classes.ExtraTreeClassifier",
    "sklearn.tree._classes.ExtraTreeRegressor",
    "sklearn.tree._tree.Tree",
    # boosted trees
    "sklearn._loss._loss.CyAbsoluteError",
    "sklearn._loss._loss.CyHalfBinomialLoss",
    "sklearn._loss._loss.CyHalfMultinomialLoss",
    "sklearn._loss._loss.CyHalfSquaredError",
    "sklearn._loss.link.IdentityLink",
    "sklearn._loss.link.Interval",
    "sklearn._loss.link.LogitLink",
    "sklearn._loss.link.MultinomialLogit",
    "sklearn._loss.loss.AbsoluteError",
    "sklearn._loss.loss.HalfBinomialLoss",
    "sklearn._loss.loss.HalfMultinomialLoss",
    "sklearn._loss.loss.HalfSquaredError",
    "sklearn.ensemble._hist_gradient_boosting.binning._BinMapper",
    "sklearn.ensemble._hist_gradient_boosting.gradient_boosting.HistGradientBoostingClassifier",
    "sklearn.ensemble._hist_gradient_boosting.gradient_boosting.HistGradientBoostingRegressor",
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
    "sklearn.preprocessing._label.LabelEncoder",
}

_CONTAINERS = {"ListNode", "TupleNode"}
_OPAQUE = {"TypeNode", "SliceNode", "DTypeNode", "RandomGeneratorNode"}  # nothing a score is made of
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the first moment a zip can name


def read(data: bytes) -> dict[str, Any]:
    """Give the saved object: objects as their attributes with `class`, arrays as arrays.

    Raises:
        BundleError: It is no skops file, or holds a type that is not on the list.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            schema = json.loads(archive.read("schema.json"))
            require_known(schema)
            made = _plain(schema, archive)
    except (zipfile.BadZipFile, KeyError, ValueError, TypeError) as error:
        raise BundleError(f"The model is no whole skops file: {error!r}. Train and deploy it again.") from error
    if not isinstance(made, dict):
        raise BundleError("The skops file holds no estimator. Train and deploy the model again.")
    return made


def types_in(schema: Any) -> set[str]:
    """Give the full name of every type in a schema."""
    found: set[str] = set()
    nodes = [schema]
    while nodes:
        node = nodes.pop()
        if isinstance(node, dict):
            if "__class__" in node:
                found.add(f"{node.get('__module__')}.{node['__class__']}")
            nodes += node.values()
        elif isinstance(node, list):
            nodes += node
    return found


def require_known(schema: Any) -> None:
    """Refuse a schema with any type that is not on the list.

    Raises:
        BundleError: It has one.
    """
    if unknown := sorted(types_in(schema) - TYPES):
        raise BundleError(
            f"The skops file holds {examples(unknown)}, which none of our estimators is made of, so nothing of it is "
            "read. Fit the model with the `sklearn` trainer, which writes what it can read.",
            types=unknown,
        )


def canonical(data: bytes) -> bytes:
    """Give a skops file without addresses in memory, times and padding: equal objects have equal bytes.

    Arrays are named by what they hold. `skops.io` reads the file as before.
    """
    files: dict[str, bytes] = {}
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        schema = _renamed(json.loads(archive.read("schema.json")), archive, files)
    files["schema.json"] = json.dumps(schema, separators=(",", ":")).encode()  # in its order, which `key_types` follow
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:  # how zlib packs is not the same everywhere
        for name in sorted(files):
            archive.writestr(zipfile.ZipInfo(name, _EPOCH), files[name])
    return buffer.getvalue()


def _renamed(node: Any, archive: zipfile.ZipFile, files: dict[str, bytes]) -> Any:
    if isinstance(node, list):
        return [_renamed(each, archive, files) for each in node]
    if not isinstance(node, dict):
        return node
    made = {key: _renamed(value, archive, files) for key, value in node.items() if key != "__id__"}
    if made.get("__loader__") == "NdArrayNode" and "file" in made:
        array = _without_padding(_array(archive, made["file"]))
        buffer = io.BytesIO()
        np.save(buffer, array, allow_pickle=False)
        made["file"] = f"{sha256_bytes(buffer.getvalue())}.npy"
        files[made["file"]] = buffer.getvalue()
    return made


def _without_padding(array: Any) -> Any:
    """Give records whose bytes between fields are zero: they hold whatever the memory held before."""
    if array.dtype.names is None:
        return array
    clean = np.zeros(array.shape, array.dtype)
    for name in array.dtype.names:
        clean[name] = array[name]
    return clean


def _array(archive: zipfile.ZipFile, name: str) -> Any:
    return np.load(io.BytesIO(archive.read(name)), allow_pickle=False)


def _plain(node: dict[str, Any], archive: zipfile.ZipFile) -> Any:
    loader, content = node["__loader__"], node.get("content")
    if loader == "JsonNode":
        return json.loads(node["content"])
    if loader == "NdArrayNode" and node["type"] == "numpy":
        return _array(archive, node["file"])
    if loader in _CONTAINERS or loader == "NdArrayNode":
        return [_plain(each, archive) for each in node["content"]]
    if loader == "DictNode":
        return {name: _plain(each, archive) for name, each in node["content"].items()}
    if loader in _OPAQUE:
        return None
    state = _plain(content, archive) if content else None
    return {**(state or {}), "class": node["__class__"]}
