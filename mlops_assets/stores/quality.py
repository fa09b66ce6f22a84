"""What was found in each batch, every time it was judged: a record and a page for people.

<root>/<table>/<day>/0001.json, 0001.html; the next judgement of that day is 0002, and so on
<root>/<table>/whole/…                     of a table that has no days
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from mlops_assets.errors import StoreError
from mlops_assets.records import BatchQuality
from mlops_assets.stores._atomic import checked_name, write_file, writing

WHOLE = "whole"


class Judgement(NamedTuple):
    """A batch as it was judged, and where its page is below the table's folder."""

    page: str
    quality: BatchQuality


class QualityStore:
    """Keeps the judgements of batches under `root`; none is ever replaced."""

    def __init__(self, root: str | Path) -> None:
        self.root = Path(root)

    def add(self, quality: BatchQuality, page: Callable[[BatchQuality, Sequence[Judgement]], str]) -> Path:
        """Keep a judgement after those before it, with the page made of it and of `history` up to it; give the page."""
        before = self.history(quality.table, until=quality.partition)
        number = max((int(path.stem) for path in self._numbered(quality.table, quality.partition)), default=0) + 1
        path = self._folder(quality.table, quality.partition) / f"{number:04d}.html"
        newest = Judgement(f"{path.parent.name}/{path.name}", quality)
        with writing(f"The quality of {quality.table}", path):
            write_file(path, page(quality, [*before, newest]).encode())
            # The record last: whoever finds it finds its page.
            write_file(path.with_suffix(".json"), msgspec.json.format(msgspec.json.encode(quality), indent=2) + b"\n")
        return path

    def newest(self, table: str, partition: str | None) -> BatchQuality | None:
        """Give a batch as it was judged last, None if it never was."""
        numbered = self._numbered(table, partition)
        return self._read(numbered[-1]) if numbered else None

    def partitions(self, table: str) -> tuple[str | None, ...]:
        """Give the batches of a table that were ever judged, sorted."""
        folders = (self.root / checked_name("table", table)).glob("[!.]*/")
        return tuple(None if folder.name == WHOLE else folder.name for folder in sorted(folders))

    def history(self, table: str, *, until: str | None, at_most: int = 30) -> list[Judgement]:
        """Give the last judgements of a table's batches up to `until`, by day and then in the order they were made."""
        found: list[Path] = []
        for partition in reversed(self.partitions(table)):
            if partition is None or until is None or partition <= until:
                found = self._numbered(table, partition) + found
            if len(found) >= at_most:
                break
        return [Judgement(f"{path.parent.name}/{path.stem}.html", self._read(path)) for path in found[-at_most:]]

    def _folder(self, table: str, partition: str | None) -> Path:
        return self.root / checked_name("table", table) / checked_name("partition", partition or WHOLE)

    def _numbered(self, table: str, partition: str | None) -> list[Path]:
        return sorted(self._folder(table, partition).glob("[0-9]*.json"))

    def _read(self, path: Path) -> BatchQuality:
        try:
            return msgspec.json.decode(path.read_bytes(), type=BatchQuality)
        except (OSError, msgspec.MsgspecError) as error:
            raise StoreError(
                f"{path} does not hold what was found in a batch: {error}. Without it nobody can tell what is held "
                f"back. Remove the file, and materialize the batch again to judge it anew.",
                path=str(path),
            ) from error
