"""What a batch as a whole must look like: named suites of Great Expectations, kept as readable files."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Self, get_args

import pyarrow as pa
import yaml
from pydantic import BaseModel, Field, ValidationError, model_validator

from mlops_assets.errors import ContractError, DeclarationError, UnknownNameError, examples
from mlops_assets.records import ExpectationResult, Severity

PARAMETERS = ("partition_start", "partition_end", "usual_rows")
_NAME = re.compile(r"[A-Za-z_]\w*")
_FUNCTIONS = frozenset({"timedelta", "weeks", "days", "hours", "minutes", "seconds"})


def _formula(value: Any) -> str | None:
    """Give what a bound is reckoned from, None if it is a plain value."""
    return value.get("$PARAMETER") if isinstance(value, dict) else None


class Expectation(BaseModel, frozen=True, extra="forbid"):
    """One line of a suite, written as Great Expectations itself writes it.

    A bound may be reckoned from the batch: `{"$PARAMETER": "usual_rows * 1.5"}`. Known are `partition_start` and
    `partition_end`, and `usual_rows`, the median of the batches before; until there are enough of them the line is not
    asked.
    """

    type: str = Field(description="The expectation's name, such as expect_column_mean_to_be_between.")
    kwargs: dict[str, Any] = Field(default_factory=dict, description="What it is told, such as column and bounds.")
    meta: dict[str, Any] = Field(
        default_factory=dict,
        description="Notes for people, such as why a bound is where it is. `severity: warn` tells and blocks nothing.",
    )

    @model_validator(mode="after")
    def _severity_is_known(self) -> Self:
        if self.severity not in get_args(Severity):
            raise UnknownNameError("severity", str(self.severity), known=get_args(Severity))
        for name in self.parameters - set(PARAMETERS):
            raise UnknownNameError("parameter", name, known=PARAMETERS)
        return self

    @property
    def severity(self) -> Severity:
        """Say what it means when it is not met: `error` blocks the batch, `warn` does not."""
        severity: Severity = self.meta.get("severity", "error")
        return severity

    @property
    def why(self) -> str:
        """Give the notes for people, in a line."""
        return "; ".join(f"{name}: {note}" for name, note in self.meta.items() if name != "severity")

    @property
    def rule(self) -> str:
        """Give the name under which it is reported and may be waived, as the rules of a contract are.

        >>> Expectation(type="expect_table_row_count_to_equal", kwargs={"value": 3}).rule
        'table.expect_table_row_count_to_equal'
        """
        return f"{self.kwargs.get('column', 'table')}.{self.type}"

    @property
    def expected(self) -> str:
        """Say what it is told in a line, less the column."""
        told = {name: value for name, value in self.kwargs.items() if name != "column"}
        return ", ".join(f"{name}={_formula(value) or value}" for name, value in told.items())

    @property
    def parameters(self) -> frozenset[str]:
        """Name the parameters of a batch that its bounds are reckoned from."""
        formulas = filter(None, map(_formula, self.kwargs.values()))
        return frozenset(name for formula in formulas for name in _NAME.findall(formula)) - _FUNCTIONS


class QualitySuite(BaseModel, frozen=True, extra="forbid"):
    """A named list of expectations on a batch; `meta` is for people."""

    name: str
    expectations: tuple[Expectation, ...] = Field(min_length=1)
    meta: dict[str, Any] = Field(default_factory=dict)

    @classmethod
    def load(cls, path: str | Path) -> "QualitySuite":
        """Give the suite kept in a JSON or YAML file.

        Raises:
            DeclarationError: The file is absent, or is no suite.
        """
        try:
            text = Path(path).read_text(encoding="utf-8")
        except OSError as error:
            raise DeclarationError(
                f"The quality suite {path} cannot be read: {error.strerror}. Without it no batch can be judged. "
                f"Put the file there, or correct the path.",
                path=str(path),
            ) from error
        try:
            return cls.model_validate(json.loads(text) if str(path).endswith(".json") else yaml.safe_load(text))
        except (ValueError, yaml.YAMLError) as error:
            fault = error.errors()[0]["msg"] if isinstance(error, ValidationError) else error
            where = ".".join(map(str, error.errors()[0]["loc"])) if isinstance(error, ValidationError) else "the file"
            raise DeclarationError(
                f"{path} is no quality suite: {where}: {fault}. "
                f"A suite is a name and a list of expectations, each with its type and kwargs.",
                path=str(path),
            ) from error

    def reads(self, names: Sequence[str]) -> Sequence[str]:
        """Give those of a table's columns that must be there to check it; all of them where it is about them all."""
        asked = [each.kwargs.get("column") for each in self.expectations]
        if any(each.type.startswith("expect_table_column") for each in self.expectations) or {*asked} - {None, *names}:
            return names
        told = json.dumps([each.kwargs for each in self.expectations], default=str)
        return [name for name in names if name in told] or names[:1]


