"""Files that are there whole or not at all, and disk trouble said in words.

Written beside the target, flushed to the disk, renamed over it, and the folder flushed too: a process killed between
any two steps leaves the old content. What it may leave beside it is a name starting with a dot, which no store reads.
"""

import errno
import fcntl
import os
import re
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from mlops_assets.errors import StoreError

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.=:+-]*")

_REMEDIES = {
    errno.ENOSPC: "the disk is full. Free some space (old MLflow artefacts and Dagster logs go first) and run it again",
    errno.EDQUOT: "the disk quota is used up. Free some space or have the quota raised, and run it again",
    errno.EACCES: "this process may not write there. Give its user the folder (chown), or choose another home folder",
    errno.EPERM: "this process may not write there. Give its user the folder (chown), or choose another home folder",
    errno.EROFS: "the file system is mounted read-only. Mount it for writing, or choose another home folder",
    errno.EMFILE: "this process has too many files open. Raise its limit (ulimit -n) and run it again",
}


def remedy(error: OSError) -> str:
    """Say what is wrong with the disk, and what to do, in words that end a sentence."""
    known = _REMEDIES.get(error.errno or 0)
    return known or f"{error.strerror or error}. Mend that and run it again"


@contextmanager
def writing(what: str, path: Path) -> Iterator[None]:
    """Turn an `OSError` inside the block into a `StoreError` that says what was not written and what to do."""
    try:
        yield
    except OSError as error:
        raise StoreError(
            f"{what} was not written to {path}: {remedy(error)}. What was there before is unchanged.",
            path=str(path),
            errno=error.errno,
        ) from error


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock that the file at `path` stands for; the kernel lets go of it when the process dies."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def checked_name(kind: str, name: str) -> str:
    """Give `name` back if it can be one file or folder name everywhere.

    Raises:
        StoreError: It is empty, starts with a dot, or holds anything but letters, digits and `_ . = : + -`.
    """
    if not _NAME.fullmatch(name):
        raise StoreError(
            f"{kind} {name!r} cannot name a file. Use letters, digits and _ . = : + -, not starting with a dot.",
            name=name,
        )
    return name


def flush_file(path: Path) -> None:
    """Bring what was written to `path` to the disk, so that it outlives a power cut."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def flush_folder(folder: Path) -> None:
    """Bring new names inside `folder` to the disk; a folder is flushed as a file is."""
    flush_file(folder)


def _write_flushed(path: Path, data: bytes) -> None:
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def write_file(path: Path, data: bytes) -> None:
    """Replace the content of `path` by `data` in one step; missing folders are made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    os.close(handle)
    written = Path(name)
    try:
        _write_flushed(written, data)
        written.chmod(0o644)  # mkstemp leaves 0600, and the endpoint may run as another user
        written.replace(path)
    except BaseException:
        written.unlink(missing_ok=True)
        raise
    flush_folder(path.parent)


def write_folder(path: Path, files: Mapping[str, bytes]) -> None:
    """Put a folder holding exactly `files` at `path` in one step, unless a folder is already there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    written = Path(tempfile.mkdtemp(prefix=f".{path.name[:12]}.", dir=path.parent))
    try:
        for name, data in files.items():
            _write_flushed(written / name, data)
        written.chmod(0o755)
        flush_folder(written)
        try:
            written.rename(path)
        except OSError as error:
            if error.errno not in (errno.EEXIST, errno.ENOTEMPTY):
                raise
            remove_folder(written)  # somebody else put it there meanwhile
    except BaseException:
        with suppress(OSError):
            remove_folder(written)
        raise
    flush_folder(path.parent)


def remove_folder(path: Path) -> None:
    """Remove a flat folder and its files."""
    for file in path.iterdir():
        file.unlink()
    path.rmdir()
