"""Tables: what columns are found to be, what rows become, and what is refused with its place."""

import builtins
import gzip
import sys
from datetime import date, datetime

import numpy as np
import pyarrow
import pytest
from pyarrow import parquet

from backlit.data import DataLoader, Subset, Table, TableEncoding, TableStream, random_split
from backlit.errors import ArgumentError, DataError, MissingDependencyError, MissingFileError
from sampling import try_each

FLATS = """area,town,built,sea view,rent,agent
50,Rome,1990-05-01,yes,1000.5,"Rossi, and sons"
72.5,Bari,2001-12-31,no,800,Bianchi
,Rome,,no,950,Verdi
120,NA,2020-01-01,yes,2e3,"Ne""ri"
"""


def write(path, text, encoding="utf-8"):
    path.write_bytes(text.encode(encoding))
    return path


@pytest.fixture
def flats(tmp_path):
    return write(tmp_path / "flats.csv", FLATS)


def kinds(table):
    return {name: column.kind for name, column in table.columns.items()}


# -- CSV ------------------------------------------------------------------------------------------


def test_columns_of_a_file_have_kinds_and_missing_values(flats):
    table = Table(flats, target="rent")
    assert len(table) == 4
    assert kinds(table) == {
        "area": "number",
        "town": "category",
        "built": "date",
        "sea view": "category",
        "rent": "number",
        "agent": "category",
    }
    assert table[0] == {
        "area": 50.0,
        "town": "Rome",
        "built": datetime(1990, 5, 1),
        "sea view": "yes",
        "rent": 1000.5,
        "agent": "Rossi, and sons",
    }
    assert table[-1]["agent"] == 'Ne"ri'
    assert [table[2]["area"], table[2]["built"], table[3]["town"]] == [None, None, None]
    assert table.features == ["area", "town", "built", "sea view", "agent"]
    assert table.targets == ("rent",)
    assert table.classes == ()
    assert table.place(2).endswith("flats.csv:4")
    text = str(table)
    assert "area      number" in text
    assert "rent      number, target" in text
    assert "50 … 120" in text
    assert "4 rows" in text
    assert repr(table) == "Table(4 rows, area, town, built, sea view, rent, agent)"


def test_the_same_table_in_every_dress(tmp_path):
    plain = Table(write(tmp_path / "plain.csv", FLATS))
    semicolons = FLATS.replace(", and", " and").replace(",", ";").replace(".5", ",5")
    dresses = {
        "gzip": (gzip.compress(FLATS.encode()), "a.csv.gz", {}),
        "windows": (FLATS.replace("\n", "\r\n").encode("utf-8-sig"), "b.csv", {}),
        "blank lines": (FLATS.replace("\n", "\n\n").encode(), "c.csv", {}),
        "no last line end": (FLATS.strip().encode(), "d.csv", {}),
        "utf-16": (FLATS.encode("utf-16"), "e.csv", {"encoding": "utf-16"}),
        "semicolons": (semicolons.encode(), "f.csv", {"decimal": ","}),
        "tabs": (FLATS.replace(", and", " and").replace(",", "\t").encode(), "g.tsv", {}),
        "no header": (
            FLATS.partition("\n")[2].encode(),
            "h.csv",
            {"header": False},
        ),
    }

    def check(name):
        data, file, settings = dresses[name]
        (tmp_path / file).write_bytes(data)
        table = Table(tmp_path / file, **settings)
        if name == "no header":
            assert list(table.columns) == [f"column_{i}" for i in range(1, 7)]
        else:
            assert list(table.columns) == list(plain.columns)
        for row, other in zip(table, plain, strict=True):
            values = list(row.values())[:-1]
            assert values == list(other.values())[:-1]

    try_each(check, dresses)


def test_whether_the_first_line_has_names(tmp_path):
    cases = {
        "a,b\n1,2\n": ["a", "b"],
        "x,y\nz,w\n": ["x", "y"],
        "1,2\n3,4\n": None,
        "1,red\n3,blue\n4,red\n": None,
        "2024-01-01,on\n2024-01-02,off\n": None,
        "1,\n2,x\n": None,
        "only,1\n": None,
    }
    for text, names in cases.items():
        table = Table(write(tmp_path / "a.csv", text))
        assert list(table.columns) == (names or ["column_1", "column_2"])
    both = write(tmp_path / "a.csv", "land,1990\nItaly,3\n")
    assert list(Table(both, header=True).columns) == ["land", "1990"]
    assert len(Table(both, header=False)) == 2


