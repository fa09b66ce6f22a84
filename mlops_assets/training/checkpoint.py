"""Where a long fit leaves how far it has come, so that one that was killed goes on from there."""

from typing import Protocol


class Checkpoint(Protocol):
    """Keeps the progress of one fit, of exactly these rows and parameters, through the death of its process.

    What a trainer saves is its own business. A fit that goes on from it must end with the same bytes as one that was
    never disturbed; a trainer that cannot promise that leaves it alone and starts anew.
    """

    def load(self) -> bytes | None:
        """Give what was saved last, whole; None if nothing was."""
        ...

    def save(self, progress: bytes) -> None:
        """Keep `progress` in place of what was saved before; once this returns, it is on disk."""
        ...
