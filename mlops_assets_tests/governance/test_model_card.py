"""The model card as people read it."""

import dataclasses
import re
from dataclasses import replace

from mlops_assets.governance import Charter, render_model_card
from mlops_assets.records import Metric, SliceResult
from mlops_assets_tests.governance._evidence import (
    EVALUATION,
    EVIDENCE,
    evidence,
    evidence_with_charter,
    evidence_with_evaluation,
)


def section(card: str, title: str) -> str:
    """The part of the card under a heading."""
    found = re.search(rf"^## {re.escape(title)}$(.*?)(?=^## |\Z)", card, re.MULTILINE | re.DOTALL)
    assert found, f"no section {title!r}"
    return found.group(1)


def rows(text: str) -> list[list[str]]:
    """The cells of the tables in a part of the card."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]


def test_the_card_opens_with_what_the_version_is():
    """Name, number, owner, tier, verdict, digest and the way to MLflow."""
    opening = render_model_card(EVIDENCE).split("\n## ")[0]

    facts = dict(rows(opening)[2:])
    assert opening.startswith("# flight_delay, version 3\n")
    assert facts["Owner"] == "team:operations"
    assert facts["Risk tier"] == "high"
    assert facts["Gate"] == "passed"
    assert facts["Knows data until"] == "2013-05-01 00:00 UTC"
    assert facts["Bundle digest"] == f"`{'b' * 64}`"
    assert facts["MLflow run"] == "[run1](http://127.0.0.1:5000/#/runs/run1)"


def test_the_card_says_what_is_predicted_before_anything_else():
    """And how that is counted; both are what people wrote."""
    evidence = dataclasses.replace(EVIDENCE, predicts="Will it be late?", label="1 for a flight that lands late.")

    first, second, *_ = rows(render_model_card(evidence).split("\n## ")[0])[2:]

    assert first == ["Predicts", "Will it be late?"]
    assert second == ["Label", "1 for a flight that lands late."]


def test_numbers_stand_beside_their_rivals_with_intervals():
    """A number alone says little."""
    table = rows(section(render_model_card(EVIDENCE), "How good it is"))

    assert table[0] == ["Metric", "This version", "Champion", "Simple baseline"]
    assert table[2] == ["auc", "0.7123 (0.69 to 0.7345)", "0.7 (0.68 to 0.72)", "0.65"]
    assert table[3] == ["value", "12,346", "–", "–"]


def test_paired_comparisons_and_the_gates_reasons_are_told():
    """Why it passed is as much a fact as that it did."""
    text = section(render_model_card(EVIDENCE), "How good it is")

    assert ["champion", "auc", "+0.0123 (0.001 to 0.024)", "under 0.001", "4,000"] in rows(text)
    assert ["baseline", "auc", "+0.06 (0.05 to 0.07)", "0.012", "4,000"] in rows(text)
    assert "- AUC is 0.012 above the champion's.\n- It beats the simple baseline." in text


def test_a_refused_version_says_so_twice():
    """Nobody overlooks a refusal."""
    card = render_model_card(evidence_with_evaluation(passed=False, reasons=("It is worse.",)))

    assert "| Gate | **refused** |" in card
    assert "The gate **refused** it:\n\n- It is worse." in card


def test_a_first_version_has_no_champion_beside_it():
    """An empty column would look like a measurement."""
    card = render_model_card(evidence_with_evaluation(champion_metrics=(), champion_sha256=None))

    assert rows(section(card, "How good it is"))[0] == ["Metric", "This version", "Simple baseline"]


def test_slices_mark_where_rows_are_few():
    """A bad number over nine rows is not yet a finding."""
    table = rows(section(render_model_card(EVIDENCE), "Where it is better and worse"))

    assert table[2] == ["carrier", "UA", "auc", "0.73", "700", ""]
    assert table[3] == ["carrier", "HA", "auc", "0.6", "9", "few"]


def test_value_data_and_features_are_told():
    """What it is worth, what it learnt from and what it looks at."""
    card = render_model_card(EVIDENCE)

    assert ["value of hit", "40"] in rows(section(card, "What it is worth"))
    assert ["dep_hour", "on demand", "75.0 %"] in rows(section(card, "What it looks at"))
    learnt = rows(section(card, "What it learnt from"))
    assert ["Training", "2013-01-01 to 2013-04-15", "80,000", "0.2345"] in learnt
    assert ["features/carrier_delays", "120", "1,920", f"`{'5' * 12}`"] in learnt


def test_a_value_that_was_not_declared_is_left_out():
    """None is no amount."""
    card = render_model_card(evidence(business_value={"value_of_hit": 40.0, "capacity_share": None}))

    assert rows(section(card, "What it is worth"))[2:] == [["value of hit", "40"]]


def test_how_to_make_it_again_is_told():
    """The command, data version, parameters, environment, and the digest that must come out."""
    text = section(render_model_card(EVIDENCE), "How to make it again")

    assert f"`mlops reproduce flight_delay@{EVIDENCE.model_version.version}`" in text
    assert "`flight_delay/training_set` at version 12" in text
    assert ["num_leaves", "`31`"] in rows(text)
    assert ["lightgbm", "`4.7.0`"] in rows(text)
    assert "b" * 64 in text


def test_every_human_text_is_in_the_card():
    """What people wrote is shown, word for word."""
    card = render_model_card(EVIDENCE)

    for text in EVIDENCE.charter.model_dump().values():
        assert text in card


def test_a_text_nobody_wrote_is_shown_as_missing():
    """A gap in purpose, limits or owner is visible, not papered over."""
    card = render_model_card(evidence(charter=Charter(), owners=()))

    assert card.count("*Nobody has written this yet.*") == 3


def test_parts_without_content_are_left_out():
    """No empty headings."""
    card = render_model_card(evidence(business_value={}, importance=(), evaluation=replace(EVALUATION, slices=())))

    assert "What it is worth" not in card
    assert "Where it is better" not in card
    assert "How much each moves" not in card


def test_names_from_data_cannot_break_the_page():
    """A level may hold anything; it stays within its cell and is no HTML."""
    wild = SliceResult(
        column="carrier", level="a|b\n<script>x</script>", metric=Metric(name="auc", value=0.5, n=5), small=False
    )

    card = render_model_card(evidence_with_evaluation(slices=(wild,)))

    table = rows(section(card, "Where it is better and worse"))
    assert table[2][1] == r"a\|b &lt;script>x&lt;/script>"
    assert len(table[2]) == 6


def test_many_features_are_cut_to_the_strongest_with_the_rest_summed():
    """Twenty are read; a hundred are not."""
    importance = tuple(replace(EVIDENCE.importance[0], feature=f"f{n:02d}", share=0.04) for n in range(25))

    text = section(render_model_card(evidence(importance=importance)), "What it looks at")

    assert "f19" in text
    assert "f20" not in text
    assert "5 more share 20.0 %." in text


def test_a_text_of_several_paragraphs_keeps_them():
    """People may write more than a line."""
    card = render_model_card(evidence_with_charter(limits="First.\n\nSecond."))

    assert "## Limits\n\nFirst.\n\nSecond." in card


def test_a_model_that_cannot_be_explained_says_why():
    """And how its features were ranked instead."""
    text = section(render_model_card(evidence(unexplained="Networks mix what they see.")), "What it looks at")

    assert "change when its values are shuffled" in text
    assert "**Single decisions are not explained.** Networks mix what they see." in text
