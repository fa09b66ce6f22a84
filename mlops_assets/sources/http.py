"""Rows from a service that answers in JSON over HTTP."""

import hashlib
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence, Set
from email.utils import parsedate_to_datetime
from typing import Any, Literal, Self

import httpx
import msgspec
import pyarrow as pa
import stamina
from pydantic import BaseModel, Field, model_validator

from mlops_assets.errors import DeclarationError, SourceError, UnknownNameError
from mlops_assets.records import Span
from mlops_assets.sources.arrow import TypeName, rows_within
from mlops_assets.sources.blocks import BLOCK_BYTES, blocks_of
from mlops_assets.sources.json_lines import jsonl_pieces
from mlops_assets.sources.paging import AnyPages, NumberedPages, at_path
from mlops_assets.sources.source import SPAN_PLACES, SourceModel, fill, places_in

LONGEST_WAIT_S = 300.0  # a service that asks for more is asked again by the next run
READINGS_AT_MOST = 4

Record = dict[str, Any]


class HttpAuth(BaseModel, frozen=True, extra="forbid"):
    """Who asks. The secret itself stands in the environment, never in YAML."""

    variable: str = Field(description="Name of the environment variable that holds the secret.")
    header: str = Field("Authorization", description="The header that carries it.")
    scheme: str = Field("Bearer", description="What stands before it in the header; empty for nothing.")

    def headers(self) -> dict[str, str]:
        """Give the header with the secret.

        Raises:
            SourceError: The variable is not set, or holds what no header can carry.
        """
        secret = os.environ.get(self.variable, "").strip()
        if not (secret and secret.isascii() and secret.isprintable()):
            state = "holds letters that no header can carry" if secret else "is not set"
            raise SourceError(
                f"The environment variable {self.variable} {state}, so the service would not answer. Set it where "
                f"Dagster runs.",
                variable=self.variable,
            )
        return {self.header: f"{self.scheme} {secret}".strip()}


