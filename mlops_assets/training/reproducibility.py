"""What it takes to fit the same model again, as one flat record of facts."""

import platform
import sys
from collections.abc import Mapping
from importlib.metadata import version

from mlops_assets.digests import sha256_json
from mlops_assets.training.trainer import Fitted

LIBRARIES = ("lightgbm", "numpy", "pyarrow", "duckdb", "scikit-learn", "scipy", "mlops-assets")

FACTS = (
    "training_set_sha256",
    "params_sha256",
    "features_sha256",
    "lock_sha256",
    "git_sha",
    "git_dirty",
    "seed",
    "trainer",
    "python",
    "system",
    "machine",
    "libc",
    *(f"library.{name}" for name in LIBRARIES),
)


def library_versions(names: tuple[str, ...] = LIBRARIES) -> dict[str, str]:
    """Give the installed version of each library, under `library.<name>`."""
    return {f"library.{name}": version(name) for name in names}


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
    training_set_sha256: str,
    features_sha256: str,
    lock_sha256: str,
    git_sha: str,
    git_dirty: bool,
    facts: Mapping[str, str],
) -> dict[str, str]:
    """Give the record: digests of all that went in, every seed, and the libraries and machine in `facts`.

    Args:
        fitted: The model.
        training_set_sha256: Digest of the rows it was fitted on.
        features_sha256: Digest of the code that computed them.
        lock_sha256: Digest of the lock file the environment was installed from.
        git_sha: Commit of the working tree.
        git_dirty: Whether the tree differed from that commit.
        facts: `library_versions() | platform_facts()`, or those of the machine that trained.
    """
    seeds = {name: str(value) for name, value in fitted.params.items() if name.endswith("seed")}
    return {
        **facts,
        **seeds,
        "trainer": fitted.trainer,
        "training_set_sha256": training_set_sha256,
        "params_sha256": sha256_json(fitted.params),
        "features_sha256": features_sha256,
        "lock_sha256": lock_sha256,
        "git_sha": git_sha,
        "git_dirty": "true" if git_dirty else "false",
    }


def missing_facts(record: Mapping[str, str]) -> tuple[str, ...]:
    """Name the facts without which nobody could fit the same model again; an empty value counts as missing.

    >>> missing_facts(dict.fromkeys(FACTS, "known") | {"git_sha": ""})
    ('git_sha',)
    """
    return tuple(name for name in FACTS if not record.get(name))
