"""Where files are: on this machine or in an object store, one by name or many by a pattern."""

import glob
from collections.abc import Mapping
from dataclasses import dataclass
from typing import IO, Any

from fsspec import AbstractFileSystem
from fsspec.core import url_to_fs
from fsspec.implementations.local import LocalFileSystem

from mlops_assets.errors import DeclarationError, SourceError
from mlops_assets.records import Span
from mlops_assets.sources.source import fill

_MARKS = ("ETag", "etag", "md5Hash", "mtime", "LastModified", "last_modified", "updated", "created")


@dataclass(frozen=True, slots=True)
class FoundFile:
    """A file that is there; `mark` is another once it was written again."""

    address: str
    path: str
    mark: str
    system: AbstractFileSystem

    @property
    def is_here(self) -> bool:
        """Whether it is on this machine."""
        return isinstance(self.system, LocalFileSystem)

    def open(self) -> IO[bytes]:
        """Open it for reading."""
        return self.system.open(self.path, "rb")  # type: ignore[no-any-return]


def address_of(template: str, span: Span | None, variables: Mapping[str, str]) -> str:
    """Give the path or address that `template` stands for, patterns left as they are."""
    return fill(template, span, variables, as_text=glob.escape if glob.has_magic(template) else str)


def find_files(template: str, span: Span | None, variables: Mapping[str, str]) -> list[FoundFile]:
    """Give the files that `template` names, in the order of their names; none if there are none.

    Only the template itself can be a pattern (`*`, `?`, `[…]`), never what is filled into it.

    Raises:
        DeclarationError: Nothing here can read from such an address.
        SourceError: The store cannot be asked, or the name is that of a folder.
    """
    address = address_of(template, span, variables)
    try:
        # Listings are never remembered: what has just landed must be seen.
        system, path = url_to_fs(address, use_listings_cache=False)
    except (ImportError, ValueError) as error:
        raise DeclarationError(
            f"Nothing here reads from {address}: {error}. For addresses with s3:// install the extra `s3`; for "
            f"others, what fsspec names.",
            address=address,
        ) from error
    try:
        found = system.glob(path, detail=True) if glob.has_magic(template) else {path: system.info(path)}
    except FileNotFoundError:
        return []
    except Exception as error:  # every kind of store has its own tree of errors
        raise SourceError(
            f"{address} cannot be looked for: {error}. Nothing was read. See that the store is up, and that this "
            f"process may read there.",
            path=address,
        ) from error
    if not glob.has_magic(template) and found[path]["type"] == "directory":
        raise SourceError(
            f"{address} is a folder, and rows are read from files. Write a pattern, such as {template}/*.parquet.",
            path=address,
        )
    return [
        FoundFile(system.unstrip_protocol(name) if "://" in address else name, name, _mark(info), system)
        for name, info in sorted(found.items())
        if info["type"] == "file"
    ]


def _mark(info: Mapping[str, Any]) -> str:
    changed = next((str(info[name]) for name in _MARKS if name in info), "")
    return f"{info['name'].rsplit('/', 1)[-1]} {info['size']} {changed}"
