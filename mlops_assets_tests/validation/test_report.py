"""The page of a batch: all of it inside, nothing from outside, and whatever data said is text."""

import re
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from mlops_assets.records import BatchQuality, ExpectationResult
from mlops_assets.validation.report import page
from mlops_assets_tests._page import assert_whole

AT = datetime(2013, 2, 9, 1, tzinfo=UTC)


def expectation(observed: float, *, success: bool = True, severity: str = "error") -> ExpectationResult:
    return ExpectationResult(
        name="expect_column_mean_to_be_between",
        column="dep_delay",
        success=success,
        observed=observed,
        expected="min_value=-10, max_value=90",
        severity=severity,
        why="seen: -1.8 to 62.1",
    )


def batch(day: str = "2013-02-08", **changed) -> BatchQuality:
    quality = BatchQuality(
        table="flights", partition=day, at=AT, rows=930, quarantined=0, expectations=(expectation(14.5),)
    )
    return replace(quality, **changed)


def made(quality: BatchQuality, *earlier: BatchQuality) -> str:
    return page(quality, [(f"{each.partition}/0001.html", each) for each in (*earlier, quality)])


def test_a_page_asks_for_nothing_from_outside_and_is_whole():
    """It is read in ten years, from a backup, without this program."""
    text = made(batch(), batch("2013-02-07"))

    assert_whole(text)
    assert not re.search(r"https?:", text)


def test_a_page_says_what_was_found():
    """Rows, rules with their share, expectations with bounds, what was observed, and why the bound is there."""
    text = made(batch(quarantined=31, rules={"dest.regex": 31}, waived={"flight.max": 2}, waivers=("flight.max",)))

    for said in ("930", "899", "31", "3.33%", "dest.regex", "flight.max", "waived", "14.5", "-1.8 to 62.1"):
        assert said in text
    assert "let through in part" in text


def test_a_page_lists_the_rules_that_are_kept_too():
    """With what each asks for, how many rows were looked at and how many broke it; the broken ones stand first."""
    asked = {"dest.regex": "dest must match [A-Z]{3}", "flight.min": "flight must be at least 1", "a.max": "at most 9"}

    text = made(
        batch(rows=1930, quarantined=31, rules={"flight.min": 31}, waivers=("a.max", "volume"), asked=asked, contract=4)
    )

    rules = text.partition("Rules of the contract, version 4")[2].partition("</table>")[0]
    lines = [re.sub("<[^>]+>", "|", line).strip("|") for line in rules.split("<tr>")[2:]]
    assert "Every row was held to each of 3 rules; 1 is broken." in rules
    assert [re.sub(r"\|+", " | ", line) for line in lines] == [
        "flight.min | flight must be at least 1 | 1,930 | 31 | 1.61% | holds them back",
        "dest.regex | dest must match [A-Z]{3} | 1,930 | 0 | 0.00% | kept",
        "a.max | at most 9 | 1,930 | 0 | 0.00% | waived",
        "volume | – | 0 | 0.00% | waived",
    ]


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({}, ">let through<"),
        ({"waived": {"a.min": 2}, "waivers": ("a.min",)}, "breaks waived rules at most"),
        ({"blocked": "half of it is missing"}, "half of it is missing"),
        ({"expectations": (expectation(99.0, success=False, severity="warn"),)}, "let through with a warning"),
    ],
)
def test_the_verdict_stands_first(changed, said):
    """Whoever opens the page wants to know that."""
    text = made(batch(**changed))

    assert said in text.partition("<dl>")[0]


def test_the_trend_leads_to_the_pages_of_the_batches_before():
    """With a mark where an expectation was not met."""
    bad = batch("2013-02-07", expectations=(expectation(99.0, success=False),), blocked="too late")

    text = made(batch(), batch("2013-02-06"), bad)

    assert re.findall(r'<a href="([^"]+)"', text) == [f"../2013-02-0{n}/0001.html" for n in (6, 7, 8)]
    assert text.count('class="bad"') == 1
    assert "2013-02-07: 99" in text


def test_what_is_not_met_stands_before_what_is():
    """Of twenty lines one is looked for."""
    met, unmet = replace(expectation(1.0), column="a_met"), replace(expectation(2.0, success=False), column="z_unmet")

    text = made(batch(expectations=(met, unmet), blocked="z"))

    assert text.index("z_unmet") < text.index("a_met")


def test_another_suite_leaves_no_wrong_trend():
    """A line that was something else in an earlier suite is left out."""
    other = batch("2013-02-07", expectations=(replace(expectation(1.0), column="distance"),))

    assert "<polyline" not in made(batch(), other)


def test_whatever_the_data_say_is_text():
    """A value may hold what a browser would run."""
    evil = "<script>alert(1)</script>"
    text = made(batch(blocked=evil, rules={evil: 1}, expectations=(replace(expectation(1.0), observed=evil),)))

    assert "<script" not in text
    assert text.count("&lt;script&gt;") == 3