class HttpSource(SourceModel, frozen=True, extra="forbid"):
    """What a service answers, page by page, each request tried again while the service is busy or cut off.

    kind: http
    url: https://shop.example/api/orders
    params: {from: "{partition_start}", to: "{partition_end}", limit: 500}
    records: data
    pages: {kind: cursor, next: meta.next_cursor}
    auth: {variable: SHOP_TOKEN}
    """

    kind: Literal["http"] = "http"
    url: str = Field(pattern="^https?://", description="The address, without secrets; it may hold {partition}.")
    params: dict[str, str | int | float | bool] = Field(
        default_factory=dict,
        description="Query parameters. {partition_start} (included) and {partition_end} (excluded) are the times of "
        "the partition asked for, as 2013-02-08T00:00:00Z; {partition} is its day.",
    )
    records: str | None = Field(
        None, description="Where the records stand in an answer, such as data.items; by default it is a list of them."
    )
    pages: AnyPages | None = Field(None, description="How the answer is parted; by default it is one page.")
    auth: HttpAuth | None = Field(None, description="Who asks.")
    types: dict[str, TypeName] = Field(
        default_factory=dict,
        description="Types of the columns; those that are always there are columns even where no record came.",
    )
    columns: tuple[str, ...] | None = Field(None, description="The columns to take; by default all of them.")
    time_column: str | None = Field(
        None, description="Of what the service answers, only rows whose time lies in the partition are taken."
    )
    timeout_s: float = Field(30.0, gt=0, description="How long to wait for a connection and for each piece of data.")
    attempts: int = Field(5, ge=1, description="How often to try each request: after 429, 5xx, or a cut connection.")
    wait_s: float = Field(0.5, gt=0, description="About how long to wait before the second attempt; it doubles.")

    @model_validator(mode="after")
    def _holds_no_secret(self) -> Self:
        if httpx.URL(self.url).userinfo:
            raise DeclarationError(
                "The `url` holds a user or password. Name an environment variable in `auth` instead."
            )
        return self

    @property
    def where(self) -> str:
        """The address."""
        return self.url

    def stream(self, span: Span | None, *, variables: Mapping[str, str]) -> Iterator[pa.Table]:
        """Give the records that the service answers, in its order.

        They wait in a file until the last page is in, as only all of them say what types their fields have. Pages by
        number shift when a record is added while they are read. So they are read until two readings agree.
        """
        self._require_span_is_used(span)
        url = self._address(span, variables)
        with httpx.Client(timeout=self.timeout_s, headers=self._headers()) as client, _Reading() as reading:
            self._read(client, url, reading)
            if isinstance(self.pages, NumberedPages):
                self._agree(client, url, reading)
            self._require_columns(reading, url)
            try:
                for rows in jsonl_pieces(reading.blocks, types=self.types):
                    if span is not None and self.time_column is not None:
                        rows = rows_within(rows, self.time_column, span, place=str(url))
                    yield rows.select(self.columns) if self.columns else rows
            except pa.ArrowInvalid as error:
                raise SourceError(
                    f"The records of {url} do not fit into one table: {error}. Nothing was taken from it. Set `types` "
                    f"of the column, or take it out with `columns`.",
                    url=str(url),
                ) from error

    # --- asking -----------------------------------------------------------------------------------

    def _require_span_is_used(self, span: Span | None) -> None:
        templates = [self.url, *(value for value in self.params.values() if isinstance(value, str))]
        used = any(SPAN_PLACES & places_in(template) for template in templates)
        if span is None and used:
            raise DeclarationError(
                f"{self.url} is asked for a partition's start or end, but the table is not partitioned. Partition the "
                f"table, or take the places out of `params`.",
                url=self.url,
            )
        if span is not None and not used and self.time_column is None:
            raise DeclarationError(
                f"{self.url} would be asked the same for {span.partition} and for every other partition. Put "
                f"{{partition_start}} and {{partition_end}} into `params`, or name a `time_column`.",
                url=self.url,
            )

    def _address(self, span: Span | None, variables: Mapping[str, str]) -> httpx.URL:
        filled = {
            name: fill(value, span, variables) if isinstance(value, str) else value
            for name, value in self.params.items()
        }
        url = httpx.URL(fill(self.url, span, variables)).copy_merge_params(filled)
        return self.pages.begin(url) if self.pages else url

    def _headers(self) -> dict[str, str]:
        return {"Accept": "application/json", **(self.auth.headers() if self.auth else {})}

    def _agree(self, client: httpx.Client, url: httpx.URL, reading: "_Reading") -> None:
        for _ in range(READINGS_AT_MOST - 1):
            before = reading.sha256
            self._read(client, url, reading)
            if reading.sha256 == before:
                return
        raise SourceError(
            f"{url} changed during each of {READINGS_AT_MOST} readings, so which records belong together is unknown. "
            f"Nothing was taken from it. Read days that are over, or page by cursor.",
            url=str(url),
        )

    def _read(self, client: httpx.Client, first: httpx.URL, reading: "_Reading") -> None:
        """Put every page into `reading`, in place of what is there."""
        reading.begin()
        wanted = {*self.columns, self.time_column} if self.columns else None
        asked: set[httpx.URL] = set()
        last: list[Record] | None = None
        url: httpx.URL | None = first
        while url is not None:
            if (url.scheme, url.host, url.port) != (first.scheme, first.host, first.port):
                raise SourceError(
                    f"{first} names {url} as its next page, on another server, and the secret is not sent there. "
                    f"Nothing was taken from it. Correct `url`.",
                    url=str(first),
                )
            response, body, page = self._page(client, url)
            asked.add(url)
            following = self.pages.following(url, response, body, len(page)) if self.pages else None
            if following in asked or (page and page == last):
                raise SourceError(
                    f"{first} gives the same page again and again, so there is no end to it. Nothing was taken from "
                    f"it. Correct `pages` to what the service understands.",
                    url=str(first),
                )
            reading.add(page, wanted)
            last, url = page, following

    def _page(self, client: httpx.Client, url: httpx.URL) -> tuple[httpx.Response, Any, list[Record]]:
        try:
            for attempt in stamina.retry_context(
                on=_again, attempts=self.attempts, timeout=None, wait_initial=self.wait_s, wait_jitter=self.wait_s
            ):
                with attempt:
                    response = client.get(url)
                    response.raise_for_status()
                    body = (
                        msgspec.json.decode(response.content) if response.status_code != httpx.codes.NO_CONTENT else []
                    )
            return response, body, self._records_of(body)
        except httpx.HTTPStatusError as error:
            raise _refused(url, error.response, self.auth) from error
        except (httpx.TransportError, msgspec.DecodeError, SourceError) as error:
            said = str(error).rstrip(".") or type(error).__name__
            raise SourceError(
                f"{url} could not be read: {said}. Nothing was taken from it. See that the service is up and answers "
                f"in JSON, and that `url` and `records` are right.",
                url=str(url),
            ) from error

    def _records_of(self, body: Any) -> list[Record]:
        found = at_path(body, self.records) if self.records and body != [] else body
        if not isinstance(found, list) or not all(isinstance(record, dict) for record in found):
            raise SourceError(f"at {self.records or 'the top of the answer'} there is no list of JSON objects")
        return found

    def _require_columns(self, reading: "_Reading", url: httpx.URL) -> None:
        if not reading.records and not self.types:
            raise SourceError(
                f"{url} has no records, and nothing says which columns they would have. Declare `types`.", url=str(url)
            )
        known = {*self.types, *reading.fields}
        for name in self.columns or ():
            if name not in known:
                raise UnknownNameError(f"Column of {url}", name, known=known)