def test_kinds_of_texts_are_found_out(tmp_path):
    cases = {
        "number": ["1", "-2.5", "1e-3", " 7 ", ".5", "NaN", ""],
        "date": ["2024-02-29", "2024-02-29 12:30", "2024-02-29T12:30:59.25Z", "NA"],
        "category": ["x", "y", "", "x"],
        "text": [f"word {i}" for i in range(40)],
    }
    for kind, texts in cases.items():
        text = "c,z\n" + "".join(f"{t},q\n" for t in texts)
        column = Table(write(tmp_path / "a.csv", text)).columns["c"]
        assert column.kind == kind
        assert column.missing.sum() == sum(t in ("NaN", "", "NA") for t in texts)
    words = "c\n" + "".join(f"w{i % 50}\n" for i in range(500))
    assert Table(write(tmp_path / "a.csv", words)).columns["c"].kind == "category"
    words = "c\n" + "".join(f"w{i % 50}\n" for i in range(400))
    assert Table(write(tmp_path / "a.csv", words)).columns["c"].kind == "text"


def test_times_with_zones_are_in_utc_and_other_dates_have_a_form(tmp_path):
    path = write(tmp_path / "a.csv", "t,d\n2024-01-01T00:30:00+02:00,31/12/2020\n")
    row = Table(path, dates={"d": "%d/%m/%Y"})[0]
    assert row == {"t": datetime(2023, 12, 31, 22, 30), "d": datetime(2020, 12, 31)}


def test_dates_are_read_alike_however_they_are_written(tmp_path):
    days = [datetime(2024, 2, 29), datetime(1, 1, 1), None, datetime(9999, 12, 31, 23, 59)]
    plain = ["2024-02-29", "0001-01-01 00:00", "", "9999-12-31T23:59:00"]
    other = ["2024-02-29 00:00:00.0", "0001-01-01", "NA", "9999-12-31 23:59:00Z"]
    for texts in (plain, other):
        text = "d,x\n" + "".join(f"{t},1\n" for t in texts)
        column = Table(write(tmp_path / "a.csv", text), kinds={"d": "date"}).columns["d"]
        assert [column.value(i) for i in range(4)] == days
    for odd in ("2024-02-30", "2024", "today", "2024-1-1", "24-01-01 00", "2024-01-01 24:00"):
        text = "d,x\n2024-01-01,1\n" + f"{odd},1\n"
        with pytest.raises(DataError, match=f"a.csv:3: column 'd' must hold a date .* got '{odd}'"):
            Table(write(tmp_path / "a.csv", text), kinds={"d": "date"})


@pytest.mark.parametrize(
    ("texts", "order"),
    [
        (["01/12/2024", "1/31/2024", "12/25/2024"], "month-first"),
        (["12/01/2024", "31/1/2024", "25-12-2024"], "day-first"),
        (["2024/01/12", "2024/1/31", "2024/12/25"], ""),
        (["12.01.2024", "31.1.2024", "25.12.2024"], ""),
        (["01/12/2024 12:00 AM", "1/31/2024, 0:00", "12/25/2024 00:00:00"], "month-first"),
    ],
)
def test_the_order_of_day_and_month_is_found_out(tmp_path, texts, order):
    path = write(tmp_path / "a.csv", "d;x\n" + "".join(f"{t};1\n" for t in texts))
    column = Table(path).columns["d"]
    assert (column.kind, column.order) == ("date", order)
    days = [datetime(2024, 1, 12), datetime(2024, 1, 31), datetime(2024, 12, 25)]
    assert [column.value(i) for i in range(3)] == days
    stream = TableStream(path, chunk=1, dates=order) if order else TableStream(path, chunk=1)
    assert [t.columns["d"].value(0) for t in stream] == days


def test_times_of_half_a_day_and_an_order_that_must_be_said(tmp_path):
    path = write(tmp_path / "a.csv", "d\n1/2/2024 1:05 PM\n3/4/2024 12:30 am\n3/3/2024\n")
    says = (
        r"a.csv:2: column 'd' may have the day or the month first, got '1/2/2024 1:05 PM', and no"
    )
    with pytest.raises(
        DataError, match=f"{says} value .* dates='day-first', or dates='month-first'"
    ):
        Table(path)
    values = Table(path, dates="month-first").columns["d"].values.tolist()
    assert values == [
        datetime(2024, 1, 2, 13, 5),
        datetime(2024, 3, 4, 0, 30),
        datetime(2024, 3, 3),
    ]
    assert Table(path, dates={"d": "day-first"})[0] == {"d": datetime(2024, 2, 1, 13, 5)}
    assert Table(path, kinds={"d": "category"}).columns["d"].kind == "category"
    assert Table({"d": ["3/4/2024"]}, kinds={"d": "date"}, dates="day-first")[0] == {
        "d": datetime(2024, 4, 3)
    }
    with pytest.raises(ArgumentError, match="dates must be 'day-first' or 'month-first', or forms"):
        Table(path, dates="american")


