"""What can go wrong, as one tree.

    MlopsError
    ├── DeclarationError        what somebody declared cannot be obeyed (also a ValueError)
    ├── SourceError             raw data could not be had
    ├── ContractError           data breaks its contract as a whole; row faults are quarantined instead
    ├── FeatureError            a feature cannot be computed, joined or looked up
    ├── TrainingError           no model could be fitted
    ├── UnexplainedError        scores of this kind of model have no exact explanation
    ├── EvaluationError         models could not be compared
    ├── BundleError             a model bundle is incomplete or not what its digest says
    ├── DeploymentError         an endpoint could not be brought to a version
    ├── MonitoringError         a window could not be judged
    ├── GovernanceError         evidence is missing, broken or refused
    ├── StoreError              bytes could not be kept or found again
    └── StackError              a process of the stack could not be started or reached

Every message says what happened, why it matters and how to mend it; the facts of the case are attributes.
"""

from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any

EXAMPLES_SHOWN = 5


class MlopsError(Exception):
    """Anything this library raises on purpose; `facts` holds the numbers and names of the case."""

    def __init__(self, message: str, **facts: Any) -> None:
        super().__init__(message)
        self.facts = facts

    def __getattr__(self, name: str) -> Any:
        if name != "facts" and name in (facts := self.__dict__.get("facts", {})):
            return facts[name]
        raise AttributeError(f"{type(self).__name__!r} has no attribute {name!r}")


class DeclarationError(MlopsError, ValueError):
    """Something declared in YAML or Python cannot be obeyed."""


class UnknownNameError(DeclarationError, KeyError):
    """A name was given that nothing answers to; `if_none` says how to come by one where nothing is known."""

    def __init__(self, kind: str, name: str, *, known: Iterable[str], if_none: str = "") -> None:
        known = sorted(known)
        near = get_close_matches(name, known, n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        super().__init__(
            f"{kind} {name!r} is not known.{hint} Known: {', '.join(known)}."
            if known
            else f"{kind} {name!r} is not known, for there is none. {if_none}".rstrip(),
            kind=kind,
            name=name,
            known=known,
        )

    def __str__(self) -> str:
        return str(self.args[0])  # KeyError would show the repr


class SourceError(MlopsError):
    """Raw data could not be had from where it was declared to be."""


class ContractError(MlopsError):
    """A batch breaks its contract as a whole."""


class FeatureError(MlopsError):
    """A feature cannot be computed, joined or looked up."""


class TrainingError(MlopsError):
    """No model could be fitted from what was given."""


class UnexplainedError(MlopsError):
    """What each feature adds to a score is not known exactly for this kind of model; the message says why."""


class EvaluationError(MlopsError):
    """Models could not be compared on what was given."""


class BundleError(MlopsError):
    """A model bundle is incomplete, or not what its digest says."""


class DeploymentError(MlopsError):
    """An endpoint could not be brought to the version asked for."""


class MonitoringError(MlopsError):
    """A window of predictions could not be judged."""


class GovernanceError(MlopsError):
    """Evidence is missing, broken or refused."""


class StoreError(MlopsError):
    """Bytes could not be kept, or not be found again."""


class StackError(MlopsError):
    """A process of the stack could not be started or reached."""


def first_line(error: BaseException) -> str:
    """Give the first line of what an error says, to be said on within a sentence; its kind where it says nothing.

    >>> first_line(ValueError("no such column.\\nLINE 1: SELECT x"))
    'no such column'
    """
    said = str(error).strip()
    return said.splitlines()[0].rstrip(".") if said else type(error).__name__


def examples(values: Iterable[Any]) -> str:
    """Show at most five of `values`, and how many more there are.

    >>> examples(range(8))
    '0, 1, 2, 3, 4 and 3 more'
    """
    shown = [str(value) for value in values]
    more = len(shown) - EXAMPLES_SHOWN
    return ", ".join(shown[:EXAMPLES_SHOWN]) + (f" and {more} more" if more > 0 else "")
