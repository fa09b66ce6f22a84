"""By which definition each day of a view was computed, and which days were computed otherwise than the newest.

What a view is computed by is a record, kept under its digest, and each partition carries the digest in its commit, as
those of a table carry the contract they were judged by. Days stored before there were such notes say nothing.
"""

from mlops_assets.digests import sha256_json
from mlops_assets.errors import StoreError, examples
from mlops_assets.features.redefinition import NOT_THERE, computed_otherwise
from mlops_assets.records import ViewComputation
from mlops_assets.stores.home import Home
from mlops_assets.stores.tables import Content

DEFINITIONS = "definitions"  # in the record store: the one in use by view, and all there were by view and digest
NOTE = "definition"  # what a partition's commit keeps the digest under
Otherwise = dict[str, dict[str, str]]  # by partition: the features computed otherwise, each with what has changed


def take_into_use(stores: Home, now: ViewComputation) -> str:
    """Keep what a view is computed by from now on, and give its digest; before any row is written that carries it."""
    sha256 = sha256_json(now)
    stores.records.put((DEFINITIONS, now.view), sha256, now)
    stores.records.put((DEFINITIONS,), now.view, now)
    return sha256


def in_use(stores: Home, view: str) -> ViewComputation | None:
    """Give what a view was last computed by; None if that was before there were such records.

    Raises:
        StoreError: It cannot be read.
    """
    try:
        return stores.records.find((DEFINITIONS,), view, ViewComputation)
    except StoreError as error:
        if isinstance(error.__cause__, OSError):
            raise
        raise StoreError(
            f"What features/{view} was last computed by is on record in a form that this release cannot read, so "
            "nobody can tell which of its days are of one definition. Compute its newest day again: `mlops refresh DAY "
            f"DAY`, or materialize features/{view}.",
            view=view,
        ) from error


def noted(stores: Home, view: str, sha256: str) -> ViewComputation | None:
    """Give the definition that a partition's note names; None if it is gone, or of a form this release cannot read."""
    try:
        return stores.records.find((DEFINITIONS, view), sha256, ViewComputation)
    except StoreError as error:
        if isinstance(error.__cause__, OSError):  # it may be there
            raise
        return None


def otherwise(stores: Home, now: ViewComputation, contents: dict[str, Content]) -> Otherwise:
    """Give the partitions that were computed by another definition than `now`, or by an unknown one, oldest first."""
    digests = {digest for content in contents.values() if (digest := content.extra.get(NOTE))}
    found = {each: computed_otherwise(noted(stores, now.view, each), now) for each in digests - {sha256_json(now)}}
    return {key: why for key in sorted(contents) if (why := found.get(contents[key].extra.get(NOTE, ""), {}))}


def told(view: str, days: Otherwise) -> str:
    """Say in words what is otherwise about which days of a view, and how to mend it."""
    first, last = min(days), max(days)
    changed = {name: why for each in days.values() for name, why in each.items()}
    new = sorted(name for name, why in changed.items() if why == NOT_THERE)
    other = [f"{name} ({why})" for name, why in sorted(changed.items()) if why != NOT_THERE]
    what = [f"before the view had {examples(new)}, which a model would learn to be missing"] if new else []
    what += [f"by another definition of {examples(other)}, which a model would learn as the same"] if other else []
    return (
        f"{len(days)} of the days of features/{view}, {first} to {last}, were computed {', and '.join(what)}. "
        f"Compute them again: `mlops refresh {first} {last}`, or a backfill of features/{view}."
    )
