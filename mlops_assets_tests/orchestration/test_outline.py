"""What is read off a data file, and the files that are written of it: right as they are, or refused in words."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from mlops_assets.errors import DeclarationError
from mlops_assets.features import FeatureModule, FeaturePlan, Vectorizer, build_spec
from mlops_assets.features.columns import as_arrays
from mlops_assets.orchestration.model_declaration import ModelDeclaration, ModelFolder
from mlops_assets.orchestration.outline import ModelOutline, as_name, require_name
from mlops_assets.orchestration.outline_of_data import outline_of_data
from mlops_assets.orchestration.scaffolding import write_model, write_model_of
from mlops_assets.orchestration.steps.datasets.training_sets import label_columns_of
from mlops_assets.orchestration.table_declaration import TableDeclaration
from mlops_assets.validation import validate
from mlops_assets_tests._sales import DAYS, ROLES, ROWS, sales, sales_csv


def outline(folder: Path, **changed: Any) -> ModelOutline:
    """Read the outline off sales, some of whose columns are others."""
    return outline_of_data("sales", sales_csv(folder / "sales.csv", changed=changed), **ROLES)


class Written:
    """A model's folder as somebody would load it, without Dagster."""

    def __init__(self, folder: Path) -> None:
        table, model = yaml.safe_load_all((folder / "defs.yaml").read_text())
        self.folder = folder
        self.table = TableDeclaration.model_validate(table["attributes"])
        self.model = ModelFolder(folder, ModelDeclaration.model_validate(model["attributes"]))
        self.rows = validate(
            self.table.source.read(None, variables={"here": str(folder)}), self.table.contract, table="sales"
        )

    @property
    def labels(self) -> np.ndarray:
        return self.model.label(label_columns_of(self.rows.good, self.model))

    @property
    def vectors(self) -> np.ndarray:
        module = FeatureModule.load(self.model.features_source, name="sales")
        inputs = as_arrays(self.rows.good, FeaturePlan(module, []).inputs)
        return Vectorizer(build_spec(module, [], inputs), module).vector(inputs)


def half(first: Any, second: Any) -> list[Any]:
    return [first if number % 2 else second for number in range(ROWS)]


# --- what is written is right ---------------------------------------------------------------------

