"""How far fits have come, so that one that was killed goes on: one file per model, of the fit that is under way.

<root>/<model>/<key>    the SHA-256 of the progress, a line end, the progress

The key digests all that the fit is made of. Progress of other rows, parameters or libraries has another key: it is
never found, and goes when the next fit of that model saves its own.
"""

from dataclasses import dataclass
from pathlib import Path

from mlops_assets.digests import sha256_bytes
from mlops_assets.stores._atomic import checked_name, write_file, writing


@dataclass(frozen=True, slots=True)
class StoredCheckpoint:
    """The place of one fit's progress; `training.Checkpoint` for the trainer."""

    path: Path

    def load(self) -> bytes | None:
        """Give what was saved last; None if nothing was, or what is there is damaged and the fit better begins anew."""
        try:
            digest, _, progress = self.path.read_bytes().partition(b"\n")
        except FileNotFoundError:
            return None
        return progress if digest.decode(errors="replace") == sha256_bytes(progress) else None

    def save(self, progress: bytes) -> None:
        """Keep `progress`, and nothing of other fits of this model.

        Raises:
            StoreError: The disk refused.
        """
        with writing("A fit's checkpoint", self.path):
            write_file(self.path, f"{sha256_bytes(progress)}\n".encode() + progress)
            self._keep_only(self.path.name)

    def forget(self) -> None:
        """Remove what is kept of this model's fits; call it once the fitted model itself is on disk."""
        self._keep_only(None)

    def _keep_only(self, name: str | None) -> None:
        """Remove other files, also those that a killed save left half written."""
        if self.path.parent.is_dir():
            for file in self.path.parent.iterdir():
                if file.name != name:
                    file.unlink(missing_ok=True)


class CheckpointStore:
    """Keeps the progress of fits under `root`. One model is fitted by one process at a time; a second costs time only.

    Two that fit one model at once on other rows take each other's checkpoints away, and begin anew if they are killed.
    """

    def __init__(self, root: str | Path) -> None:
        self.root = Path(root)

    def of(self, model: str, key: str) -> StoredCheckpoint:
        """Give the place for the fit of `model` that `key` digests."""
        return StoredCheckpoint(self.root / checked_name("model", model) / checked_name("checkpoint key", key))
