"""Files that are cut off, in another encoding, or written otherwise than agreed."""

import pyarrow as pa

from mlops_assets_tests.claims.bad_data._changing import every
from mlops_assets_tests.claims.bad_data._world import Kind


def lines(file: bytes) -> list[bytes]:
    return file.splitlines(keepends=True)


def in_line(file: bytes, number: int, old: bytes, new: bytes) -> bytes:
    """Give the file with one line changed."""
    there = lines(file)
    assert old in there[number]
    there[number] = there[number].replace(old, new, 1)
    return b"".join(there)


def cell(file: bytes, column: str, new: bytes, numbers: tuple[int, ...] = (10, 200, 700)) -> bytes:
    """Give the file with a cell of some lines changed."""
    there = lines(file)
    at = there[0].decode().replace('"', "").strip().split(",").index(column)
    for number in numbers:
        cells = there[number].rstrip(b"\n").split(b",")
        cells[at] = new
        there[number] = b",".join(cells) + b"\n"
    return b"".join(there)


OF_FILES = [
    Kind("truncated file", "the last third of the bytes is missing", "blocked", file=lambda f: f[: len(f) * 2 // 3]),
    Kind("empty file", "no byte in it", "blocked", file=lambda f: b""),
    Kind("header only", "the names of the columns and no row", "blocked", file=lambda f: lines(f)[0]),
    Kind(
        "byte order mark",
        "three bytes before the first column's name",
        "accepted",
        file=lambda f: b"\xef\xbb\xbf" + f,
        accepted="it says only that the file is UTF-8; it is taken off, and the first column keeps its name",
    ),
    Kind("another encoding", "the file in UTF-16", "blocked", file=lambda f: f.decode().encode("utf-16")),
    Kind(
        "mixed encodings",
        "a few cells in Latin-1 in a file of UTF-8",
        "blocked",
        file=lambda f: cell(f, "tailnum", "N1é34".encode("latin-1")),
    ),
    Kind(
        "mojibake",
        "letters that were decoded wrong and encoded again",
        "quarantined",
        file=lambda f: cell(f, "tailnum", "NÂ§134".encode()),
    ),
    Kind("wrong delimiter", "semicolons for commas", "blocked", file=lambda f: f.replace(b",", b";")),
    Kind(
        "comma for thousands", "1,400 where 1400 was meant", "blocked", file=lambda f: cell(f, "distance", b'"1,400"')
    ),
    Kind(
        "missing said in words",
        "NaN, in a column of whole numbers, for flights that did leave",
        "quarantined",
        file=lambda f: cell(f, "dep_delay", b"NaN", tuple(_left(f))),
    ),
    Kind("words for numbers", "'unknown' for a delay", "blocked", file=lambda f: cell(f, "dep_delay", b"unknown")),
    Kind(
        "header again",
        "the names of the columns once more in the middle, as of two files in one",
        "blocked",
        file=lambda f: b"".join([*lines(f)[:300], lines(f)[0], *lines(f)[300:]]),
    ),
    Kind(
        "a cell too few",
        "one line in which a comma is missing",
        "blocked",
        file=lambda f: in_line(f, 100, b",", b""),
    ),
    Kind(
        "unclosed quote",
        "a quotation mark that nothing ends",
        "blocked",
        file=lambda f: in_line(f, 100, b",", b',"'),
    ),
    Kind(
        "numbers as text",
        "a column of delays that came as text",
        "blocked",
        rows=lambda day, _: every(day, "dep_delay", str, pa.string()),
    ),
]


def _left(file: bytes) -> list[int]:
    """Give the numbers of three lines of flights that left."""
    names = lines(file)[0].decode().replace('"', "").strip().split(",")
    at = names.index("dep_delay")
    return [n for n, line in enumerate(lines(file)) if n and line.split(b",")[at].strip()][:3]