@pytest.mark.parametrize("odd", ["2/30/2024", "13/13/2024", "31/1/2024", "1/1/2024 13:00 PM"])
def test_a_date_that_there_is_not_is_named(tmp_path, odd):
    text = "d\n" + "".join(f"12/{day}/2024\n" for day in range(13, 32)) + f"{odd}\n"
    with pytest.raises(DataError, match=f"a.csv:21: column 'd' must hold a date, month first, got "
                       f"'{odd}'"):  # fmt: skip
        Table(write(tmp_path / "a.csv", text))


def test_numbers_of_parts_are_no_dates(tmp_path):
    path = write(tmp_path / "a.csv", "part\n10-99-2024\n13-13-2030\n10-11-0004\n")
    assert Table(path).columns["part"].kind == "category"


def test_lines_are_counted_where_records_have_line_ends_inside(tmp_path):
    text = 'a,b\r\n\r\n1,"x\r\ny\nz"\r\n\r\n2,"q"\r\n3,"\r"\r\nbad,"z"\r\n'
    table = Table(write(tmp_path / "a.csv", text), kinds={"a": "text"})
    assert [table.place(i).rpartition(":")[2] for i in range(4)] == ["5", "7", "9", "10"]
    with pytest.raises(DataError, match=r"a.csv:10: column 'a' must hold a number, got 'bad'"):
        Table(tmp_path / "a.csv", kinds={"a": "number"})


def test_what_a_column_is_can_be_said(tmp_path):
    path = write(tmp_path / "a.csv", "zip,n,id\n00501,1,a\n10001,2,b\n?,3,c\n")
    table = Table(path, kinds={"zip": "category", "n": "text"}, missing=["?"], ignore=["id"])
    assert kinds(table) == {"zip": "category", "n": "text"}
    assert table.columns["zip"].categories == ("00501", "10001")
    assert [row["zip"] for row in table] == ["00501", "10001", None]


def test_whole_numbers_of_a_target_are_classes_unless_said(tmp_path):
    path = write(tmp_path / "a.csv", "x,y\n" + "".join(f"{i},{i % 11}\n" for i in range(44)))
    table = Table(path, target="y")
    assert table.classes == tuple(map(str, range(11)))  # in the order of the numbers
    assert Table(path, target="y", kinds={"y": "number"}).classes == ()
    assert Table(path, target="x").columns["x"].kind == "number"
    halves = write(tmp_path / "b.csv", "y\n" + "0.5\n1\n" * 9)
    assert Table(halves, target="y").columns["y"].kind == "number"


BAD = [
    ("", {}, "a.csv must have at least one record, but is empty"),
    ("a,b\n", {}, "a.csv must have at least one row, got none"),
    ("a,b\n1,2\n3\n", {}, r"a.csv:3: each record must have 2 fields \(a, b\), got 1: 3"),
    ("a,b\n1,2\n\n3,4,5\n", {}, r"a.csv:4: each record must have 2 fields .* got 3: 3, 4, 5"),
    ("a,a\nx,y\n", {}, "a.csv:1: columns must have different names, got a twice"),
    ('a,b\n1,"2\n3,4\n', {}, "a.csv:3: the record cannot be split: .* is a quotation mark missing"),
    (
        "a\n" + "1\n" * 19 + "x1\n",
        {},
        r"a.csv:21: column 'a' must hold a number, got 'x1'; correct",
    ),
    ("a\n" + "1\n" * 19 + "1_0\n", {}, r"a.csv:21: column 'a' must hold a number, got '1_0'"),
    (
        "a;b\n1,5;x\n2,5;x\n",
        {"decimal": "."},
        r"a.csv:2: column 'a' must hold a number, got '1,5'; pass decimal",
    ),
    ("d\n" + "2024-01-01\n" * 19 + "2024-02-30\n", {}, r"a.csv:21: column 'd' must hold a date as"),
    ("a\nx\n", {"kinds": {"a": "number"}}, r"a.csv:2: column 'a' must hold a number, got 'x'"),
    ("a,b\n,1\nx,1\n", {"kinds": {"a": "number"}}, r"a.csv:3: column 'a' must hold a number, got"),
    ("d\nx\n", {"dates": {"d": "%Y"}}, r"a.csv:2: column 'd' must hold a date as %Y, got 'x'"),
    ("a,b\nx,1\n", {"target": "B"}, r"target must name columns of .*'a', 'b', got 'B'; did you m"),
    ("a\n" + "x" * 140_000, {}, r"a.csv:2: .* field limit .*; or allow more: csv.field_size_limit"),
    ("a\nx\n", {"kinds": {"a": "float"}}, "the kind of 'a' must be one of number, category, date"),
    ("a\nx\n", {"ignore": ["b"]}, "ignore must name columns of .*, which are 'a', got 'b'"),
    ("a\nx\n", {"ignore": ["a"], "target": "a"}, "ignore must not name the target"),
    ("a\nx\n", {"target": [1]}, r"target must be the name of a column, or several, got \(1,\)"),
    ("a\nx\n", {"delimiter": ";;"}, "delimiter must be one character, got ';;'"),
    ("a\nx\n", {"encoding": "utf-99"}, "unknown encoding: utf-99, for .*a.csv"),
    ("a\0b\nx\n", {}, 'must be the text of a table: it is of another format, .*"utf-16"'),
    ("PK\x03\x04\0\0", {}, "it is a spreadsheet or an archive; save it as CSV, or read it by pan"),
    ("sep=;\na;b\n", {}, "its first line is Excel's; remove it, and pass delimiter=';'"),
    ('{"a": 1}\n', {}, "it is JSON; read it by data.text.read_jsonl"),
    ("land,1990\nItaly,3\n", {}, r"a.csv:1: the first line may be names or values: land, 1990; s"),
]