@dataclass(frozen=True, slots=True, kw_only=True)
class SuiteResult:
    """What a suite found in one batch, in the order of the suite; it is passed if nothing of severity error fails."""

    suite: str
    passed: bool
    results: tuple[ExpectationResult, ...]


def check(rows: pa.Table, suite: QualitySuite, *, parameters: Mapping[str, Any] | None = None) -> SuiteResult:
    """Hold a batch against `suite`, every expectation of it. Nothing is sent anywhere and nothing is written.

    Args:
        rows: The batch.
        suite: What it must look like.
        parameters: What bounds are reckoned from; a line that needs one that is not there is not asked, and met.

    Raises:
        UnknownNameError: The suite names an expectation or a column that is not there.
        DeclarationError: An expectation is told something that it does not take.
        ContractError: An expectation could not be evaluated on these rows.
    """
    import great_expectations as gx

    for expectation in suite.expectations:
        column = expectation.kwargs.get("column")
        if column is not None and column not in rows.column_names:
            raise UnknownNameError(f"Column of quality suite {suite.name!r}", column, known=rows.column_names)
    parameters = dict(parameters or {})
    asked = {n: each for n, each in enumerate(suite.expectations) if each.parameters <= parameters.keys()}
    expectations = [_configured(number, expectation, suite) for number, expectation in asked.items()]
    outcome = (
        _batch_definition()
        .get_batch({"dataframe": rows.to_pandas()})
        .validate(gx.ExpectationSuite(name=suite.name, expectations=expectations), expectation_parameters=parameters)
    )
    found = {result.expectation_config.meta["number"]: result for result in outcome.results}
    results = tuple(
        _result(each, found[n], suite) if n in asked else _not_asked(each) for n, each in enumerate(suite.expectations)
    )
    passed = not any(result.blocks for result in results)
    return SuiteResult(suite=suite.name, passed=passed, results=results)


@cache
def _batch_definition() -> Any:
    """Give Great Expectations' handle for "this frame": in memory, silent, without progress bars."""
    import great_expectations as gx
    from great_expectations.data_context.types.base import ProgressBarsConfig

    context = gx.get_context(mode="ephemeral")
    context.enable_analytics(enable=False)
    context.variables.progress_bars = ProgressBarsConfig(globally=False, metric_calculations=False)
    return (
        context.data_sources.add_pandas("rows").add_dataframe_asset("batch").add_batch_definition_whole_dataframe("all")
    )


def _configured(number: int, expectation: Expectation, suite: QualitySuite) -> Any:
    """Give the expectation as an object of Great Expectations; given data, it drops unknown ones with a log line."""
    from great_expectations.expectations.expectation_configuration import ExpectationConfiguration
    from great_expectations.expectations.registry import list_registered_expectation_implementations

    known = list_registered_expectation_implementations()
    if expectation.type not in known:
        raise UnknownNameError(f"Expectation of quality suite {suite.name!r}", expectation.type, known=known)
    try:
        return ExpectationConfiguration(
            type=expectation.type, kwargs=dict(expectation.kwargs), meta={"number": number}
        ).to_domain_obj()
    except (ValueError, TypeError) as error:
        raise DeclarationError(
            f"{expectation.type} in quality suite {suite.name!r} cannot be obeyed: {error}. Correct its kwargs.",
            expectation=expectation.type,
        ) from error


def _not_asked(expectation: Expectation) -> ExpectationResult:
    return ExpectationResult(
        name=expectation.type,
        column=expectation.kwargs.get("column"),
        success=True,
        observed="not asked: too few batches before",
        expected=expectation.expected,
        severity=expectation.severity,
        why=expectation.why,
    )


def _result(expectation: Expectation, found: Any, suite: QualitySuite) -> ExpectationResult:
    raised = [
        info["exception_message"]
        for info in (found.exception_info, *found.exception_info.values())
        if isinstance(info, dict) and info.get("raised_exception")
    ]
    if raised:
        raise ContractError(
            f"{expectation.type} in quality suite {suite.name!r} could not be evaluated: {raised[0].strip()} "
            f"So nothing is known of the batch. Correct the suite, or the type of the column.",
            expectation=expectation.type,
        )
    observed = found.result.get("observed_value")
    if observed is None and found.result.get("unexpected_percent") is not None:
        observed = 1 - found.result["unexpected_percent"] / 100
    if observed is None:
        observed = _of_a_set(found.result)
    return ExpectationResult(
        name=expectation.type,
        column=expectation.kwargs.get("column"),
        success=bool(found.success),
        observed=float(observed) if isinstance(observed, int | float) else observed and str(observed),
        expected=expectation.expected,
        severity=expectation.severity,
        why=expectation.why,
    )


def _of_a_set(result: Mapping[str, Any]) -> str | None:
    """Say which values came that are not of a set, and which of it did not; Great Expectations gives some of them."""
    sides = {"with": result.get("partial_unexpected_list"), "without": result.get("partial_missing_list")}
    return " and ".join(f"{side} {examples(sorted(map(repr, some)))}" for side, some in sides.items() if some) or None
