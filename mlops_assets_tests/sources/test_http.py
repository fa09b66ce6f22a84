"""HTTP: every page once, patience with a busy service, and no secret where it does not belong."""

import time

import pytest
from pydantic import TypeAdapter, ValidationError

from mlops_assets.errors import DeclarationError, SourceError, UnknownNameError
from mlops_assets.records import Span
from mlops_assets.sources import AnySource, HttpSource
from mlops_assets_tests.sources._service import cut, cut_unseen, failing, first, hang_up, running_service

DAY = Span.day("2013-02-08")
SPAN = {"from": "{partition_start}", "to": "{partition_end}"}
STYLES = {
    "whole": {},
    "number": {"pages": {"kind": "number"}},
    "cursor": {"pages": {"kind": "cursor", "next": "meta.next"}, "records": "data.items"},
    "next_url": {"pages": {"kind": "next_url", "next": "next"}, "records": "data.items"},
    "link": {"pages": {"kind": "link"}},
}
every_style = pytest.mark.parametrize("style", STYLES)


def record(number: int, day: int = 8) -> dict[str, object]:
    return {"seen_at": f"2013-02-{day:02d}T{number:02d}:00:00Z", "n": number}


@pytest.fixture
def service(monkeypatch):
    """Five records of the day, and one before and after it."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with running_service() as running:
        running.records = [record(1, 7), *(record(number) for number in range(5)), record(1, 9)]
        yield running


def source(service, style: str = "cursor", **more) -> HttpSource:
    declared = {
        "kind": "http",
        "url": f"{service.url}/{style}",
        "params": SPAN,
        "wait_s": 0.01,
        **STYLES[style],
        **more,
    }
    return TypeAdapter(AnySource).validate_python(declared)


def numbers(rows) -> list[int]:
    return rows["n"].to_pylist()


@every_style
def test_every_record_comes_once_however_pages_are_named(service, style):
    """In the order of the service, the span handed over with each page."""
    rows = source(service, style).read(DAY, variables={})

    assert numbers(rows) == [0, 1, 2, 3, 4]
    assert all("from=2013-02-08T00%3A00%3A00Z&to=2013-02-09T00%3A00%3A00Z" in path for path in service.asked)


@every_style
@pytest.mark.parametrize(
    "fault", [failing(429), failing(500), failing(503), cut, cut_unseen, hang_up], ids=lambda fault: str(fault)[:20]
)
def test_a_fault_on_the_way_costs_time_and_no_record(service, style, fault):
    """At the first page and at a later one."""
    service.faults = [fault, None, fault, fault]

    assert numbers(source(service, style).read(DAY, variables={})) == [0, 1, 2, 3, 4]
    assert service.faults == [] or style == "whole"


def test_a_busy_service_is_given_the_time_it_asks_for(service):
    """In seconds, or as a date on its own clock."""
    dates = {"Date": "Fri, 08 Feb 2013 10:00:00 GMT", "Retry_After": "Fri, 08 Feb 2013 10:00:01 GMT"}
    took = []
    for fault in (failing(429, Retry_After="1"), failing(503, **dates), failing(503)):
        service.faults = [fault]
        started = time.monotonic()
        source(service, "whole").read(DAY, variables={})
        took.append(time.monotonic() - started)

    assert took[0] >= 1
    assert took[1] >= 1
    assert took[2] < 1


def test_a_service_that_wants_to_be_left_alone_for_long_is(service):
    """A run does not sleep for an hour; the message says when to come back."""
    service.faults = [failing(429, Retry_After="3600")] * 5

    with pytest.raises(SourceError, match=r"429 .*Try again later: it says Retry-After 3600"):
        source(service).read(DAY, variables={})
    assert len(service.asked) == 1


@pytest.mark.parametrize(
    ("fault", "asked", "said"),
    [
        (failing(500), 3, "answered 500 Internal Server Error"),
        (cut, 3, "peer closed connection"),
        (lambda handler: handler.answer(b"<html>"), 3, "could not be read: JSON is malformed"),
        (failing(400), 1, r"answered 400 .*Correct `url` and `params`"),
        (failing(401), 1, "Declare `auth`"),
        (failing(302, Location="http://elsewhere.example/"), 1, r"points to, http://elsewhere.example/"),
        (lambda handler: handler.answer({"data": []}), 1, "nothing at 'data.items': where 'items' should be"),
        (lambda handler: handler.answer({"data": {"items": [1]}}), 1, "no list of JSON objects"),
    ],
)
def test_what_does_not_pass_is_told_and_never_an_empty_table(service, fault, asked, said):
    """Tried again where that may help, and only there."""
    service.faults = [fault] * 3

    with pytest.raises(SourceError, match=said):
        source(service, attempts=3).read(DAY, variables={})
    assert len(service.asked) == asked


def test_a_service_that_is_not_there_is_named(service):
    """Nobody listens on port 1."""
    with pytest.raises(SourceError, match=r"http://127.0.0.1:1/\?from=.* could not be read.*service is up"):
        source(service, url="http://127.0.0.1:1/", attempts=2).read(DAY, variables={})


def test_a_service_that_says_nothing_is_given_up_in_time(service):
    """The time-out is the declared one."""
    service.faults = [lambda handler: time.sleep(2)]
    started = time.monotonic()

    with pytest.raises(SourceError, match="timed out"):
        source(service, "whole", timeout_s=0.2, attempts=1).read(DAY, variables={})
    assert time.monotonic() - started < 1.5


def test_a_record_added_while_numbered_pages_are_read_is_not_doubled(service):
    """It shifts the others to the next page, so the pages are read until two readings agree."""
    late = {"seen_at": "2013-02-08T00:00:00Z", "n": 99}
    service.faults = [None, first(lambda: service.records.insert(1, late))]

    assert numbers(source(service, "number").read(DAY, variables={})) == [99, 0, 1, 2, 3, 4]


def test_a_record_taken_away_while_numbered_pages_are_read_loses_no_other(service):
    """It would shift the first of the next page to where nobody looks any more."""
    service.faults = [None, first(lambda: service.records.pop(1))]

    assert numbers(source(service, "number").read(DAY, variables={})) == [1, 2, 3, 4]


def test_numbered_pages_that_never_stand_still_are_an_error(service):
    """No reading can be trusted."""
    service.faults = [first(lambda: service.records.insert(1, record(len(service.records))))] * 500

    with pytest.raises(SourceError, match="changed during each of 4 readings"):
        source(service, "number").read(DAY, variables={})


def test_a_service_that_does_not_heed_the_page_number_is_noticed(service):
    """Else it would be read for ever."""
    service.faults = [lambda handler: handler.answer([record(1)])] * 50

    with pytest.raises(SourceError, match="the same page again and again"):
        source(service, "number").read(DAY, variables={})


def test_a_cursor_that_comes_again_is_noticed(service):
    """Even with other records on the page."""
    answers = [{"data": {"items": [record(number)]}, "meta": {"next": "7"}} for number in range(4)]
    service.faults = [lambda handler, body=body: handler.answer(body) for body in answers]

    with pytest.raises(SourceError, match="the same page again and again"):
        source(service).read(DAY, variables={})


def test_the_secret_comes_from_the_environment_and_goes_only_there(service, monkeypatch):
    """In the header that is declared; messages never hold it."""
    monkeypatch.setenv("SHOP_TOKEN", "s3cret\n")
    with_auth = {"auth": {"variable": "SHOP_TOKEN"}}
    key = {"auth": {"variable": "SHOP_TOKEN", "header": "X-Api-Key", "scheme": ""}}

    source(service, "whole", **with_auth).read(DAY, variables={})
    source(service, "whole", **key).read(DAY, variables={})
    service.faults = [failing(403)]
    with pytest.raises(SourceError, match="a secret that may read there into SHOP_TOKEN") as caught:
        source(service, "whole", **with_auth).read(DAY, variables={})

    assert service.headers[0]["Authorization"] == "Bearer s3cret"
    assert service.headers[1]["X-Api-Key"] == "s3cret"
    assert "s3cret" not in str(caught.value) + repr(caught.value.facts)


@pytest.mark.parametrize("value", [None, "", "\u00e9t\u00e9", "a\tb"])
def test_a_secret_that_is_not_there_is_told_before_anybody_is_asked(service, monkeypatch, value):
    """By the variable's name, and without its value."""
    if value is not None:
        monkeypatch.setenv("SHOP_TOKEN", value)

    with pytest.raises(SourceError, match="environment variable SHOP_TOKEN") as caught:
        source(service, auth={"variable": "SHOP_TOKEN"}).read(DAY, variables={})
    assert service.asked == []
    assert not value or value not in str(caught.value)


