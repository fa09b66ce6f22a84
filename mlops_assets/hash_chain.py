"""A chain of entries in which nothing can be changed, dropped or put in between without it showing.

Each link's canonical body holds its number and the digest of the link before it, and is digested in turn. What a chain
alone cannot show is that its newest links are gone, or that all of it was written anew: for that, somebody else has to
keep a receipt, the number and digest of a link they have seen.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import rfc8785

from mlops_assets.digests import canonical_json, sha256_bytes
from mlops_assets.errors import GovernanceError

GENESIS: Final = "0" * 64  # what the first link names as the one before it
DOMAIN: Final = b"mlops-assets/audit/v1\n"  # keeps these digests apart from all others; never change it, add a v2
BODY_VERSION: Final = 1


class BrokenChainError(GovernanceError):
    """A chain does not hold; `seq` is the first number that is not as it was written."""

    def __init__(self, seq: int, what: str) -> None:
        super().__init__(
            f"The audit log is broken at entry {seq}: {what}. Nothing from entry {seq} on can serve as evidence. "
            "Keep this database as it is, restore the last backup that verifies beside it and compare the two.",
            seq=seq,
            what=what,
        )


@dataclass(frozen=True, slots=True)
class Link:
    """One entry as it is stored: `body` is the canonical JSON that `sha256` digests."""

    seq: int
    previous_sha256: str
    sha256: str
    body: bytes


def digest(body: bytes) -> str:
    """Give the digest of a link's body."""
    return sha256_bytes(DOMAIN + body)


def link(after: Link | None, content: Mapping[str, Any]) -> Link:
    """Make the link that follows `after` (None: the first one) out of plain JSON `content`.

    Raises:
        GovernanceError: `content` has no canonical form (NaN, infinity, integers beyond 2**53 - 1).

    >>> first = link(None, {"event": "model.trained"})
    >>> link(first, {"event": "model.deployed"}).previous_sha256 == first.sha256
    True
    """
    seq, previous = (after.seq + 1, after.sha256) if after else (1, GENESIS)
    try:
        body = canonical_json({**content, "v": BODY_VERSION, "seq": seq, "previous": previous})
    except (rfc8785.CanonicalizationError, TypeError) as error:
        raise GovernanceError(
            f"Audit entry {seq} cannot be written: {error}. Without one canonical form it could never be verified. "
            "Write NaN as null, and integers beyond 2**53 - 1 as strings.",
            seq=seq,
        ) from error
    return Link(seq, previous, digest(body), body)


def content_of(body: bytes) -> dict[str, Any]:
    """Give the content that a link was made of, without what ties it to its place in the chain.

    >>> content_of(link(None, {"event": "model.trained"}).body)
    {'event': 'model.trained'}
    """
    tied = {"v", "seq", "previous"}
    return {key: value for key, value in json.loads(body).items() if key not in tied}


def verify(links: Iterable[Link], *, receipts: Mapping[int, str] | None = None) -> Link | None:
    """Check every link from the first one on and give the last; None for an empty chain.

    Args:
        links: The whole chain in its order; consumed once, so that a chain need not fit in memory.
        receipts: Digests of links by number, as kept elsewhere. They show a cut tail and a chain written anew.

    Raises:
        BrokenChainError: Names the first link that is not as it was written.
    """
    awaited = dict(receipts or {})
    head: Link | None = None
    for current in links:
        expected = head.seq + 1 if head else 1
        if current.seq != expected:
            raise BrokenChainError(expected, f"entry {current.seq} follows where entry {expected} should be")
        if digest(current.body) != current.sha256:
            raise BrokenChainError(current.seq, "its content does not have the digest stored with it")
        _verify_body(current, after=head)
        if awaited.pop(current.seq, current.sha256) != current.sha256:
            raise BrokenChainError(current.seq, "it is not the entry its receipt was given for")
        head = current
    if awaited:
        raise BrokenChainError(
            head.seq + 1 if head else 1, f"the log ends here, but there is a receipt for entry {max(awaited)}"
        )
    return head


def _verify_body(current: Link, *, after: Link | None) -> None:
    """Check that the body names its own number and the link before it, in canonical form."""
    previous = after.sha256 if after else GENESIS
    try:
        content = json.loads(current.body)
        canonical = canonical_json(content)
    except (ValueError, rfc8785.CanonicalizationError) as error:
        raise BrokenChainError(current.seq, "its content is not JSON in canonical form") from error
    if canonical != current.body or not isinstance(content, dict):
        raise BrokenChainError(current.seq, "its content is not JSON in canonical form")
    if content.get("seq") != current.seq or content.get("previous") != current.previous_sha256:
        raise BrokenChainError(current.seq, "its columns do not say what its content says")
    if current.previous_sha256 != previous:
        raise BrokenChainError(current.seq, "it does not follow the entry before it")
