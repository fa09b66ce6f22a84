"""Names of a category that were handed out anew, and names that only became more or less common."""

import numpy as np
import pytest

from mlops_assets.evaluation import Terms, renamed

NAMES = ("books", "garden", "kitchen", "shoes", "tools", "(unused)")
COMMON = np.array([0.3, 0.25, 0.2, 0.15, 0.1, 0.0])
MEANING = np.array([-1.5, 0.8, -0.4, 1.6, 0.0, 0.0])
ROWS = 6_000


def score(vectors, meaning=MEANING):
    """The model, which learnt what each name means."""
    known = np.nan_to_num(vectors[:, 0], nan=4).astype(int)
    return 1 / (1 + np.exp(-(meaning[known] + vectors[:, 1])))


def rows_of(seed, common=COMMON, *, task="binary", meaning=MEANING):
    """Vectors and what came of them."""
    chance = np.random.default_rng(seed)
    vectors = np.column_stack([chance.choice(6, ROWS, p=common).astype(float), chance.normal(size=ROWS)])
    expected = score(vectors, meaning)
    noise = chance.normal(scale=0.1, size=ROWS)
    return vectors, expected + noise if task == "regression" else (chance.random(ROWS) < expected) * 1.0


def told(vectors, y, *, task="binary", names=NAMES):
    return renamed(
        rows_of(1)[0],
        vectors,
        y,
        score=score,
        levels={"kind": (0, names)},
        found_on=np.arange(ROWS) % 2 == 0,
        task=task,
        metric="auc" if task == "binary" else "rmse",
        terms=Terms(resamples=100),
    )


def rename(rows, new):
    vectors, y = rows
    return np.column_stack([np.array(new)[vectors[:, 0].astype(int)], vectors[:, 1]]), y


@pytest.mark.parametrize("task", ["binary", "regression"])
def test_names_handed_out_anew_are_told_with_what_they_meant(task):
    """Every name moves one on: what is called garden now was books."""
    (said,) = told(*rename(rows_of(2, task=task), [1.0, 2, 3, 4, 0, 5]), task=task)

    assert said.startswith("read with names of kind exchanged (books as tools, garden as books, kitchen as garden")
    assert said.endswith("Were names handed out anew?")


def test_two_names_that_changed_places_are_told():
    """The others mean what they did, and are not named; a missing name is nobody's."""
    vectors, y = rename(rows_of(2), [0.0, 4, 2, 3, 1, 5])
    vectors[:50, 0] = np.nan

    (said,) = told(vectors, y)

    assert "exchanged (garden as tools, tools as garden)" in said


@pytest.mark.parametrize("seed", range(5))
def test_names_that_mean_what_they_did_are_left_alone(seed):
    """Also where a season changes how common they are, in another order even."""
    assert told(*rows_of(10 + seed)) == []
    assert told(*rows_of(20 + seed, COMMON[[3, 2, 1, 0, 4, 5]])) == []


def test_outcomes_that_changed_are_no_other_names():
    """Books come back as tools did, and tools as books did, but books are still three times as common."""
    assert told(*rows_of(2, meaning=MEANING[[4, 1, 2, 3, 0, 5]])) == []


@pytest.mark.parametrize("names", [NAMES[:2], [*NAMES, *map(str, range(200))]], ids=["two", "very many"])
def test_a_category_of_two_or_of_very_many_names_is_not_asked(names):
    vectors, y = rows_of(2)
    of_two = np.column_stack([vectors[:, 0] % 2, vectors[:, 1]])

    assert told(*rename((of_two if len(names) == 2 else vectors, y), [1.0, 0, 3, 2, 4, 5]), names=names) == []


def test_rows_of_one_class_tell_of_no_name():
    """No reading is shown to be the better one where outcomes stopped coming on the days it is tried on."""
    vectors, y = rename(rows_of(2), [1.0, 2, 3, 4, 0, 5])
    y[1::2] = 0.0

    assert told(vectors, y) == []
