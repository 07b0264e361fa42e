"""Plain tables as people have them: ids stay what they are, numbers are recognised, mistakes get one clear sentence."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from kohort.discovery.discover import read_table
from kohort.discovery.read_table import as_feature_table
from kohort.errors import BadInput, KohortError, NotFound, UnreadableFile


def written(folder: Path, text: str | bytes, name: str = "t.csv") -> Path:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_first_column_is_the_id_and_stays_text(tmp_path: Path) -> None:
    table = read_table(written(tmp_path, "no,Annual Income (k$),vip,city\n007,15.5,true,Aarhus\n08,,false,\n"))
    assert table.ids.to_pylist() == ["007", "08"]
    assert [(f.name, f.label, f.type) for f in table.features] == [
        ("annual_income_k", "Annual Income (k$)", "number"),
        ("vip", "Vip", "flag"),
        ("city", "City", "text"),
    ]
    assert table.data["annual_income_k"].to_pylist() == [15.5, None]
    assert table.data["city"].to_pylist() == ["Aarhus", None]
    assert (table.as_of, table.value, table.currency) == (None, None, "")


def test_another_column_can_be_the_id(tmp_path: Path) -> None:
    table = read_table(written(tmp_path, "age,who\n30,a\n40,b\n"), id="who")
    assert table.ids.to_pylist() == ["a", "b"]
    assert [f.name for f in table.features] == ["age"]


@pytest.mark.parametrize(
    "text",
    [
        "id;age;spend\na;30;1,5\nb;40;2,25\n",
        "id\tage\tspend\na\t30\t1.5\nb\t40\t2.25\n",
        "\ufeffid,age,spend\r\na,30,1.5\r\nb,40,2.25\r\n",
        'id|age|spend\n"a"|30|1.5\n"b"|40|2.25\n',
    ],
)
def test_separators_and_decimal_commas_are_recognised(tmp_path: Path, text: str) -> None:
    table = read_table(written(tmp_path, text))
    assert table.data["spend"].to_pylist() == [1.5, 2.25]
    assert table.data["age"].to_pylist() == [30.0, 40.0]


def test_dates_become_days_before_the_latest(tmp_path: Path) -> None:
    table = read_table(written(tmp_path, "id,joined\na,2024-01-01\nb,2024-01-31\n"))
    assert table.data["joined"].to_pylist() == [30.0, 0.0]
    assert table.features[0].unit == "days"


def test_infinity_and_nan_are_unknown(tmp_path: Path) -> None:
    table = read_table(written(tmp_path, "id,x\na,inf\nb,1\nc,NaN\n"))
    assert table.data["x"].to_pylist() == [None, 1.0, None]


def test_ideas_are_taken_from_clear_names(tmp_path: Path) -> None:
    table = read_table(written(tmp_path, "id,recency_days,frequency,monetary,spending_score\n1,2,3,4,5\n2,3,4,5,6\n"))
    assert [f.idea for f in table.features] == ["recency", "frequency", "value", "other"]


def test_titles_of_columns_become_words(tmp_path: Path) -> None:
    table = read_table(
        written(tmp_path, "ID,NumWebPurchases,avg_order_value,CLV,Annual Income (k$)\na,1,2,3,4\nb,2,3,4,5\n")
    )
    assert [(f.name, f.label) for f in table.features] == [
        ("num_web_purchases", "Number of web purchases"),
        ("avg_order_value", "Average order value"),
        ("clv", "CLV"),
        ("annual_income_k", "Annual Income (k$)"),
    ]


def test_parquet_keeps_the_type_of_ids(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    pq.write_table(pa.table({"key": [1, 2], "x": [0.5, None], "list": [[1], [2]]}), path)
    table = read_table(path)
    assert table.ids.to_pylist() == [1, 2]
    assert [f.name for f in table.features] == ["x"]


def test_latin_letters_are_read(tmp_path: Path) -> None:
    table = read_table(written(tmp_path, "id,by\n1,Århus\n2,Ærø\n".encode("latin-1")))
    assert table.data["by"].to_pylist() == ["Århus", "Ærø"]


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("", UnreadableFile),
        ("id,x\n", UnreadableFile),
        ("id\n1\n", BadInput),
        ("id,x,x\n1,2,3\n", BadInput),
        ("id,x\n1,2\n1,3\n", BadInput),
        ("id,x\n1,2\n,3\n", BadInput),
        ("id,x\n1,2\n2,3,4\n", UnreadableFile),
        (b"\0\1\2\3", UnreadableFile),
        (b"PAR1 this is not parquet", UnreadableFile),
    ],
)
def test_tables_that_cannot_be_used_say_why(tmp_path: Path, text: str | bytes, error: type[KohortError]) -> None:
    with pytest.raises(error) as caught:
        read_table(written(tmp_path, text))
    assert "t.csv" in caught.value.message
    assert str(tmp_path) not in str(caught.value)


def test_missing_files_and_columns_are_named(tmp_path: Path) -> None:
    with pytest.raises(UnreadableFile):
        read_table(tmp_path / "none.csv")
    with pytest.raises(NotFound, match="key"):
        read_table(written(tmp_path, "id,x\n1,2\n"), id="key")


@pytest.mark.parametrize(
    "text",
    [
        "Channel,Region,Fresh\n2,3,12669\n2,3,7057\n1,3,6353\n1,3,13265\n2,3,22615\n",
        "x,y,z\n0.25,1,2\n1.5,2,3\n-3.75,3,4\n2.0,4,5\n",
        "vip,age,spend\nyes,30,1\nno,40,2\nno,50,3\nyes,60,4\nno,70,5\n",
    ],
)
def test_rows_are_numbered_where_the_first_column_cannot_be_an_id(tmp_path: Path, text: str) -> None:
    table = read_table(written(tmp_path, text))
    assert table.ids.to_pylist() == list(range(1, len(text.splitlines())))
    assert len(table.features) == 3
    assert (table.key, len(table.notes)) == ("row", 1)


@pytest.mark.parametrize("text", ["no,x\n17850.0,1\n13047.0,2\n", "no,x\nA-1,1\nA-2,2\n"])
def test_ids_that_went_through_a_spreadsheet_stay_ids(tmp_path: Path, text: str) -> None:
    table = read_table(written(tmp_path, text))
    assert (table.key, table.notes, len(table.features)) == ("no", (), 1)


def test_a_few_repeated_ids_are_a_mistake_not_a_column(tmp_path: Path) -> None:
    rows = "".join(f"c{i},{i}\n" for i in range(20))
    with pytest.raises(BadInput, match="1 rows repeat an id"):
        read_table(written(tmp_path, f"id,x\n{rows}c3,5\n"))


def test_long_titles_stay_apart(tmp_path: Path) -> None:
    long = "probability_by_" + "a_very_long_list_of_columns_" * 4
    labels = [f.label for f in read_table(written(tmp_path, f"id,{long}1,{long}2\na,1,2\nb,2,3\n")).features]
    assert len(set(labels)) == 2
    assert all(len(label) <= 60 for label in labels)


def test_blanks_and_question_marks_are_missing(tmp_path: Path) -> None:
    table = read_table(written(tmp_path, "id,total,job\na, ,?\nb,29.85,clerk\nc,NULL,-\n"))
    assert table.data["total"].to_pylist() == [None, 29.85, None]
    assert table.data["job"].to_pylist() == [None, "clerk", None]


def test_a_named_index_holds_the_ids_and_another_index_is_nothing() -> None:
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame({"client": ["a", "b", "c"], "x": [1, 2, 3], "y": [4, 5, 6]})
    named = as_feature_table(frame.set_index("client"))
    assert (named.ids.to_pylist(), [f.name for f in named.features]) == (["a", "b", "c"], ["x", "y"])
    part = as_feature_table(frame[frame.x > 1])
    assert (part.ids.to_pylist(), [f.name for f in part.features]) == (["b", "c"], ["x", "y"])
