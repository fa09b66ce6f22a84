"""How far fits have come, so that one that was killed goes on: one file per model, of the fit that is under way.

<root>/<model>/<key>    the SHA-256 of the progress, a line end, the progress

The key digests all that the fit is made of. Progress of other rows, parameters or libraries has another key: it is
never found, and goes when the next fit of that model saves its own.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from mlops_assets.digests import sha256_bytes
from mlops_assets.stores._atomic import checked_name, write_file, writing

EVERY_S = 30.0  # what a kill may cost of a fit that can save at any moment
SHARE = 20.0  # and where a save takes long, as big forests do: so many times as long passes until the next


@dataclass(slots=True)
class StoredCheckpoint:
    """The place of one fit's progress; `training.Checkpoint` for the trainer."""

    path: Path
    clock: Callable[[], float] = time.monotonic
    _asked: float = field(init=False)
    _next: float = field(init=False)

    def __post_init__(self) -> None:
        self._asked = self.clock()
        self._next = self._asked + EVERY_S

    def due(self) -> bool:
        """Say whether the last save was long enough ago; what then passes until it is saved counts as the save's time.

        A fit that goes on from a checkpoint starts counting anew.
        """
        self._asked = self.clock()
        return self._asked >= self._next

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
        now = self.clock()
        self._next = now + max(EVERY_S, SHARE * (now - self._asked))

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

    def __init__(self, root: str | Path, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.root, self.clock = Path(root), clock

    def of(self, model: str, key: str) -> StoredCheckpoint:
        """Give the place for the fit of `model` that `key` digests."""
        return StoredCheckpoint(
            self.root / checked_name("model", model) / checked_name("checkpoint key", key), self.clock
        )
