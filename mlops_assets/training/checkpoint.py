"""Where a long fit leaves how far it has come, so that one that was killed goes on from there."""

from typing import Protocol, TypeVar

import msgspec

Progress = TypeVar("Progress", bound=msgspec.Struct)


class Checkpoint(Protocol):
    """Keeps the progress of one fit, of exactly these rows and parameters, through the death of its process.

    What a trainer saves is its own business. A fit that goes on from it must end with the same bytes as one that was
    never disturbed; a trainer that cannot promise that leaves it alone and starts anew.
    """

    def load(self) -> bytes | None:
        """Give what was saved last, whole; None if nothing was."""
        ...

    def due(self) -> bool:
        """Say whether so much was done since the last save that another is worth its time.

        For fits that could save at any moment: when they do may change nothing of the model.
        """
        ...

    def save(self, progress: bytes) -> None:
        """Keep `progress` in place of what was saved before; once this returns, it is on disk."""
        ...


def saved_progress(checkpoint: Checkpoint | None, kind: type[Progress]) -> Progress:
    """Give what was saved, or the beginning; that too if another version of the trainer saved something else.

    It is read as MessagePack, in which a loss may be no number. `kind` forbids unknown fields and has a default for
    each.
    """
    saved = None if checkpoint is None else checkpoint.load()
    try:
        return kind() if saved is None else msgspec.msgpack.decode(saved, type=kind)
    except msgspec.DecodeError:
        return kind()
