"""Quality suites: readable files, judged whole, and nothing dropped in silence."""

import json

import pyarrow as pa
import pytest

from mlops_assets.errors import ContractError, DeclarationError, UnknownNameError
from mlops_assets.validation import QualitySuite, check

ROWS = pa.table({"delay": [1.0, 3.0, None], "origin": ["EWR", "EWR", "JFK"]})


def suite_of(*expectations: tuple[str, dict[str, object]]) -> QualitySuite:
    return QualitySuite.model_validate(
        {"name": "s", "expectations": [{"type": kind, "kwargs": kwargs} for kind, kwargs in expectations]}
    )


def test_every_expectation_is_judged_in_the_order_of_the_suite():
    """One that fails does not hide the next."""
    suite = suite_of(
        ("expect_column_mean_to_be_between", {"column": "delay", "min_value": 5, "max_value": 9}),
        ("expect_table_row_count_to_be_between", {"min_value": 1, "max_value": 3}),
        ("expect_column_values_to_not_be_null", {"column": "delay", "mostly": 0.5}),
        ("expect_column_distinct_values_to_equal_set", {"column": "origin", "value_set": ["EWR", "JFK"]}),
    )

    result = check(ROWS, suite)

    assert not result.passed
    assert [found.success for found in result.results] == [False, True, True, True]
    assert [found.observed for found in result.results[:2]] == [2.0, 3.0]
    assert result.results[2].observed == pytest.approx(2 / 3)
    assert result.results[0].column == "delay"
    assert result.results[0].expected == "min_value=5, max_value=9"


def test_of_a_set_it_is_told_what_came_that_should_not_and_what_did_not():
    """Great Expectations itself says that it has observed nothing."""
    suite = suite_of(("expect_column_distinct_values_to_equal_set", {"column": "origin", "value_set": ["EWR", "LGA"]}))

    (found,) = check(ROWS, suite).results

    assert found.observed == "with 'JFK' and without 'LGA'"


def test_a_suite_that_holds_passes():
    """The same batch, honest bounds."""
    suite = suite_of(("expect_column_mean_to_be_between", {"column": "delay", "min_value": 1, "max_value": 3}))

    assert check(ROWS, suite).passed


def test_an_expectation_of_severity_warn_tells_and_blocks_nothing():
    """It is declared beside the notes, and the suite passes without it."""
    told = {"column": "delay", "min_value": 5}
    suite = QualitySuite.model_validate(
        {
            "name": "s",
            "expectations": [
                {"type": "expect_column_mean_to_be_between", "kwargs": told, "meta": {"severity": "warn", "why": "x"}}
            ],
        }
    )

    result = check(ROWS, suite)

    (found,) = result.results
    assert result.passed
    assert (found.success, found.severity, found.blocks, found.why) == (False, "warn", False, "why: x")
    assert found.rule == suite.expectations[0].rule == "delay.expect_column_mean_to_be_between"


def test_a_misspelt_severity_is_refused(tmp_path):
    """It would block, or not, against what was meant."""
    line = {"type": "expect_column_mean_to_be_between", "meta": {"severity": "warning"}}
    (tmp_path / "suite.json").write_text(json.dumps({"name": "s", "expectations": [line]}))

    with pytest.raises(DeclarationError, match="Did you mean 'warn'"):
        QualitySuite.load(tmp_path / "suite.json")


def test_checking_draws_no_progress_bars(capfd):
    """A run's log is for people."""
    check(ROWS, suite_of(("expect_column_max_to_be_between", {"column": "delay", "max_value": 3})))

    assert "Calculating" not in capfd.readouterr().err


def test_a_misspelt_expectation_is_refused():
    """Great Expectations alone would log a line and judge without it."""
    with pytest.raises(UnknownNameError, match="Did you mean 'expect_column_mean_to_be_between'"):
        check(ROWS, suite_of(("expect_column_mean_to_be_betwen", {"column": "delay"})))


def test_a_misspelt_bound_is_refused():
    """An expectation without bounds holds always."""
    with pytest.raises(DeclarationError, match="min_vaule"):
        check(ROWS, suite_of(("expect_column_mean_to_be_between", {"column": "delay", "min_vaule": 5})))


def test_a_column_that_is_not_there_is_refused():
    """The nearest name is offered."""
    with pytest.raises(UnknownNameError, match="Did you mean 'delay'"):
        check(ROWS, suite_of(("expect_column_mean_to_be_between", {"column": "dealy", "min_value": 5})))


def test_an_expectation_that_cannot_be_evaluated_is_not_a_finding():
    """The mean of words is no low mean."""
    with pytest.raises(ContractError, match=r"expect_column_mean_to_be_between .* could not be evaluated"):
        check(ROWS, suite_of(("expect_column_mean_to_be_between", {"column": "origin", "min_value": 5})))


def test_the_same_expectation_may_stand_twice():
    """Answers are matched to lines by number, not by what the lines say."""
    line = ("expect_column_max_to_be_between", {"column": "delay", "max_value": 3})

    assert len(check(ROWS, suite_of(line, line)).results) == 2


@pytest.mark.parametrize("suffix", ["json", "yaml"])
def test_a_suite_is_a_readable_file(tmp_path, suffix):
    """JSON is YAML too, so both suffixes read the same text."""
    said = {"name": "s", "expectations": [{"type": "expect_column_max_to_be_between", "kwargs": {"column": "delay"}}]}
    (tmp_path / f"suite.{suffix}").write_text(json.dumps(said))

    suite = QualitySuite.load(tmp_path / f"suite.{suffix}")

    assert suite.expectations[0].kwargs == {"column": "delay"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "is no quality suite"),
        ('{"name": "s", "expectations": []}', "expectations"),
        ('{"name": "s", "expectations": [{"typ": "x"}]}', "expectations.0.type"),
    ],
)
def test_a_file_that_is_no_suite_is_named(tmp_path, text, message):
    """The message says where in the file the fault lies."""
    (tmp_path / "suite.json").write_text(text)

    with pytest.raises(DeclarationError, match=message) as caught:
        QualitySuite.load(tmp_path / "suite.json")

    assert "suite.json" in str(caught.value)


def test_an_absent_suite_is_an_error(tmp_path):
    """No suite is never a passed one."""
    with pytest.raises(DeclarationError, match="cannot be read"):
        QualitySuite.load(tmp_path / "suite.json")