def test_files_that_are_wrong_are_refused_with_the_place(tmp_path):
    def check(case):
        text, settings, message = case
        with pytest.raises((DataError, ArgumentError), match=message):
            Table(write(tmp_path / "a.csv", text), **settings)

    try_each(check, BAD)


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(MissingFileError, match=r"none.csv cannot be read: No such file"):
        Table(tmp_path / "none.csv")
    with pytest.raises(DataError, match="cannot be read: Is a directory"):
        Table(tmp_path)
    latin = write(tmp_path / "a.csv", "x\nok\ncaffè\n", "latin-1")
    with pytest.raises(
        DataError, match=r"a.csv:3: byte 0xe8 after 4 others must be utf-8 text; .*"
    ):
        Table(latin)
    wide = write(tmp_path / "c.csv", "x,y\n1,2\n", "utf-16")
    with pytest.raises(DataError, match=r'c.csv:1: byte 0xff after .* encoding="utf-16"'):
        Table(wide)
    assert Table(latin, encoding="latin-1")[1] == {"x": "caffè"}
    cut = tmp_path / "b.csv.gz"
    cut.write_bytes(gzip.compress(FLATS.encode())[:-9])
    with pytest.raises(DataError, match=r"b.csv.gz is a truncated or damaged gzip file"):
        Table(cut)
    with pytest.raises(ArgumentError, match=r"source must be a file, a DataFrame, .* got a number"):
        Table(3)


# -- other libraries ------------------------------------------------------------------------------


COLUMNS = {
    "n": [1, 2, None],
    "f": [0.5, None, 2.0],
    "s": ["a", None, "b"],
    "b": [True, False, None],
    "t": [datetime(2024, 1, 2, 3), None, datetime(2024, 1, 1)],
    "d": [date(2024, 1, 2), None, date(2024, 1, 1)],
}
ROWS = [
    {
        "n": 1.0,
        "f": 0.5,
        "s": "a",
        "b": "True",
        "t": datetime(2024, 1, 2, 3),
        "d": datetime(2024, 1, 2),
    },
    {"n": 2.0, "f": None, "s": None, "b": "False", "t": None, "d": None},
    {
        "n": None,
        "f": 2.0,
        "s": "b",
        "b": None,
        "t": datetime(2024, 1, 1),
        "d": datetime(2024, 1, 1),
    },
]


def test_a_dict_an_arrow_table_and_a_parquet_file_are_the_same_table(tmp_path):
    arrow = pyarrow.table(COLUMNS)
    parquet.write_table(arrow, tmp_path / "a.parquet", row_group_size=2)
    streamed = TableStream(tmp_path / "a.parquet", chunk=2)
    assert [len(table) for table in streamed] == [2, 1]
    for rows in (
        list(Table(COLUMNS)),
        list(Table(arrow)),
        list(Table(tmp_path / "a.parquet")),
        [row for table in streamed for row in table],
    ):
        assert rows == ROWS
    only = Table(tmp_path / "a.parquet", ignore=["t", "d", "n"], target="s")
    assert list(only.columns) == ["f", "s", "b"]
    assert only.place(1).endswith("a.parquet, row 1")


