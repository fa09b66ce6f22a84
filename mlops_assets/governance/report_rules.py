"""What was asked of a version, rule by rule and test by test: what was broken stands open, what was kept is folded."""

from collections.abc import Sequence
from html import escape
from typing import Final

from mlops_assets.governance.judged import Judged

KINDS: Final = {"Passed": "met", "Refused": "failed", "Note": "dim", "Needs review": "warns"}
AGAINST: Final = ("Refused", "Needs review")


def why(judged: Judged) -> str:
    """Say whether all rules of the gate are kept, and give each word for word."""
    told = [_told(reason) for reason in judged.report.reasons]
    broken = [line for kind, line in told if kind in AGAINST]
    kept = sum(kind == "Passed" for kind, _ in told)
    rest = [line for kind, line in told if kind not in AGAINST]
    said = (
        f"Of {kept + len(broken)} rules that were set before it was trained, {len(broken)} "
        f"{'is' if len(broken) == 1 else 'are'} not kept:"
        if broken
        else f"It keeps all {kept} rules that were set before it was trained."
    )
    folded = _folded(rest, f"{kept} {'rule' if kept == 1 else 'rules'} kept, word for word, and what else to know")
    return f"<h2>Why</h2><p>{said}</p>{_list(broken)}{folded}"


def behaves(judged: Judged) -> str:
    """Show what the behavioural tests found, those that failed openly."""
    found = judged.report.behaviour
    if not found:
        return ""
    failed, passed = (
        [
            f"<li><span class={mark}>{word}</span> {escape(each.name)}: {escape(each.words)}</li>"
            for each in found
            if each.passed is wanted
        ]
        for wanted, mark, word in ((False, "failed", "Failed"), (True, "met", "Passed"))
    )
    said = f"{len(failed)} of {len(found)} tests failed:" if failed else f"It passed all {len(found)} tests."
    return (
        "<h2>How it behaves</h2><p class=dim>What becomes of its answers when inputs are changed, missing or strange, "
        f"and what an answer costs.</p><p>{said}</p>{_list(failed)}"
        f"{_folded(passed, f'{len(passed)} passed')}"
    )


def _told(reason: str) -> tuple[str, str]:
    """Give the kind of a reason and its line."""
    kind, colon, rest = reason.partition(": ")
    if not (colon and kind in KINDS):
        return "", f"<li>{escape(reason)}</li>"
    return kind, f"<li><span class={KINDS[kind]}>{kind}</span> {escape(rest)}</li>"


def _list(lines: Sequence[str]) -> str:
    return f"<ul>{''.join(lines)}</ul>" if lines else ""


def _folded(lines: Sequence[str], said: str) -> str:
    return f"<details class=near><summary>{said}</summary>{_list(lines)}</details>" if lines else ""
