"""What `mlops reproduce` does: a version made again from its record, and the outcome as text or as JSON."""

from collections.abc import Iterator

import msgspec

from mlops_assets.cli.project import Project
from mlops_assets.errors import GovernanceError, UnknownNameError
from mlops_assets.orchestration.resources import now
from mlops_assets.orchestration.steps import reproduce
from mlops_assets.records import Reproduction


def reproduce_version(project: Project, model: str, number: int | None, *, threads: str, who: str) -> Reproduction:
    """Fit a version again on each of `threads`, such as "1,2,4"; without a number, what is live or else the newest.

    What is declared now is not asked: a version is made again also where its folder cannot be loaded, or is gone.

    Raises:
        GovernanceError: The threads are not of that form.
        UnknownNameError: There is no such model or version.
    """
    counts = threads.split(",")
    if not all(count.isdecimal() and int(count) for count in counts):
        raise GovernanceError(f"{threads!r} are no numbers of threads. Write them with commas between, such as 1,2,4.")
    trained = {version.model for version in project.home.state.versions()}
    if model not in trained and model not in project.models:
        raise UnknownNameError("model", model, known=project.models)
    return reproduce(
        project.root / model,
        project.home,
        number=number,
        threads=[int(count) for count in counts],
        at=now(project.home),
        by=who,
    )


def said(outcome: Reproduction, *, as_json: bool) -> str:
    """Give the outcome as text, or whole as JSON."""
    if as_json:
        data = msgspec.to_builtins(outcome, str_keys=True) | {"equal": outcome.equal}
        return msgspec.json.format(msgspec.json.encode(data), indent=2).decode()
    return "\n".join(f"{name:<11}{text}" for name, text in _lines(outcome))


def _lines(outcome: Reproduction) -> Iterator[tuple[str, str]]:
    yield "version", f"{outcome.model}@{outcome.version}"
    yield "on record", outcome.sha256
    for count, sha256 in outcome.fits.items():
        how = "equal" if sha256 == outcome.sha256 else f"differs in {', '.join(outcome.parts)}"
        yield f"{count} thread{'s' if count > 1 else ''}", f"{sha256}  {how}"
    for name, texts in (("because", outcome.causes), ("note", outcome.notes), ("elsewhere", outcome.elsewhere)):
        for place, text in enumerate(texts):
            yield "" if place else name, text
    yield "so it is", outcome.level if outcome.equal else f"{outcome.level}, and not reproduced"