def test_declared_categories_and_times_with_zones_of_arrow():
    times = pyarrow.array([datetime(2024, 1, 1, 12)], pyarrow.timestamp("ms", "Europe/Rome"))
    codes = pyarrow.array([f"id {i}" for i in range(1)]).dictionary_encode()
    table = Table(pyarrow.table({"t": times, "c": codes, "i": pyarrow.array([2**60])}))
    assert table[0] == {"t": datetime(2024, 1, 1, 12), "c": "id 0", "i": float(2**60)}
    many = pyarrow.array([f"id {i}" for i in range(100)])
    assert Table({"c": many}).columns["c"].kind == "text"
    assert Table({"c": many.dictionary_encode()}).columns["c"].kind == "category"


def of_library(name):
    """The same table in another library's dress, if that is installed."""
    library = pytest.importorskip(name, reason=f"{name} is not installed: not compared with it")
    if name == "datasets":
        return library.Dataset.from_dict(COLUMNS)
    return library.DataFrame(COLUMNS)


@pytest.mark.parametrize("name", ["pandas", "polars", "datasets"])
def test_tables_of_other_libraries(name):
    frame = of_library(name)
    assert list(Table(frame)) == ROWS


def test_a_structured_array_is_a_table():
    rows = np.array([(1, 2.5, "x"), (3, 4.5, "y")], [("a", "i4"), ("b", "f4"), ("c", "U3")])
    table = Table(rows, kinds={"a": "category"})
    assert list(table) == [{"a": "1", "b": 2.5, "c": "x"}, {"a": "3", "b": 4.5, "c": "y"}]


def test_lists_of_numpys_numbers_are_columns():
    columns = {
        "f": [np.float32(1.5), np.float64("nan")],
        "b": [np.bool_(True), None],
        "d": [np.datetime64("2024-01-02", "ns"), np.datetime64("NaT")],
        "s": [np.str_("x"), None],
    }
    first = {"f": 1.5, "b": "True", "d": datetime(2024, 1, 2), "s": "x"}
    assert list(Table(columns)) == [first, dict.fromkeys(columns)]


def test_arrays_become_what_is_said():
    spans = np.array([60, 90], "timedelta64[s]")
    assert [row["t"] for row in Table({"t": spans})] == [60, 90]
    words = ["1", "x", "1"]
    assert kinds(Table({"w": np.array(words)}, kinds={"w": "text"})) == {"w": "text"}
    names = [f"name {i}" for i in range(50)]
    table = Table({"w": names, "n": np.arange(50) / 2}, kinds={"w": "category", "n": "text"})
    assert kinds(table) == {"w": "category", "n": "text"}
    assert [row["n"] for row in table.rows([1, 2])] == ["0.5", "1"]
    assert [row["n"] for row in Table({"n": ["1", None]}, kinds={"n": "number"})] == [1, None]
    with pytest.raises(DataError, match="dict, row 1: column 'n' must hold a number, got 'x'"):
        Table({"n": words}, kinds={"n": "number"})
    days = Table({"d": ["31/12/2020", None]}, dates={"d": "%d/%m/%Y"})
    assert [row["d"] for row in days] == [datetime(2020, 12, 31), None]
    same = Table({"c": ["b", "a"]}, kinds={"c": "category"})
    assert same.columns["c"].as_categories() is same.columns["c"]


def test_a_table_prints_what_is_in_it():
    times = np.array(["2024-01-01T12:00", "NaT"], "datetime64[m]")
    table = Table({"none": [None, None], "t": times, "w": ["x" * 50, "y"]}, kinds={"w": "text"})
    lines = str(table).splitlines()
    assert lines[2].split() == ["none", "number", "0", "2"]
    assert lines[3].split()[:4] == ["t", "date", "1", "1"]
    assert lines[3].endswith("2024-01-01T12:00:00 … 2024-01-01T12:0...")
    assert lines[4].endswith("x" * 37 + "...")


def test_pandas_reads_parquet_where_pyarrow_is_not(tmp_path, monkeypatch):
    parquet.write_table(pyarrow.table({"a": [1.5], "b": ["x"]}), tmp_path / "a")

    class Pandas:
        @staticmethod
        def read_parquet(path):
            return np.array([(1.5, "x")], [("a", "f8"), ("b", "U1")])

    monkeypatch.setitem(sys.modules, "pandas", Pandas)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    assert list(Table(tmp_path / "a")) == [{"a": 1.5, "b": "x"}]
    with pytest.raises(MissingDependencyError, match="is read by pyarrow in pieces, and that"):
        list(TableStream(tmp_path / "a"))