def test_a_secret_in_the_address_does_not_load():
    """YAML is read by many."""
    with pytest.raises(ValidationError, match="Name an environment variable in `auth`"):
        HttpSource(url="https://me:s3cret@shop.example/")


@pytest.mark.parametrize("style", ["next_url", "link"])
def test_the_secret_is_not_sent_to_another_server(service, style):
    """Where a next page would be elsewhere."""
    with running_service() as other:
        there = f"{other.url}/{style}?cursor=2"
        body = {"data": {"items": [record(1)]}, "next": there} if style == "next_url" else [record(1)]
        service.faults = [lambda handler: handler.answer(body, Link=f'<{there}>; rel="next"')]

        with pytest.raises(SourceError, match="on another server"):
            source(service, style).read(DAY, variables={})
        assert other.asked == []


def test_a_partition_that_the_request_does_not_name_is_refused(service):
    """Every day would hold everything; a time column says which records are whose."""
    with pytest.raises(DeclarationError, match="the same for 2013-02-08 and for every other"):
        source(service, params={}).read(DAY, variables={})

    rows = source(service, params={}, time_column="seen_at").read(DAY, variables={})

    assert numbers(rows) == [0, 1, 2, 3, 4]


def test_a_table_without_partitions_is_read_whole(service):
    """And a span in its parameters makes no sense."""
    rows = source(service, params={}).read(None, variables={})

    assert len(numbers(rows)) == 7
    with pytest.raises(DeclarationError, match="not partitioned"):
        source(service).read(None, variables={})


def test_no_records_are_no_table_where_nothing_says_the_columns(service):
    """With types they are an empty one; a 204 says the same."""
    empty = Span.day("2013-12-24")
    with pytest.raises(SourceError, match="Declare `types`"):
        source(service).read(empty, variables={})

    rows = source(service, types={"n": "int64"}).read(empty, variables={})
    service.faults = [lambda handler: handler.answer(b"", status=204)]
    silent = source(service, types={"n": "int64"}).read(empty, variables={})

    assert rows.schema == silent.schema
    assert rows.num_rows == 0


def test_columns_are_chosen_and_mixed_ones_refused(service):
    """A column nobody wants may hold what it likes."""
    service.records[1]["odd"], service.records[2]["odd"] = 1, "one"

    with pytest.raises(SourceError, match=r"do not fit into one table.*odd"):
        source(service).read(DAY, variables={})
    with pytest.raises(UnknownNameError, match="Did you mean 'seen_at'"):
        source(service, columns=("seen_a",)).read(DAY, variables={})
    assert source(service, columns=("n",)).read(DAY, variables={}).column_names == ["n"]
