"""One way to hash anything: canonical bytes, then SHA-256.

Tables are hashed as an Arrow IPC stream in their own schema, metadata dropped, in fixed batches, so the digest does not
depend on chunking, on the file format or on how often a file was rewritten.
"""

import hashlib
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Protocol

import msgspec
import rfc8785

if TYPE_CHECKING:
    import pyarrow as pa

_PADDING = 64  # bytes, Arrow's
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


def _own(column: "pa.ChunkedArray") -> "pa.ChunkedArray | pa.Array":
    """Give `column` in buffers that hold nothing else.

    Of the head of a longer column, what lies behind its last row would be written as padding, and hashed with it.
    """
    import pyarrow as pa

    in_bits = pa.types.is_boolean(column.type) or pa.types.is_nested(column.type)  # bytes do not tell where they end
    if in_bits or column.nbytes != column.get_total_buffer_size():
        column = pa.chunked_array(
            [pa.concat_arrays([chunk.slice(0, 0), chunk]) for chunk in column.chunks], column.type
        )
    return _joined(column)


class TableDigest:
    """The digest of a table whose rows come piece by piece, the same as `sha256_table` gives of all of them at once.

    Holds rows of up to two batches; of columns with lists or structs in them, all rows until the end.
    """

    def __init__(self, schema: "pa.Schema") -> None:
        import pyarrow as pa  # 40 MB that the endpoint, which hashes bundles only, does without

        self._sink = _HashSink()
        self._file = pa.PythonFile(self._sink, mode="w")
        self._writer: pa.ipc.RecordBatchStreamWriter | None = None
        self._none = self._pending = schema.remove_metadata().empty_table()

    def update(self, rows: "pa.Table") -> None:
        """Take the next rows in; their columns must be those of the schema."""
        import pyarrow as pa

        rows = rows.replace_schema_metadata(None)
        self._pending = pa.concat_tables([self._pending, rows]) if self._pending.num_rows else rows
        while behind := _padding_rows(self._pending):
            self._write(self._taken(behind=behind))

    def hexdigest(self) -> str:
        """Give the digest; no rows can be taken in after that."""
        whole = self._taken(behind=None)
        for start in range(0, max(1, whole.num_rows), BATCH_ROWS):
            self._write(whole.slice(start, BATCH_ROWS))
        self._writer.close() if self._writer else None
        return self._sink.hash.hexdigest()

    def _taken(self, *, behind: int | None) -> "pa.Table":
        """Take off a full batch as it is hashed, text with that of the rows `behind` it; all that is left without.

        Of a batch nothing is copied but what lies in several pieces, or has nulls to be filled. Each column is let go
        at once.
        """
        import pyarrow as pa

        held, self._pending = self._pending.columns, self._none
        columns, names = [], []
        for place, name in enumerate(self._none.column_names):
            rows, held[place] = held[place], held[place].slice(len(held[place]) if behind is None else BATCH_ROWS)
            if behind is not None:
                rows = rows.slice(0, BATCH_ROWS + behind if _is_text(rows.type) else BATCH_ROWS)
            for part, settled in zip(("", "?"), _settled(rows), strict=False):
                columns.append(_own(settled) if behind is None else _joined(settled).slice(0, BATCH_ROWS))
                names.append(name + part)
        self._pending = pa.table(held, names=self._none.column_names)
        return pa.table(columns, names=names)

    def _write(self, rows: "pa.Table") -> None:
        import pyarrow as pa

        self._writer = self._writer or pa.ipc.new_stream(self._file, rows.schema)
        for batch in rows.to_batches():
            self._writer.write_batch(batch)


def _joined(column: "pa.ChunkedArray") -> "pa.ChunkedArray | pa.Array":
    """Give `column` in one piece, if it fits in one."""
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()


def _padding_rows(table: "pa.Table") -> int:
    """Give how many rows behind the first batch must be there for that to be hashed; 0 if too few are.

    Arrow pads the text of a batch to 64 bytes with the text that follows, so that belongs to the digest.
    """
    behind = _PADDING
    while table.num_rows > BATCH_ROWS:
        if _pads(table.slice(BATCH_ROWS, behind)):
            return behind
        if BATCH_ROWS + behind >= table.num_rows:
            break
        behind *= 16
    return 0


def _pads(rest: "pa.Table") -> bool:
    """Tell whether `rest` is enough to hash the batch before it."""
    import pyarrow as pa
    import pyarrow.compute as pc

    for column in rest.columns:
        if pa.types.is_nested(column.type):
            return False
        if _is_text(column.type) and (pc.sum(pc.binary_length(column)).as_py() or 0) < _PADDING:
            return False
    return True


def _is_text(dtype: "pa.DataType") -> bool:
    import pyarrow as pa

    kinds = (pa.types.is_string, pa.types.is_large_string, pa.types.is_binary, pa.types.is_large_binary)
    return any(is_kind(dtype) for is_kind in kinds)


class Pieces(Protocol):
    """Rows that come piece by piece, each time from the beginning, with the same columns in all pieces."""

    @property
    def schema(self) -> "pa.Schema":
        """Their columns."""
        ...

    def pieces(self) -> "Iterator[pa.Table]":
        """Give them in their order."""
        ...


def sha256_pieces(rows: Pieces) -> str:
    """Give what `sha256_table` gives of all of `rows` together."""
    digest = TableDigest(rows.schema)
    for piece in rows.pieces():
        digest.update(piece)
    return digest.hexdigest()


def sha256_table(table: "pa.Table") -> str:
    """Give the content digest of `table`: values, order, names and types, but not chunking, metadata or nullability.

    >>> import pyarrow as pa
    >>> a = pa.table({"x": [1, 2, 3]}); b = pa.concat_tables([a.slice(0, 1), a.slice(1)])
    >>> sha256_table(a) == sha256_table(b)
    True
    """
    digest = TableDigest(table.schema)
    digest.update(table)
    return digest.hexdigest()
