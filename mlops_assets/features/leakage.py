"""Signs that a training set knows what no decision could have known; each is a sentence, and a reason to look."""

from collections.abc import Collection, Iterator, Mapping, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from mlops_assets.errors import FeatureError, examples
from mlops_assets.records import Task
from mlops_assets.statistics.classification import auc

IMPLAUSIBLE_AUC = 0.98  # one feature alone that ranks this well was most likely written after the outcome
IMPLAUSIBLE_R2 = 0.999
SMALLEST_SAMPLE = 100  # fewer known values of a feature say nothing
MOST_BINS, ROWS_OF_A_BIN, ROWS_BINNED = 256, 20, 20_000
INPUT_ROWS = 50_000  # tell as well as all rows do whether a column is the outcome under another name
WHY = "Was it known at the decision?"

Numbers = npt.NDArray[np.float64]


def find_leaks(
    features: Mapping[str, Numbers],
    *,
    label: Numbers,
    task: Task,
    keys: Sequence[str],
    train: npt.NDArray[np.bool_],
    label_columns: Collection[str] = (),
    inputs: Mapping[str, pa.ChunkedArray] | None = None,
    categorical: Collection[str] = (),
) -> tuple[str, ...]:
    """Give what looks like a leak: what tells the label too well alone, and rows both trained on and held out.

    That is asked of every feature and of every column they are computed from, for a feature may hide behind noise what
    its column knows.

    A category is judged by the label's mean per level, learned on every other row and tried on the rest, so that many
    rare levels do not look like knowledge. A number is judged by its rank and by its bins, as levels; and whether a
    feature is null by itself, for what is filled in after the outcome is null before it.

    Args:
        features: The columns of the vectors by name, shape (n,) each, NaN for null.
        label: What is predicted, shape (n,); 0 or 1 for a binary task, codes of classes for a multiclass one.
        task: A feature is implausible beyond an AUC of 0.98, or a squared correlation of 0.999.
        keys: What tells decisions apart, one per row.
        train: Which rows are trained on; the others are held out.
        label_columns: Columns the label is made of, which no feature may be or be computed from.
        inputs: The request fields and stored features the vectors are computed from, n rows each. Of a time is asked
            only whether it is there.
        categorical: The features that hold codes of categories.

    Raises:
        FeatureError: The lengths differ, so features would be held against other rows' labels.
    """
    computed_from = {name: column for name, column in (inputs or {}).items() if name not in features}
    for name, column in {**features, **computed_from, "keys": keys, "train": train}.items():
        if len(column) != len(label):
            raise FeatureError(f"{name!r} has {len(column)} rows where the label has {len(label)}.", feature=name)
    return (
        *(f"{name} is a column the label is made of." for name in features if name in label_columns),
        *(
            f"{name} is a column the label is made of, and features are computed from it."
            for name in computed_from
            if name in label_columns
        ),
        *_tell_tales(features, label, task=task, categorical=categorical),
        *_told_by_inputs(
            {name: column for name, column in computed_from.items() if name not in label_columns}, label, task=task
        ),
        *_repeated(keys, train),
    )


def _told_by_inputs(columns: Mapping[str, pa.ChunkedArray], label: Numbers, *, task: Task) -> Iterator[str]:
    """Ask some rows of the columns that features are computed from."""
    places = np.unique(np.linspace(0, len(label) - 1, min(len(label), INPUT_ROWS)).astype(np.int64))
    numbers, categorical = {}, []
    for name, column in columns.items():
        some = column.take(pa.array(places)).combine_chunks()
        if pa.types.is_string(some.type):
            categorical.append(name)
            some = some.dictionary_encode().indices
        elif pa.types.is_timestamp(some.type):
            some = pc.if_else(pc.is_valid(some), 0.0, None)
        numbers[name] = np.asarray(some.cast(pa.float64()).to_numpy(zero_copy_only=False), dtype=np.float64)
    for sentence in _tell_tales(numbers, label[places], task=task, categorical=categorical):
        yield f"{sentence} Features are computed from it."