def test_columns_of_no_use_are_refused():
    cases = [
        ({"a": [1, 2], "b": [1]}, "all columns must be equally long, got {'a': 2, 'b': 1}"),
        ({"a": np.zeros((2, 3))}, r"'a' must have one value for each row, got shape \(2, 3\)"),
        ({"a": ["x", 1, "y"]}, r"dict, row 1: column 'a' must hold .* of one kind, got 1 \(int\)"),
        ({"a": np.array([[1], {}], object)}, r"row 0: .* got \[1\] \(list\); convert it, or"),
        ({1: [1]}, "columns of the dict must be named by texts, got 1"),
        ({}, "columns of the dict must be named by texts, got no column"),
        ({"train": pyarrow.table({"a": [1]})}, r"got several in a dict; give source\['train'\]"),
    ]

    def check(case):
        source, message = case
        with pytest.raises((DataError, ArgumentError), match=message):
            Table(source)

    try_each(check, cases)
    with pytest.raises(ArgumentError, match="column 't' holds dates, which are no numbers"):
        Table({"t": [date(2024, 1, 1)]}, kinds={"t": "number"})

    class Lazy:
        columns = ("a",)

        def collect(self):
            pass

    with pytest.raises(ArgumentError, match=r"the Lazy must hold its rows; use its collect\(\)"):
        Table(Lazy())


def test_a_damaged_parquet_file_and_none_to_read_it(tmp_path, monkeypatch):
    path = tmp_path / "a.parquet"
    parquet.write_table(pyarrow.table({"a": list(range(100))}), path)
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(DataError, match=r"a.parquet cannot be read as a Parquet file: .*truncated"):
        Table(path)
    real = builtins.__import__

    def without(name, *args, **kwargs):
        if name.startswith(("pyarrow", "pandas")):
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MissingDependencyError, match=r"pip install 'backlit\[parquet\]'"):
        Table(path)


# -- rows as numbers ------------------------------------------------------------------------------


def sales(n=60):
    """Numbers, categories and dates with missing values, and a target that follows from them."""
    random = np.random.default_rng(0)
    area = random.normal(50, 9, n)
    area[::7] = np.nan
    town = random.choice(["a", "b", "c"], n).tolist()
    town[3] = None
    day = np.datetime64("2024-01-01") + np.arange(n)
    return {"area": area, "town": town, "day": day, "price": np.arange(n) * 2.5}


def test_an_encoding_is_learned_on_the_training_rows_alone():
    table = Table(sales(), target="price")
    train, test = random_split(table, [0.75, 0.25], seed=1)
    encoding = TableEncoding(train)
    assert encoding.names == ("area", "area is missing", "town=a", "town=b", "town=c", "day")
    x, y = (t.numpy() for t in encoding(train).tensors)
    assert (x.shape, x.dtype, y.shape, y.dtype) == ((45, 6), np.float32, (45, 1), np.float32)
    there = x[:, 1] == 0
    assert abs(x[there, 0].mean()) < 1e-6
    assert abs(x[there, 0].std() - 1) < 1e-6
    assert not x[~there, 0].any()
    assert 0 < (~there).sum() < 45
    assert abs(x[:, 5].std() - 1) < 1e-6
    # Of a row: by hand, from the training rows.
    area = np.array([row["area"] for row in train if row["area"] is not None])
    u, _ = (t.numpy() for t in encoding(test).tensors)
    rows = [row for row in test if row["area"] is not None]
    i = next(n for n, row in enumerate(test) if row["area"] is not None)
    assert u[i, 0] == pytest.approx((rows[0]["area"] - area.mean()) / area.std(), rel=1e-5)
    # Whatever stands in the rows that judge: what was learned is the same.
    changed = sales()
    for number in test.indices:
        changed["area"][number], changed["town"][number] = 1e9, "new"
    again = TableEncoding(Subset(Table(changed, target="price"), train.indices))
    assert again.state_dict() == encoding.state_dict()
    new = again(Subset(Table(changed, target="price"), test.indices)).tensors[0].numpy()
    assert not new[:, 2:5].any()


def test_codes_for_an_embedding_keep_0_for_what_is_new_or_missing():
    table = Table({"c": ["b", "a", None, "b"], "n": [1.0, 2, 3, 4], "y": ["u", "v", "u", "v"]}, "y")
    encoding = TableEncoding(table, codes=True)
    assert encoding.names == ("n",)
    assert encoding.sizes == {"c": 3}
    x, codes, y = encoding(table).tensors
    assert codes.tolist() == [[2], [1], [0], [2]]
    assert x.shape == (4, 1)
    assert y.tolist() == [0, 1, 0, 1]
    assert encoding.classes == ("u", "v")
    new = Table({"n": [1.0], "c": ["new"]})
    assert [t.tolist() for t in encoding(new).tensors[1:]] == [[[0]]]  # and no target


