"""CSV files that are split at their bytes are what `csv` and Python's `float` make of them."""

import random
import struct

import numpy as np
import pytest

from backlit.data import Table, TableStream
from backlit.data.tables import delimited
from backlit.data.tables.plain import Cells
from backlit.errors import DataError


def cells(texts, encoding="utf-8"):
    """Fields as they lie in a file."""
    raw = [t.encode(encoding) for t in texts]
    ends = np.cumsum([len(r) + 1 for r in raw]) - 1
    starts = np.concatenate([[0], ends[:-1] + 1])
    signs = np.frombuffer(b",".join(raw) + bytes(64), np.uint8)
    return Cells(signs, starts.astype(np.int64), ends.astype(np.int64), encoding)


def test_numbers_are_pythons_to_the_last_bit():
    rng = random.Random(0)
    texts = ["0", "-0", "+5", "5.", ".5", "-.25", "1e5", "-2.5E-7", "12345678901234567890",
             "0.1234567890123456", "9007199254740993", "1.7976931348623157e308", "4.9e-324",
             "00012", "123456789.123456", "0.000000000000001"]  # fmt: skip
    texts += [f"{rng.uniform(-1000, 1000):.{rng.randrange(12)}f}" for _ in range(300)]
    texts += [repr(struct.unpack("d", rng.randbytes(8))[0]) for _ in range(300)]
    texts = [t for t in texts if "n" not in t]
    found = cells(texts).numbers()
    assert found.tobytes() == np.array([float(t) for t in texts]).tobytes()
    gaps = cells(["", "1.5", ""]).numbers()
    assert np.isnan(gaps).tolist() == [True, False, True]
    for other in (
        "1_0",
        "nan",
        "inf",
        " 1",
        "1,5",
        "-",
        ".",
        "1.2.3",
        "0x1",
        "1e",
        "--1",
        "é",
        "٣",
    ):
        assert cells(["1", other]).numbers() is None, other


def test_dates_are_those_of_the_calendar():
    for texts in (["2024-02-29", "1999-12-31"], ["2024-01-01 23:59", "2024-12-31T00:00"],
                  ["2024-02-28 23:59:59", "0001-01-01 00:00:00"]):  # fmt: skip
        assert cells(texts).dates().tolist() == np.array(texts, "M8[us]").tolist()
    for bad in ("2023-02-29", "2024-13-01", "2024-00-10", "2024-1-001", "0000-01-01", "2024/01/01"):
        assert cells(["2024-01-01", bad]).dates() is None, bad
    for bad in ("2024-01-01 24:00", "2024-01-01 12:60", "2024-01-01x12:00"):
        assert cells([bad]).dates() is None, bad


def test_different_fields_have_different_codes():
    rng = random.Random(0)
    names = [
        "",
        "a",
        "aa",
        "b",
        "Bodø",
        "Trondheim",
        "trondheim",
        "nine sign",
        "x" * 24,
        "ab",
        "ba",
    ]
    texts = [rng.choice(names) for _ in range(3000)] + ["late", "later than all"] * 2
    different, codes = cells(texts).coded()
    assert [different[c] for c in codes] == texts
    assert len(different) == len({*texts})
    assert cells(["x" * 25] * 9).coded() is None
    assert cells([str(i) for i in range(9)]).coded() is None
    assert cells(texts).texts() == texts
    assert cells(["ä", "b", "ß"], "cp1252").texts() == ["ä", "b", "ß"]


def column(rng, kind, n):
    """Texts of a column of some kind, a few of them missing or odd."""
    make = {
        "number": lambda: f"{rng.gauss(0, 100):.{rng.randrange(8)}f}",
        "long": lambda: repr(rng.random()),
        "gaps": lambda: rng.choice(["", f"{rng.random():.3f}", "NA"]),
        "whole": lambda: str(rng.randrange(-50, 50)),
        "blank": lambda: f" {rng.randrange(9)} ",
        "date": lambda: f"2024-{rng.randrange(1, 13):02}-{rng.randrange(1, 29):02}",
        "time": lambda: f"2024-01-{rng.randrange(1, 29):02} {rng.randrange(24):02}:30",
        "dotted": lambda: f"{rng.randrange(1, 29)}.{rng.randrange(1, 13)}.2024",
        "city": lambda: rng.choice(["Oslo", "Bodø", "Tromsø  ", "Trondheim", ""]),
        "text": lambda: "".join(rng.choices("abc äöü", k=rng.randrange(30))),
        "id": lambda: f"H{rng.randrange(10**9)}",
        "yes": lambda: rng.choice(["yes", "no"]),
        "dash": lambda: rng.choice(["-", "3", "4"]),
    }[kind]
    return [make() for _ in range(n)]


