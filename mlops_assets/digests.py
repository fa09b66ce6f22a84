"""One way to hash anything: canonical bytes, then SHA-256.

Tables are hashed as an Arrow IPC stream in their own schema, metadata dropped, in fixed batches, so the digest does not
depend on chunking, on the file format or on how often a file was rewritten.
"""

import hashlib
from collections.abc import Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import msgspec
import rfc8785

if TYPE_CHECKING:
    import pyarrow as pa

BATCH_ROWS = 65_536  # part of the digest's definition: changing it changes every table digest


def sha256_bytes(data: bytes) -> str:
    """Give the SHA-256 of `data` in hex.

    >>> sha256_bytes(b"")[:8]
    'e3b0c442'
    """
    return hashlib.sha256(data).hexdigest()


def canonical_json(value: Any) -> bytes:
    """Give the RFC 8785 form of a record or of plain JSON data; the same value always gives the same bytes.

    Raises:
        rfc8785.CanonicalizationError: `value` holds NaN, infinity or an integer beyond 2**53 - 1.
    """
    return rfc8785.dumps(msgspec.to_builtins(value, str_keys=True))


def sha256_json(value: Any) -> str:
    """Give the SHA-256 of the canonical JSON of `value`.

    >>> sha256_json({"b": 1.0, "a": None}) == sha256_json({"a": None, "b": 1})
    True
    """
    return sha256_bytes(canonical_json(value))


def sha256_parts(parts: Mapping[str, str]) -> str:
    """Give one digest over named digests, independent of their order (files of a bundle, partitions of a table)."""
    return sha256_json(dict(parts))


class _HashSink:
    """The least of a writable file that Arrow's stream writer needs: what is written is hashed and forgotten."""

    closed = False

    def __init__(self) -> None:
        self.hash = hashlib.sha256()

    def write(self, data: bytes) -> int:
        self.hash.update(data)
        return len(data)

    def flush(self) -> None: ...

    def close(self) -> None: ...

    def writable(self) -> bool:
        return True

    def readable(self) -> bool:
        return False

    def seekable(self) -> bool:
        return False


def _settled(column: "pa.ChunkedArray") -> "list[pa.ChunkedArray]":
    """Give `column` as values and validity, with one fixed value under every null, where Arrow lets anything lie."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_nested(column.type) or pa.types.is_null(column.type):
        return [column]
    if not column.null_count:
        return [column, pa.chunked_array([pa.repeat(True, len(column))])]
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        blank = pa.scalar("", column.type)
    elif pa.types.is_binary(column.type):
        blank = pa.scalar(b"", column.type)
    elif pa.types.is_decimal(column.type):
        blank = pa.scalar(Decimal(0), column.type)
    else:
        width = pa.int32() if column.type.bit_width == 32 else pa.int64()  # date32 and time32 cast from int32 only
        blank = pa.scalar(0, width).cast(column.type)
    return [pc.fill_null(column, blank), pc.is_valid(column)]


def _own(column: "pa.ChunkedArray") -> "pa.ChunkedArray":
    """Give `column` in buffers that hold nothing else.

    Of the head of a longer column, what lies behind its last row would be written as padding, and hashed with it.
    """
    import pyarrow as pa

    in_bits = pa.types.is_boolean(column.type) or pa.types.is_nested(column.type)  # bytes do not tell where they end
    if not in_bits and column.nbytes == column.get_total_buffer_size():
        return column
    return pa.chunked_array([pa.concat_arrays([chunk.slice(0, 0), chunk]) for chunk in column.chunks], column.type)


def sha256_table(table: "pa.Table") -> str:
    """Give the content digest of `table`: values, order, names and types, but not chunking, metadata or nullability.

    >>> import pyarrow as pa
    >>> a = pa.table({"x": [1, 2, 3]}); b = pa.concat_tables([a.slice(0, 1), a.slice(1)])
    >>> sha256_table(a) == sha256_table(b)
    True
    """
    import pyarrow as pa  # 40 MB that the endpoint, which hashes bundles only, does without

    columns, names = [], []
    for name, column in zip(table.column_names, table.columns, strict=True):
        for part, settled in zip(("", "?"), _settled(column), strict=False):
            columns.append(settled)
            names.append(name + part)
    whole = pa.table([_own(column) for column in columns], names=names).combine_chunks()
    sink = _HashSink()
    with pa.ipc.new_stream(pa.PythonFile(sink, mode="w"), whole.schema) as writer:
        for start in range(0, whole.num_rows, BATCH_ROWS):
            for batch in whole.slice(start, BATCH_ROWS).to_batches():
                writer.write_batch(batch)
    return sink.hash.hexdigest()
