"""What it takes to fit the same model again, as one flat record of facts."""

import platform
import sys
from collections.abc import Iterable, Mapping
from importlib.metadata import PackageNotFoundError, packages_distributions, version

import msgspec

from mlops_assets.digests import sha256_bytes, sha256_json
from mlops_assets.errors import DeclarationError
from mlops_assets.records import Recipe, TrainingSet
from mlops_assets.training.cluster import NOT_TO_THE_BIT
from mlops_assets.training.trainer import Fitted

LIBRARIES = ("lightgbm", "numpy", "pyarrow", "duckdb", "scikit-learn", "scipy", "mlops-assets")
WHERE_INSTALLED = ("torch", "skops", "safetensors")  # of trainers that are extras

INPUT, PART, LIBRARY = "input.", "part.", "library."
FITS_DIFFER = "two fits of the same rows, one after the other, gave different bytes"
NOT_EXACT = "not_to_the_bit"  # why the same rows would not give the same bytes again; absent where they do
MACHINE = ("system", "machine", "cpu", "libc")

FACTS = (
    INPUT,
    "training_set_sha256",
    "train_rows_sha256",
    "holdout_rows_sha256",
    "columns_sha256",
    "levels_sha256",
    "params_sha256",
    "features_sha256",
    "model_sha256",
    "recipe_sha256",
    PART,
    "lock_sha256",
    "git_sha",
    "git_dirty",
    "seed",
    "trainer",
    "python",
    *MACHINE,
    *(f"{LIBRARY}{name}" for name in LIBRARIES),
)
"""What has to be known of every version; of a name that ends in a dot, at least one fact that begins with it."""


def library_versions(also: Iterable[str] = ()) -> dict[str, str]:
    """Give the installed version of each library a fit may depend on, and of others, under `library.<name>`."""
    found = {name: version(name) for name in LIBRARIES}
    found |= {name: number for name in (*WHERE_INSTALLED, *also) if (number := _version(name))}
    return {f"{LIBRARY}{name}": number for name, number in found.items()}


def distributions_of(packages: Iterable[str]) -> tuple[str, ...]:
    """Name what has to be installed, under a version, for code that imports `packages`.

    >>> distributions_of(["numpy"])
    ('numpy',)

    Raises:
        DeclarationError: A package is of no distribution, so nobody could tell later which code it was.
    """
    return tuple(sorted({name for package in packages for name in _distributions_of(package)}))


def recipe_sha256(recipe: Recipe) -> str:
    """Digest a recipe; what it does not have is left out, so that recipes from before there was such a thing agree."""
    told = msgspec.to_builtins(recipe)
    return sha256_json({name: text for name, text in told.items() if text is not None})


def _version(distribution: str) -> str | None:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return None


def _distributions_of(package: str) -> Iterable[str]:
    named = [package] if _version(package) else packages_distributions().get(package, [])  # which reads all there are
    if not named:
        raise DeclarationError(
            f"trainer.py imports {package!r}, which belongs to no installed package, so nobody could tell later which "
            "code the model was fitted with. Write it into trainer.py, or install it as a package that has a version.",
            package=package,
        )
    return named


def platform_facts() -> dict[str, str]:
    """Give interpreter, operating system, processor and C library: what can move a last bit between two machines."""
    return {
        "python": platform.python_version(),
        "implementation": sys.implementation.name,
        "system": platform.system(),
        "machine": platform.machine(),
        "libc": " ".join(part for part in platform.libc_ver() if part) or "unknown",
    }


def reproducibility_record(
    fitted: Fitted,
    *,
    training_set: TrainingSet,
    rows: Mapping[str, str],
    recipe: Recipe,
    parts: Mapping[str, bytes],
    circumstances: Mapping[str, str],
    repeats: bool = True,
) -> dict[str, str]:
    """Give the record: digests of all that went in and came out, every seed, and the circumstances of the fit.

    Args:
        fitted: The model.
        training_set: What it was fitted on.
        rows: Content digest of the rows of each part of it, which their order, their columns and types are part of.
        recipe: What people wrote of the model.
        parts: The parts of its bundle.
        circumstances: Code, lock file, libraries and machine: `git_sha`, `library.numpy`, `cpu` …
        repeats: Whether the trainer gave the same bytes twice when it was tried.
    """
    spec = training_set.spec
    seeds = {name: str(value) for name, value in fitted.params.items() if name.endswith("seed")}
    return {
        **{f"{INPUT}{source.table}": f"{source.version} {source.sha256}" for source in training_set.sources},
        "training_set_sha256": training_set.sha256,
        **{f"{part}_rows_sha256": digest for part, digest in rows.items()},
        "columns_sha256": sha256_json([spec.request, [(view.keys, view.features) for view in spec.views]]),
        "levels_sha256": sha256_json([(feature.name, feature.levels) for feature in spec.features]),
        "features_sha256": sha256_bytes(recipe.features.encode()),
        "model_sha256": sha256_bytes(recipe.model_py.encode()),
        **({} if recipe.trainer_py is None else {"trainer_sha256": sha256_bytes(recipe.trainer_py.encode())}),
        "recipe_sha256": recipe_sha256(recipe),
        "trainer": fitted.trainer,
        "params_sha256": sha256_json(fitted.params),
        **seeds,
        **{f"{PART}{name}": sha256_bytes(data) for name, data in sorted(parts.items())},
        **({} if repeats else {NOT_EXACT: FITS_DIFFER}),
        **({NOT_EXACT: NOT_TO_THE_BIT} if "distributed" in fitted.params else {}),
        **circumstances,
    }


def missing_facts(record: Mapping[str, str]) -> tuple[str, ...]:
    """Name the facts without which nobody could fit the same model again; an empty value counts as missing.

    >>> missing_facts(dict.fromkeys(FACTS, "known") | {"git_sha": ""})
    ('git_sha',)
    """
    return tuple(fact for fact in FACTS if not any(_is(fact, name) and value for name, value in record.items()))


def why_not_again(record: Mapping[str, str]) -> tuple[str, ...]:
    """Say in words what keeps anybody from fitting the same model again, unless its owner has declared it so.

    >>> why_not_again(dict.fromkeys(FACTS, "known") | {"git_sha": ""})
    ('not on record: git_sha',)
    """
    missing = missing_facts(record)
    said = [f"not on record: {', '.join(missing)}"] if missing else []
    if record.get(NOT_EXACT) == FITS_DIFFER:
        said.append(f"{FITS_DIFFER}: something in the trainer draws from the clock or from chance")
    return tuple(said)


def _is(fact: str, name: str) -> bool:
    return name.startswith(fact) if fact.endswith(".") else name == fact