def _tell_tales(
    features: Mapping[str, Numbers], label: Numbers, *, task: Task, categorical: Collection[str]
) -> Iterator[str]:
    measure, limit = ("a squared correlation", IMPLAUSIBLE_R2) if task == "regression" else ("an AUC", IMPLAUSIBLE_AUC)
    classes = np.unique(label) if task != "regression" else label[:0]
    for name, column in features.items():
        known = ~np.isnan(column)
        some = label.size >= SMALLEST_SAMPLE and not known.all()
        if some and (strength := _told_by_nulls(known, label, classes)) > limit:
            yield f"whether {name} is there reaches {measure} of {strength:.4f}, above {limit}. {WHY}"
        if known.sum() < SMALLEST_SAMPLE:
            continue
        values, target = column[known], label[known]
        if np.array_equal(values, target):
            yield f"{name} is the label itself."
            continue
        strength = _strength(values, target, task=task, is_category=name in categorical)
        if strength > limit:
            yield f"{name} alone reaches {measure} of {strength:.4f}, above {limit}. {WHY}"


def _told_by_nulls(known: npt.NDArray[np.bool_], label: Numbers, classes: Numbers) -> float:
    """Give how well it tells the label, or the class it tells best, whether a feature is known."""
    if not classes.size:
        return _squared_correlation(label, np.asarray(known, dtype=np.float64))
    if classes.size == 1:
        return 0.5
    of_classes = (label == code for code in classes[-1 if classes.size == 2 else 0 :])
    return 0.5 + max(abs(float(known[inside].mean() - known[~inside].mean())) for inside in of_classes) / 2  # an AUC


def _strength(values: Numbers, label: Numbers, *, task: Task, is_category: bool) -> float:
    """Give how well a feature alone tells the label, or that of several classes which it tells best."""
    if task == "multiclass":
        each = ((label == code) * 1.0 for code in np.unique(label))
        return max(_strength(values, of_class, task="binary", is_category=is_category) for of_class in each)
    told = _squared_correlation if task == "regression" else _separation
    if is_category:
        return told(*_level_means(values, label))
    return max(told(label, values), told(*_level_means(*_bins(values, label))))


def _bins(values: Numbers, label: Numbers) -> tuple[Numbers, Numbers]:
    """Give the bins of some rows, as levels, and the ranks of their labels: what is no straight line may still tell."""
    step = -(-values.size // ROWS_BINNED)
    values, label = values[::step], label[::step]
    bins = min(MOST_BINS, values.size // ROWS_OF_A_BIN)
    edges = np.unique(np.quantile(values, np.arange(1, bins) / bins, method="lower"))
    ranks = np.unique(label, return_inverse=True)[1]
    return np.searchsorted(edges, values, side="right").astype(np.float64), ranks.astype(np.float64)


def _repeated(keys: Sequence[str], train: npt.NDArray[np.bool_]) -> Iterator[str]:
    trained_on = {key for key, inside in zip(keys, train.tolist(), strict=True) if inside}
    held_out = {key for key, inside in zip(keys, train.tolist(), strict=True) if not inside}
    if both := sorted(trained_on & held_out):
        yield f"{len(both)} decisions are both trained on and held out: {examples(both)}."
    if twice := len(keys) - len(trained_on | held_out) - len(both):
        yield f"{twice} rows repeat a decision that is there already."


def _level_means(codes: Numbers, label: Numbers) -> tuple[Numbers, Numbers]:
    """Give, for every second row, its label and the mean label of its level among the other rows."""
    _, level = np.unique(codes, return_inverse=True)
    levels = int(level.max()) + 1
    rows = np.bincount(level[::2], minlength=levels)
    sums = np.bincount(level[::2], weights=label[::2], minlength=levels)
    means = np.where(rows > 0, sums / np.maximum(rows, 1), label[::2].mean())
    return label[1::2], means[level[1::2]]


def _separation(label: Numbers, values: Numbers) -> float:
    """Give the AUC in the better direction; 0.5 where only one class is there."""
    if not 0 < np.count_nonzero(label) < label.size:
        return 0.5
    area = auc(label, values)
    return max(area, 1.0 - area)


def _squared_correlation(label: Numbers, values: Numbers) -> float:
    if np.ptp(label) == 0 or np.ptp(values) == 0:
        return 0.0
    return float(np.corrcoef(label, values)[0, 1] ** 2)
