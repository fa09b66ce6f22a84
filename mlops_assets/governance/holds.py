"""Legal holds: what a version was made of must be kept, whatever retention says, until somebody lets go of it."""

from collections.abc import Iterable

from mlops_assets.errors import GovernanceError
from mlops_assets.governance.audit import Event
from mlops_assets.records import AuditEntry


def holds(entries: Iterable[AuditEntry]) -> dict[tuple[str, str], AuditEntry]:
    """Give the holds in force, each by its model and bundle digest, with the entry that placed it.

    Args:
        entries: The audit log from its first entry on, in order.
    """
    found: dict[tuple[str, str], AuditEntry] = {}
    for entry in entries:
        if entry.event == Event.HOLD_PLACED:
            found[_bundle(entry)] = entry
        elif entry.event == Event.HOLD_RELEASED:
            found.pop(_bundle(entry), None)
    return found


def require_hold(entries: Iterable[AuditEntry], *, model: str, version: int, bundle_sha256: str, held: bool) -> None:
    """Make sure that a version is held, or is not, before that is changed.

    Raises:
        GovernanceError: It is as it was to become; a second entry would say something that is not so.
    """
    found = holds(entries).get((model, bundle_sha256))
    if held and found is None:
        raise GovernanceError(f"{model}@{version} is not held, so there is no hold to release.", model=model)
    if not held and found is not None:
        raise GovernanceError(
            f"{model}@{version} is held already, since {found.at:%Y-%m-%d} by {found.actor}: {found.data['reason']} "
            "Release that hold first if it should stand for another reason.",
            model=model,
        )


def _bundle(entry: AuditEntry) -> tuple[str, str]:
    return entry.subject["model"], entry.subject["bundle_sha256"]