def test_targets_can_be_scaled_several_and_decoded():
    table = Table({"x": [0.0, 1, 2], "a": [10.0, 20, 30], "b": [-1.0, 0, 1]}, target=["a", "b"])
    encoding = TableEncoding(table, scale_target=True)
    y = encoding(table).tensors[1]
    assert np.allclose(y.numpy(), np.sqrt(1.5) * np.array([[-1, -1], [0, 0], [1, 1]]))
    assert np.allclose(encoding.decode(y), [[10, -1], [20, 0], [30, 1]])
    assert np.allclose(TableEncoding(table).decode([[1.0, 2.0]]), [[1, 2]])
    assert repr(encoding) == "TableEncoding(x -> a, b)"


def test_an_encoding_goes_through_a_file():
    for codes in (False, True):
        table = Table(sales(), target="price")
        encoding = TableEncoding(table, codes=codes, scale_target=codes)
        again = TableEncoding.from_state(encoding.state_dict())
        for a, b in zip(encoding(table).tensors, again(table).tensors, strict=True):
            assert np.array_equal(a.numpy(), b.numpy())
    state = TableEncoding(Table({"a": [1.0]}, target="a")).state_dict()
    for damaged in ({"columns": [{"name": "a"}]}, {**state, "targets": ["b"]}):
        with pytest.raises(DataError, match=r"must be what state_dict\(\) gave, but is damaged: "):
            TableEncoding.from_state(damaged)


def test_a_column_without_values_in_training_is_0():
    table = Table({"a": [None, None, 5.0], "b": [1.0, 2.0, 3.0]})
    x = TableEncoding(table.rows([0, 1]))(table).tensors[0].numpy()
    assert x[:, :2].tolist() == [[0, 1], [0, 1], [5, 0]]
    constant = TableEncoding(Table({"a": [7.0, 7.0]}))
    assert constant(Table({"a": [7.0, 8.0]})).tensors[0].tolist() == [[0.0], [1.0]]


def test_rows_that_have_no_numbers_are_refused():
    table = Table({"x": [1.0, 2.0], "y": ["a", "b"]}, target="y")
    names = [f"name {i}" for i in range(40)]
    cases = [
        (lambda: TableEncoding(Table({"t": names})), "column 't' holds texts, as 'name 0', which"),
        (lambda: TableEncoding(Table({"t": names}, "t")), "target 't' holds texts"),
        (lambda: TableEncoding(Table({"x": [1.0, np.inf]})), "dict, row 1: .* finite, got inf"),
        (
            lambda: TableEncoding(Table({"x": ["a"], "y": [1.0]}, ["x", "y"])),
            "several targets must be numbers, got categories in 'x'",
        ),
        (
            lambda: TableEncoding(table)(Table({"x": [1.0], "y": ["c"]}, target="y")),
            "dict, row 0: the target 'y' must be a class .* training rows, a, b, got 'c'",
        ),
        (
            lambda: TableEncoding(table)(Table({"x": [1.0, 2], "y": ["a", None]}, "y")),
            r"row 1: the target 'y' is missing in 1 of 2 rows; leave them out: rows.known\(\)",
        ),
        (lambda: TableEncoding(table)(Table({"z": [1.0]})), "must have the column 'x', as in"),
        (
            lambda: TableEncoding(table)(Table({"x": ["a"]})),
            "'x' must hold numbers, as in training",
        ),
        (lambda: TableEncoding([1, 2]), "the rows must be a Table's, got a list"),
        (
            lambda: TableEncoding(Table({"y": [None, 1.0]}, "y"))(Table({"y": [None]}, "y")),
            "missing",
        ),
    ]

    def check(case):
        make, message = case
        with pytest.raises((DataError, ArgumentError), match=message):
            make()

    try_each(check, cases)


def test_rows_are_chosen_by_number_and_by_mask():
    table = Table({"x": [1.0, 2, 3], "y": ["a", None, "b"]}, target="y")
    assert [row["x"] for row in table.rows([2, 0])] == [3, 1]
    assert [row["x"] for row in table.rows(np.array([True, False, True]))] == [1, 3]
    assert [row["y"] for row in table.known()] == ["a", "b"]
    assert len(table.known("x")) == 3
    assert table.rows([2, 0]).place(0) == "dict, row 2"
    assert len(Table({"x": [1.0]}).known()) == 1
    assert Table({"x": [1.0]}).classes == ()
    assert list(table.select(["y", "x"]).columns) == ["y", "x"]
    assert table.select(["x"]).targets == ()
    with pytest.raises(ArgumentError, match="there is no column 'z' in x, y"):
        table.select(["z"])
    inner = Subset(Subset(table, [2, 1]), [0])
    assert Table.of(inner)[0] == {"x": 3.0, "y": "b"}


