"""What is asked of text in files of every kind: that it is UTF-8 throughout."""

import pyarrow as pa

from mlops_assets.errors import SourceError
from mlops_assets.sources.arrow import settle

UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")
RECODE = "Write it in UTF-8; rows of other encodings must be converted one by one."


def sound(rows: pa.Table) -> pa.Table:
    """Give settled rows whose text is text throughout; Arrow looks no further than it needs to.

    Raises:
        SourceError: Some of it is not UTF-8.
        pa.ArrowInvalid: Something else is wrong with them.
    """
    try:
        rows.validate(full=True)
    except pa.ArrowInvalid as error:
        if "UTF8" not in str(error).upper():
            raise
        raise SourceError(f"Some of its text is not UTF-8: {error}. {RECODE}") from error
    return settle(rows)