class _Reading:
    """The records of one reading, in a file once they are too many to hold."""

    def __init__(self) -> None:
        self._file = tempfile.SpooledTemporaryFile(max_size=BLOCK_BYTES)  # noqa: SIM115 - `__exit__` closes it
        self.begin()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def begin(self) -> None:
        """Forget all records."""
        self._file.seek(0)
        self._file.truncate()
        self._hash, self.records, self.fields = hashlib.sha256(), 0, set[str]()

    def add(self, page: Sequence[Record], wanted: Set[str | None] | None) -> None:
        """Put the records of a page behind those before, without the fields that are not wanted."""
        self.records += len(page)
        self.fields.update(*page)
        for record in page:
            kept = record if wanted is None else {name: value for name, value in record.items() if name in wanted}
            self._file.write(msgspec.json.encode(kept) + b"\n")
            self._hash.update(msgspec.json.encode(record, order="sorted"))

    @property
    def sha256(self) -> str:
        return self._hash.hexdigest()

    def blocks(self) -> Iterator[bytes]:
        return blocks_of(self._file)


def _again(error: Exception) -> bool | float:
    """Say whether to ask again after `error`, or after how many seconds, where the service says it."""
    if isinstance(error, httpx.TransportError | msgspec.DecodeError):  # an answer cut off is no JSON
        return True
    if not isinstance(error, httpx.HTTPStatusError):
        return False
    status = error.response.status_code
    if status != httpx.codes.TOO_MANY_REQUESTS and status < httpx.codes.INTERNAL_SERVER_ERROR:
        return False
    wait = _retry_after(error.response)
    if wait is None:
        return True
    return wait if wait <= LONGEST_WAIT_S else False


def _retry_after(response: httpx.Response) -> float | None:
    """Give the seconds that the service asks us to wait; a date is counted from the service's own clock."""
    said = response.headers.get("Retry-After", "")
    if said.isdigit():
        return float(said)
    try:
        wait = parsedate_to_datetime(said) - parsedate_to_datetime(response.headers["Date"])
    except (ValueError, TypeError, KeyError):  # no date, or one without a zone, or nothing to count it from
        return None
    return max(0.0, wait.total_seconds())


def _refused(url: httpx.URL, response: httpx.Response, auth: HttpAuth | None) -> SourceError:
    status = response.status_code
    said = f"{status} {response.reason_phrase}".strip()
    if status in (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN):
        mend = f"Put a secret that may read there into {auth.variable}" if auth else "Declare `auth`"
    elif response.is_redirect:
        mend = f"Write the address it points to, {response.headers.get('Location')}, as `url`"
    elif status == httpx.codes.TOO_MANY_REQUESTS or response.is_server_error:
        later = response.headers.get("Retry-After")
        mend = f"Try again later{f': it says Retry-After {later}' if later else ''}"
    else:
        mend = "Correct `url` and `params`"
    return SourceError(
        f"{url} answered {said}. Nothing was taken from it. {mend}.",
        url=str(url),
        status=status,
    )