# -- streams --------------------------------------------------------------------------------------


def test_a_stream_gives_what_the_whole_table_gives(tmp_path):
    columns = sales(50)
    lines = ["area,town,day,price"] + [
        f"{'' if np.isnan(a) else repr(float(a))},{t or ''},{d},{p}"
        for a, t, d, p in zip(*columns.values(), strict=True)
    ]
    path = write(tmp_path / "all.csv", "\n".join(lines))
    one = write(tmp_path / "one.csv", "\n".join(lines[:21]))
    two = write(tmp_path / "two.csv", "\n".join([lines[0], *lines[21:]]))
    whole = Table(path, target="price")
    x, y = TableEncoding(whole)(whole).tensors
    for source, chunk in (([one, two], 7), (path, 50), (path, 1000)):
        stream = TableStream(source, target="price", chunk=chunk)
        encoding = TableEncoding(stream)
        assert encoding.names == TableEncoding(whole).names
        for _ in range(2):  # each epoch reads the file anew
            batches = list(DataLoader(encoding(stream), batch_size=8))
            u, v = (np.concatenate([b[i].numpy() for b in batches]) for i in (0, 1))
            assert np.allclose(u, x.numpy(), atol=1e-5)
            assert np.array_equal(v, y.numpy())
            assert u.dtype == np.float32
    assert stream.kinds["day"] == "date"
    assert repr(stream) == f"TableStream({path})"


def test_a_stream_leaves_out_rows_without_a_target(tmp_path):
    path = write(tmp_path / "a.csv", "x,y\n1,2.5\n2,\n3,NA\n,4.5\n")
    stream = TableStream(path, target="y", chunk=2)
    with pytest.raises(DataError, match=r"a.csv:3: the target 'y' is missing in 1 of 2 rows"):
        list(TableEncoding(stream)(stream))
    known = stream.known()
    assert [float(y[0]) for _, y in TableEncoding(known)(known)] == [2.5, 4.5]
    assert sum(len(table) for table in stream.known("x", "y")) == 1
    assert sum(len(table) for table in stream) == 4


def test_a_later_part_of_a_stream_that_does_not_fit_is_refused(tmp_path):
    one = write(tmp_path / "one.csv", "a,b\n1,x\n2,y\n3,z\n")
    with pytest.raises(DataError, match=r"two.csv:2: column 'a' must hold a number, got 'q'"):
        list(TableStream([one, write(tmp_path / "two.csv", "a,b\nq,x\n")], chunk=2))
    with pytest.raises(
        DataError, match=r"two.csv must have the columns of the first file, 'a', 'b', got 'a', 'c'"
    ):
        list(TableStream([one, write(tmp_path / "two.csv", "a,c\n1,x\n")]))
    with pytest.raises(DataError, match="must have at least one row, got none"):
        TableStream(write(tmp_path / "two.csv", "a,c\n"))
    with pytest.raises(ArgumentError, match="source must be the path of a file, or several"):
        TableStream({"a": [1]}.items())
    with pytest.raises(ArgumentError, match="TableStream: chunk must be a positive integer, got 0"):
        TableStream(one, chunk=0)


def test_pieces_that_are_joined_are_the_whole(tmp_path):
    rows = "".join(f"{i},{'cab'[i % 3] if i % 7 else ''},2024-01-{1 + i % 28:02},t {i}\n" for i in
                   range(90))  # fmt: skip
    path = write(tmp_path / "a.csv", "n,kind,day,text\n" + rows)
    whole = Table(path, kinds={"text": "text"})
    again = Table.joined(TableStream(path, kinds={"text": "text"}, chunk=20))
    assert [again[i] for i in range(90)] == [whole[i] for i in range(90)]
    assert again.columns["kind"].categories == ("a", "b", "c")
    assert again.place(89) == whole.place(89)
    with pytest.raises(
        ArgumentError, match=r"must be alike, got 'n' \(number\) and 'm' \(number\)"
    ):
        Table.joined([Table({"n": [1.0]}), Table({"m": [1.0]})])
    with pytest.raises(ArgumentError, match=r"Table.joined: at least one table is needed"):
        Table.joined([])