def same(a, b):
    """Whether two tables are equal to the last bit, places included."""
    assert list(a.columns) == list(b.columns)
    for name, one in a.columns.items():
        other = b.columns[name]
        assert (one.kind, one.categories) == (other.kind, other.categories), name
        if one.kind == "text":
            assert one.values.tolist() == other.values.tolist(), name
        else:
            assert one.values.tobytes() == other.values.tobytes(), name
    assert [a.place(i) for i in range(len(a))] == [b.place(i) for i in range(len(b))]
    return True


KINDS = "number long gaps whole blank date time dotted city text id yes dash".split()


@pytest.mark.parametrize("seed", range(6))
def test_files_are_what_csv_makes_of_them(tmp_path, monkeypatch, seed):
    rng = random.Random(seed)
    kinds, n = rng.sample(KINDS, rng.randrange(2, 8)), rng.choice([1, 7, 300])
    delimiter, end = rng.choice(",;\t|"), rng.choice(["\n", "\r\n"])
    rows = zip(*(column(rng, k, n) for k in kinds), strict=True)
    text = end.join([delimiter.join(kinds), *map(delimiter.join, rows)])
    text += rng.choice(["", end, end * 3])
    path = tmp_path / "t.csv"
    path.write_bytes(rng.choice([b"", b"\xef\xbb\xbf"]) + text.encode())
    options = {"header": True, "delimiter": delimiter,
               "decimal": None if delimiter == ";" else "."}  # fmt: skip

    def read(make):
        try:
            return make()
        except DataError as error:
            return str(error)

    def whole():
        return Table(path, **options)

    def pieces():
        return [*TableStream(path, header=True, delimiter=delimiter, chunk=50)]

    quick = read(whole), read(pieces)
    monkeypatch.setattr(delimited, "is_plain", lambda *_: False)
    slow = read(whole), read(pieces)
    for one, other in zip(quick, slow, strict=True):
        if isinstance(other, str):
            assert one == other
        elif isinstance(other, list):
            assert list(map(len, one)) == list(map(len, other))
            assert all(map(same, one, other))
        else:
            assert same(one, other)


def test_the_middle_of_a_file_may_be_quoted(tmp_path):
    """What is not plain is read by csv from there on, and lines are counted on."""
    lines = [
        "a,b",
        *(f"{i},x" for i in range(200)),
        '7,"two\nlines"',
        *(f"{i},y" for i in range(50)),
    ]
    path = tmp_path / "t.csv"
    path.write_text("\n".join(lines))
    parts = [*TableStream(path, chunk=100, kinds={"b": "text"})]
    assert list(map(len, parts)) == [100, 100, 51]
    assert parts[2].place(0).endswith("t.csv:203")
    assert parts[2].place(1).endswith("t.csv:204")
    assert sum(len(t.columns["a"].values) for t in parts) == 251
    assert parts[2][0]["b"] == "two\nlines"


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        (["a,b", "1,2", "3", "4,5"], r"t\.csv:3: each record must have 2 fields"),
        (["a,b", "1,2", "3,4,5", "6"], r"t\.csv:3: each record must have 2 fields"),
        (["a,b", "1,2", "3,4\rx"], r"t\.csv:4: each record must have 2 fields"),
        (["a,b", *["1,2"] * 20, "many,2"], r"t\.csv:22: column 'a' must hold a number"),
        (
            ["a,b", *["2024-01-01,2"] * 20, "2024-02-30,2"],
            r"t\.csv:22: column 'a' must hold a date",
        ),
        (["a,b", *["1,2"] * 20, "nan,2"], r"t\.csv:22: column 'a' must hold a number, got 'nan'"),
    ],
)
def test_errors_name_their_lines(tmp_path, lines, says):
    path = tmp_path / "t.csv"
    path.write_text("\n".join(lines), newline="")
    with pytest.raises(DataError, match=says):
        Table(path, missing=(), header=True)


def test_commas_part_thousands_where_they_can_be_nothing_else(tmp_path):
    def read(numbers, **more):
        path = tmp_path / "t.csv"
        path.write_text("price,b\n" + "".join(f'"{n}",x\n' for n in numbers))
        return Table(path, **more).columns["price"].values.tolist()

    assert read(["1,234,567", "12", "1,000"]) == [1234567, 12, 1000]
    assert read(["1,234.5", "999.25", "12,000"]) == [1234.5, 999.25, 12000]
    assert read(["550,539", "1,000"], decimal=".") == [550539, 1000]
    assert read(["550,539", "1,000"], decimal=",") == [550.539, 1]
    with pytest.raises(DataError, match=r"got '550,539'; pass decimal=\",\" if that is 550.539, or "
                       r"decimal=\".\" if it is 550539"):  # fmt: skip
        read(["550,539", "1,000"])


def test_months_are_dates(tmp_path):
    path = tmp_path / "t.csv"
    months = [f"19{50 + i // 12}-{1 + i % 12:02}" for i in range(30)]
    path.write_text("month,n\n" + "".join(f"{month},{i}\n" for i, month in enumerate(months)))
    column = Table(path).columns["month"]
    assert column.kind == "date"
    assert str(column.values[13]).startswith("1951-02-01")