FILES = {
    "as it is": {},
    "keys in digits": {"sale": [f"{number:06d}" for number in range(ROWS)]},
    "times without a zone": {"sold_at": sales()["sold_at"].cast(pa.timestamp("s"))},
    "days instead of times": {"sold_at": sales()["sold_at"].cast(pa.timestamp("s")).cast(pa.date32())},
    "a text for a label": {"returned": half("came back", "kept")},
    "one and two for a label": {"returned": half(1, 2)},
    "truth values for a label": {"returned": half(True, False)},
    "a number for a label": {"returned": np.linspace(0, 9, ROWS)},
    "labels that are missing": {"returned": pa.array([None, 1, 0] * (ROWS // 3))},
    "texts that are missing as label": {"returned": pa.array([None, "yes", "no"] * (ROWS // 3))},
    "a column that is always empty": {"note": pa.nulls(ROWS, pa.string())},
    "a column that names things": {"mail": [f"{number}@example.org" for number in range(ROWS)]},
    "a column that is called no": {"no": half(1.5, 2.5)},
    "columns that are called hour and weekday": {"hour": half(1, 2), "weekday": half(1, 2)},
    "many columns": {f"measured_in_the_long_column_{number}": half(0.5, number) for number in range(2, 12)},
}


@pytest.mark.parametrize("changed", FILES.values(), ids=FILES)
def test_what_is_written_of_a_file_takes_all_its_rows(tmp_path, changed):
    """The contract keeps every row, the label is one of both or a number, and every row has its vector."""
    data = sales_csv(tmp_path / "sales.csv", changed=changed)

    write_model_of(data, tmp_path / "sales", **ROLES)
    written = Written(tmp_path / "sales")

    assert (written.rows.good.num_rows, written.rows.quarantined.num_rows) == (ROWS, 0)
    assert len(written.vectors) == ROWS
    known = written.labels[~np.isnan(written.labels)]
    assert len(known) > ROWS / 2
    assert set(known) == {0, 1} or written.model.declaration.task == "regression"


@pytest.mark.parametrize("changed", FILES.values(), ids=FILES)
def test_what_is_written_is_formatted_code(tmp_path, changed):
    """No line is longer than the project's own, and the files end in one newline."""
    write_model_of(sales_csv(tmp_path / "sales.csv", changed=changed), tmp_path / "sales", **ROLES)

    texts = [(tmp_path / "sales" / name).read_text() for name in ("features.py", "model.py")]

    assert max(len(line) for text in texts for line in text.splitlines()) <= 120
    assert all(text.endswith("\n") and not text.endswith("\n\n") for text in texts)


def test_a_parquet_file_will_do_as_well(tmp_path):
    """The kinds of columns come from its schema."""
    pq.write_table(sales(), tmp_path / "sales.parquet")

    write_model_of(tmp_path / "sales.parquet", tmp_path / "sales", **ROLES)

    assert Written(tmp_path / "sales").rows.good.num_rows == ROWS


def test_the_blank_folder_is_declared_right():
    """Its names are examples, but nothing in it is refused."""
    blank = ModelOutline.blank("fraud")

    assert (blank.name, blank.path) == ("fraud", "{here}/fraud.csv")


def test_the_blank_folder_loads(tmp_path):
    """Declarations and code are such that only names have to be replaced."""
    write_model(ModelOutline.blank("fraud"), tmp_path / "fraud")

    table, model = yaml.safe_load_all((tmp_path / "fraud" / "defs.yaml").read_text())
    folder = ModelFolder(tmp_path / "fraud", ModelDeclaration.model_validate(model["attributes"]))

    assert TableDeclaration.model_validate(table["attributes"]).table == "fraud"
    assert FeatureModule.load(folder.features_source, name="fraud").features == ("amount", "country", "hour")
    assert folder.label_columns == ("label",)


# --- what is read off a file ----------------------------------------------------------------------


def test_the_newest_fifth_of_the_rows_is_held_out(tmp_path):
    """Sales are spread evenly, so that a fifth of the rows is a fifth of the days."""
    found = outline(tmp_path)

    assert found.amounts.holdout_days == pytest.approx(DAYS / 5, abs=1)
    assert found.amounts.held_rows == pytest.approx(ROWS / 5 / 2, rel=0.1)
    assert found.amounts.train_rows == pytest.approx(ROWS * 4 / 5 / 2, rel=0.1)


@pytest.mark.parametrize(
    ("values", "positive"),
    [
        (half("yes", "no"), "yes"),
        (["bad", "good", "good"] * (ROWS // 3), "bad"),
        (["True", "Perhaps", "Perhaps"] * (ROWS // 3), "True"),
        (half(1, 2), 2),
        (half(0, 1), None),
    ],
    ids=["a yes", "the rarer", "a yes before the rarer", "the larger", "already 0 and 1"],
)
def test_which_of_two_values_counts_as_one(tmp_path, values, positive):
    """A word that says yes, else the rarer text, else the larger number."""
    found = outline(tmp_path, returned=values)

    assert (found.label.task, found.label.positive) == ("binary", positive)


def test_the_margin_of_a_number_is_a_hundredth_of_its_spread(tmp_path):
    """The spread of 0 to 9 in even steps is 9 / sqrt(12) = 2.598."""
    found = outline(tmp_path, returned=np.linspace(0, 9, ROWS))

    assert found.amounts.margin == 0.026


def test_columns_that_could_not_be_features_are_left_out_with_their_reason(tmp_path):
    """Constants, names and other times say nothing, or too much."""
    later = sales()["sold_at"]

    found = outline(
        tmp_path, mail=[f"{n}@x" for n in range(ROWS)], shop=["north"] * ROWS, void=pa.nulls(ROWS), settled_at=later
    )

    assert {column.name: column.unfit for column in found.columns if column.unfit} == {
        "mail": "2,400 different texts",
        "shop": "always the same",
        "void": "empty",
        "settled_at": "a time, perhaps of what came later",
    }


# --- what is refused ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("roles", "changed", "said"),
    [
        ({"key": "sael"}, {}, "key column of sales.csv 'sael' is not known. Did you mean 'sale'?"),
        ({"key": "country"}, {}, "repeats itself in 2,397 of 2,400 rows"),
        ({"time": "price"}, {}, "holds double, not times"),
        ({"label": "country"}, {}, "3 different values"),
        ({"label": "sale"}, {}, "must be three columns"),
        ({}, {"returned": 1}, "1 different values"),
        ({}, {"Unit Price": 1.5}, "'Unit Price' to unit_price"),
        ({}, {"class": 1.5}, "'class' to class_"),
        ({}, {"decision_time": 1.5}, "'decision_time'"),
        ({}, {"returned": [1] * 5 + [0] * (ROWS - 5)}, "0 are of the rarer"),
    ],
)
def test_a_file_no_model_can_be_made_of_is_refused_in_words(tmp_path, roles, changed, said):
    """The message says what to change, and nothing is written."""
    data = sales_csv(
        tmp_path / "sales.csv", changed={k: np.full(ROWS, v) if np.isscalar(v) else v for k, v in changed.items()}
    )

    with pytest.raises(DeclarationError) as refused:
        write_model_of(data, tmp_path / "sales", **{**ROLES, **roles})

    assert said in str(refused.value)
    assert not (tmp_path / "sales").exists()


@pytest.mark.parametrize("how", [{"rows": 150}, {"days": 3}])
def test_a_file_too_small_to_judge_a_model_on_is_refused(tmp_path, how):
    """Both few rows and few days."""
    data = sales_csv(tmp_path / "sales.csv", **how)

    with pytest.raises(DeclarationError, match="Bring more history"):
        outline_of_data("sales", data, **ROLES)


def test_a_key_in_numbers_is_refused_where_its_type_is_fixed(tmp_path):
    """A Parquet file says what it holds; a number there would never meet a request's text."""
    pq.write_table(sales(changed={"sale": range(ROWS)}), tmp_path / "sales.parquet")

    with pytest.raises(DeclarationError, match="Write the column as strings"):
        outline_of_data("sales", tmp_path / "sales.parquet", **ROLES)


@pytest.mark.parametrize("name", ["Fraud", "2nd", "class", "raw", "a-b", ""])
def test_a_name_that_cannot_be_used_is_refused_with_one_that_can(name):
    """What is suggested is itself allowed."""
    with pytest.raises(DeclarationError, match=f"Take '{as_name(name)}'"):
        require_name("model", name)

    assert require_name("model", as_name(name)) == as_name(name)


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("sales.txt", "a,b,c\n1,2,3\n", "Write the data as .csv, .jsonl or .parquet."),
        ("sales.csv", "a;b;c\n1;2;3\n", "A new project is made of a file that needs none of these"),
        ("sales.csv", "", "Empty CSV file"),
    ],
)
def test_a_file_that_cannot_be_read_as_it_is_says_where_to_say_how(tmp_path, name, text, said):
    """`mlops new` has no options for it; a `source` has."""
    (tmp_path / name).write_text(text)

    with pytest.raises(DeclarationError) as refused:
        write_model_of(tmp_path / name, tmp_path / "sales", key="a", time="b", label="c")

    assert said in str(refused.value)
