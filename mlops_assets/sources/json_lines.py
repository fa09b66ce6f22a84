"""Rows from text that holds one JSON object per line."""

from collections.abc import Iterator
from io import BytesIO

import pyarrow as pa
import pyarrow.json

from mlops_assets.errors import SourceError
from mlops_assets.sources.arrow import TYPES, Types
from mlops_assets.sources.blocks import Blocks
from mlops_assets.sources.text import RECODE, UTF16_MARKS, sound


def jsonl_pieces(blocks: Blocks, *, types: Types) -> Iterator[pa.Table]:
    """Give the rows of JSON lines, one table per block; a key that a line lacks is null.

    What is longer than a block is read twice, first for the types of its columns.

    Raises:
        SourceError: It is not in UTF-8.
        pa.ArrowInvalid: It is no such text, or cut off, or a column has no one type.
    """
    known = pa.schema((name, TYPES[dtype]) for name, dtype in types.items())
    stream = blocks()
    first = next(stream, b"")
    if not first and types:
        yield known.empty_table()
        return
    if first.startswith(UTF16_MARKS):
        raise SourceError(f"It is in UTF-16. {RECODE}")
    if next(stream, None) is None:
        yield sound(_parsed(first, known))
        return
    found = known
    for block in blocks():
        if block.strip():
            found = _joined(found, _parsed(block, known).schema)
    for block in blocks():
        if block.strip():
            yield sound(_parsed(block, found))


def _parsed(block: bytes, known: pa.Schema) -> pa.Table:
    options = pa.json.ParseOptions(explicit_schema=known if known.names else None)
    return pa.json.read_json(BytesIO(block), parse_options=options, memory_pool=pa.system_memory_pool())


def _joined(one: pa.Schema, other: pa.Schema) -> pa.Schema:
    """Give the schema that Arrow finds in text of which `one` and `other` are found in parts."""
    return pa.schema(_joined_type(pa.struct(one), pa.struct(other), ""))


def _joined_type(one: pa.DataType, other: pa.DataType, path: str) -> pa.DataType:
    if one == other or pa.types.is_null(other):
        return one
    if pa.types.is_null(one):
        return other
    if pa.types.is_struct(one) and pa.types.is_struct(other):
        fields = {field.name: field.type for field in one}
        for field in other:
            there = fields.get(field.name, pa.null())
            fields[field.name] = _joined_type(there, field.type, f"{path}/{field.name}")
        return pa.struct(fields)
    if pa.types.is_list(one) and pa.types.is_list(other):
        return pa.list_(_joined_type(one.value_type, other.value_type, f"{path}/[]"))
    if {one, other} == {pa.int64(), pa.float64()}:
        return pa.float64()
    if pa.string() in (one, other) and any(map(pa.types.is_timestamp, (one, other))):
        return pa.string()  # text of which some looks like a time
    raise pa.ArrowInvalid(f"Column({path}) changed from {one} to {other}")
