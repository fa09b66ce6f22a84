"""The hash chain behind the audit log."""

import hashlib
import json
from dataclasses import replace

import pytest

from mlops_assets.errors import GovernanceError
from mlops_assets.hash_chain import GENESIS, BrokenChainError, Link, digest, link, verify


@pytest.fixture
def chain() -> list[Link]:
    """Five linked entries."""
    links: list[Link] = []
    for number in range(5):
        links.append(link(links[-1] if links else None, {"event": "x.happened", "number": number}))
    return links


def resealed(entry: Link, **changes: object) -> Link:
    """What a forger makes who knows the format: a changed body with its right digest."""
    body = json.dumps(json.loads(entry.body) | changes, sort_keys=True, separators=(",", ":")).encode()
    return replace(entry, body=body, sha256=digest(body))


def test_an_untouched_chain_verifies_to_its_last_link(chain):
    """What was linked is what is verified."""
    head = verify(chain)

    assert head == chain[-1]


def test_an_empty_chain_has_no_head():
    """Nothing was written, so nothing is broken."""
    assert verify([]) is None


def test_the_digest_is_what_the_format_says_worked_out_by_hand():
    """A verifier in any language can be written from one line: SHA-256 over the domain and the canonical body."""
    first = link(None, {"event": "a"})

    body = b'{"event":"a","previous":"' + GENESIS.encode() + b'","seq":1,"v":1}'
    assert first.body == body
    assert first.sha256 == hashlib.sha256(b"mlops-assets/audit/v1\n" + body).hexdigest()


@pytest.mark.parametrize("broken", [1, 3, 5])
def test_a_changed_body_is_named(chain, broken):
    """Changing what an entry says shows at that entry."""
    index = broken - 1
    chain[index] = replace(chain[index], body=chain[index].body.replace(b"x.happened", b"y.happened"))

    with pytest.raises(BrokenChainError) as error:
        verify(chain)

    assert error.value.seq == broken


def test_a_changed_body_with_a_fresh_digest_breaks_the_next_link(chain):
    """Whoever also rewrites the digest is found out by the entry after it."""
    chain[2] = resealed(chain[2], number=99)

    with pytest.raises(BrokenChainError, match="does not follow") as error:
        verify(chain)

    assert error.value.seq == 4


@pytest.mark.parametrize("dropped", [1, 2, 4])
def test_a_dropped_entry_is_named(chain, dropped):
    """An entry taken out leaves a gap at its number."""
    del chain[dropped - 1]

    with pytest.raises(BrokenChainError) as error:
        verify(chain)

    assert error.value.seq == dropped


def test_swapped_entries_are_named(chain):
    """Order is part of what happened."""
    chain[1], chain[2] = chain[2], chain[1]

    with pytest.raises(BrokenChainError) as error:
        verify(chain)

    assert error.value.seq == 2


def test_columns_that_contradict_the_body_are_named(chain):
    """The number beside the body must be the number in it."""
    chain[1] = replace(resealed(chain[1], seq=7), seq=2)

    with pytest.raises(BrokenChainError, match="columns"):
        verify(chain)


def test_a_body_in_other_than_canonical_form_is_named(chain):
    """Two spellings of one content would be two digests of one fact."""
    body = chain[0].body.replace(b'"seq":1', b'"seq": 1')
    chain[0] = replace(chain[0], body=body, sha256=digest(body))

    with pytest.raises(BrokenChainError, match="canonical"):
        verify(chain)


def test_a_cut_tail_passes_alone_and_is_shown_by_a_receipt(chain):
    """The chain cannot know what is gone; somebody who kept a receipt can."""
    receipts = {5: chain[4].sha256}
    cut = chain[:3]

    assert verify(cut) == chain[2]
    with pytest.raises(BrokenChainError, match="receipt for entry 5") as error:
        verify(cut, receipts=receipts)
    assert error.value.seq == 4


def test_a_chain_written_anew_is_shown_by_a_receipt(chain):
    """A consistent forgery differs from what somebody saw."""
    forged = [link(None, {"event": "x.happened", "number": 42})]
    forged.append(link(forged[0], {"event": "x.happened", "number": 1}))

    with pytest.raises(BrokenChainError, match="receipt"):
        verify(forged, receipts={1: chain[0].sha256})


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 2**60, "\ud800"])
def test_content_without_a_canonical_form_is_refused(value):
    """What cannot be written the same way twice never enters the chain."""
    with pytest.raises(GovernanceError, match="canonical"):
        link(None, {"value": value})
