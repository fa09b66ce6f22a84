"""Which rules people may waive, and why some nobody may."""

from collections.abc import Iterable

from mlops_assets.errors import GovernanceError, UnknownNameError
from mlops_assets.validation.contract import STRUCTURE, Contract
from mlops_assets.validation.suite import QualitySuite

ARRIVED = "arrived"  # the rule that rows came at all, and late enough
VOLUME = "volume"  # the rule that about as many came as usual


def require_waivable(rules: Iterable[str], contract: Contract, suite: QualitySuite | None) -> None:
    """Raise unless every one of `rules` is a rule of `contract` or `suite`, or of arrival, that may be waived.

    Raises:
        UnknownNameError: No rule has that name.
        GovernanceError: What reads the table relies on the rule, so rows that break it can be corrected only.
    """
    from mlops_assets.validation.rules import CompiledContract  # pandera takes seconds to load

    compiled = CompiledContract(contract)
    compiled.schema()
    known = {*compiled.demands, ARRIVED, VOLUME, *(each.rule for each in (suite.expectations if suite else ()))}
    relied_on = _relied_on(contract)
    for rule in rules:
        if why := relied_on.get(rule):
            raise GovernanceError(
                f"The rule {rule!r} cannot be waived: {why}. Correct the batch instead: mlops quarantine correct.",
                rule=rule,
            )
        if rule not in known:
            raise UnknownNameError("rule", rule, known=known)


def _relied_on(contract: Contract) -> dict[str, str]:
    """Give the rules that tables, views and joins rely on, each with what would become of them without."""
    why = {STRUCTURE: "without the contract's columns and types there is nothing that the tables and views could hold"}
    for name, key in contract.key_rules.items():
        why[name] = "with two rows of one key every join counts double, and nothing says which row is true"
        for part in key:
            why[f"{part}.nullable"] = "a row without its key can be told from no other, and found by nobody"
    return why
