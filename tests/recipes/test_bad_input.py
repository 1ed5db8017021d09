"""Data that is not as it should be: one clear error, with the file, the record, the field."""

import re
from pathlib import Path

import numpy as np
import pytest

from backlit import recipes
from backlit.errors import ArgumentError, DataError
from recipes import kinds


def refused(says, path, kind=DataError, **options):
    """A look at data, or reading it, that must fail with one error."""

    def read():
        task = recipes.look(path, **{k.removesuffix("_"): v for k, v in options.items()})
        task.parts(task.settings)

    with pytest.raises(kind) as caught:
        read()
    assert re.search(says, str(caught.value)), caught.value


def written(path, text):
    path.write_text(text, "utf-8")
    return path


# -- what is meant ----------------------------------------------------------------------------


def test_what_is_not_there_and_what_is_not_known(tmp_path):
    refused("'houses.cvs' is neither a file or folder nor one of spiral", "houses.cvs")
    odd = written(tmp_path / "x.xyz", "what")
    refused("x.xyz: it is not clear what it holds; say so with --kind, one of", odd, ArgumentError)
    refused(
        "kind must be one of .*got 'tabel'; did you mean table", odd, ArgumentError, kind_="tabel"
    )
    refused("it is not clear what it holds, or it is no images", odd, ArgumentError, kind_="images")
    refused("target has no meaning for xor", "xor", ArgumentError, target="x")
    folder = tmp_path / "tables"
    for name in "ab":
        kinds.write(folder / f"{name}.csv", ["x", "y"], [[1, 2]])
    refused(r"it is not clear what it holds \(a.csv, b.csv\); name one of its files; say so with",
            folder, ArgumentError)  # fmt: skip


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("a.xlsx", "a.xlsx is a spreadsheet; save it as CSV, or: python -c .*'a.xlsx'.*'a'"),
        ("photos.tar.gz", "photos.tar.gz is an archive; unpack it, and name what is in it"),
        ("model.PKL", "model.PKL is a pickle, which could run any code; save its arrays by"),
        ("a.libsvm", r"a.libsvm has sparse rows; .*numpy.savez\('a', x=x.toarray\(\), y=y\)"),
        ("a.json", r"a.json is JSON as a whole; write one object a line \(.jsonl\)"),
        ("cat.png", "cat.png is one picture; name the folder in which those of each class have a"),
        ("a.sqlite", 'a.sqlite is a database; .* sqlite3 -header -csv a.sqlite "select'),
    ],
)
def test_a_format_that_is_not_read_comes_with_what_to_do(tmp_path, name, says):
    refused(says, written(tmp_path / name, "PK something"))


def test_paths_that_lead_nowhere(tmp_path):
    (tmp_path / "gone.csv").symlink_to(tmp_path / "away.csv")
    refused(r"gone.csv is a link to .*away.csv, which cannot be followed", tmp_path / "gone.csv")
    (tmp_path / "loop.csv").symlink_to(tmp_path / "loop.csv")
    refused(r"loop.csv is a link to .*loop.csv, which cannot be followed", tmp_path / "loop.csv")
    refused("'a{78,79} is neither a file or folder", "a" * 5000)
    refused(r"'a.x00b.csv' is neither a file or folder", "a\0b.csv")


def test_an_error_of_what_is_in_a_file_names_it(tmp_path):
    table = kinds.write(tmp_path / "one.csv", ["x", "label"], [[i % 7, "a"] for i in range(50)])
    refused("^one.csv: at least two classes are needed to tell them apart, got only 'a'", table)


def test_which_column_is_meant(tmp_path):
    table = kinds.write(tmp_path / "t.csv", ["area", "rooms"], [[i, i % 3] for i in range(60)])
    refused(r"t.csv: which column is to be learned\? Say --target NAME, one of area \(numbers\)",
            table, ArgumentError)  # fmt: skip
    refused("t.csv: target must be one of area, rooms, got 'romes'; did you mean rooms", table,
            ArgumentError, target="romes")  # fmt: skip
    refused("at least one column besides area, rooms must say something, but there is none", table,
            target=["area", "rooms"])  # fmt: skip
    mixed = kinds.write(tmp_path / "m.csv", ["a", "ok", "town"], [[i, i % 2, "xyz"[i % 3]] for i in
                        range(60)])  # fmt: skip
    refused(r"several targets must be numbers, or labels that hold 0 and 1 \(no and yes, false and "
            r"true\), got ok \(numbers\), town \(3 categories\)", mixed, ArgumentError,
            target=["ok", "town"])  # fmt: skip
    texts = [[f"one two three {i}", f"four five six {i}", i % 2] for i in range(60)]
    table = kinds.write(tmp_path / "two.csv", ["a", "b", "label"], texts)
    refused("texts of one column are learned from, but a, b have some; leave out all but one: "
            "--drop b", table, ArgumentError)  # fmt: skip
    assert recipes.look(table, drop="b").kind == "text"
    assert recipes.look(table, kind="text", drop="a").column == "b"


# -- tables -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "t.csv must have at least one record, but is empty"),
        ("a,label\n", "t.csv.* must have at least one row"),
        ("a,label\n1,x\n2\n", "t.csv:3"),
        (
            "a,label\n" + "1,x\n" * 30 + "many,y\n",
            "t.csv:32: column 'a' must hold a number",
        ),
        ("a,label\n" + "1,\n" * 30, "label: at least one row must have a value, got none"),
        ("a,label\n" + "1,x\n2,x\n" * 20, "at least two classes are needed .*got only 'x'"),
        (
            "a,label\n" + "1,x\n1,y\n" * 20,
            "at least one column besides label must say",
        ),
        ("a,label\n1,x\n2,y\n", "t.csv: 2 examples are too few for a"),
    ],
)
def test_tables(tmp_path, text, says):
    refused(says, written(tmp_path / "t.csv", text))


def test_a_target_of_texts_or_dates_or_one_number(tmp_path):
    rows = [[i, f"word{i} more words{i}", f"2024-01-{i + 1:02}", 5.5] for i in range(25)]
    table = kinds.write(tmp_path / "t.csv", ["a", "words", "day", "same"], rows)
    refused("words: a target must be classes, labels or numbers, got 25 different", table,
            ArgumentError, target="words")  # fmt: skip
    refused("day: a target must be classes, labels or numbers, got dates", table, ArgumentError,
            target="day", kind_="table")  # fmt: skip
    refused("same: the numbers to be learned must differ, got 5.5 everywhere", table, DataError,
            target="same", drop="words")  # fmt: skip


def test_series(tmp_path):
    table = kinds.power(tmp_path / "p.csv", hours=100)
    text = table.read_text().splitlines()
    text[50] = text[50].rsplit(",", 1)[0] + ","
    written(table, "\n".join(text))
    refused("p.csv:51: temperature must have a finite value in every step of a series, got None",
            table, target="load")  # fmt: skip
    assert recipes.look(table, target="load", drop="temperature").kind == "series"
    short = kinds.power(tmp_path / "s.csv", hours=30)
    refused("a series must have at least 60 rows, got 30", short, target="load", time="time")
    refused("of a series one column is forecast, got load, temperature; leave out all but one, or "
            "say --kind table", kinds.power(tmp_path / "q.csv", hours=100), ArgumentError,
            target=["load", "temperature"])  # fmt: skip
    refused("time must be one of time, load, temperature, got 'hour'", short, ArgumentError,
            target="load", time="hour")  # fmt: skip


# -- pictures ---------------------------------------------------------------------------------


def test_pictures(tmp_path):
    photos = kinds.photographs(tmp_path / "photos", n=20)
    broken = photos / "sea" / "001.png"
    whole = broken.read_bytes()
    broken.write_bytes(b"GIF89a")
    refused("sea/001.png is no picture in a format of pixels, or is damaged", photos)
    broken.write_bytes(b"")
    refused("sea/001.png is empty", photos)
    broken.write_bytes(whole[:200])
    refused("sea/001.png is damaged or truncated", photos)
    broken.write_bytes(whole)
    (photos / "empty").mkdir()
    assert "no picture is in empty, which is no class therefore" in recipes.look(photos).warnings
    (photos / "empty").rmdir()
    (photos / "train").mkdir()
    refused("there must be folders of classes or of parts .*got sea beside train", photos)
    tags = kinds.tags(tmp_path / "tags", n=12)
    kinds.write(tags / "more.csv", ["file", "tags"], [["000.png", "warm"]])
    refused("one table of labels beside them, got more.csv, tags.csv; name it: backlit train", tags,
            ArgumentError)  # fmt: skip
    kinds.write(tags / "more.csv", ["file", "tags"], [["../../etc/x.png", "warm"], ["b.png", "c"]])
    refused("files must lie inside of", tags / "more.csv")
    kinds.write(tags / "more.csv", ["file", "tags"], [["000.png", "warm"], ["b.png", "c"]])
    refused("more.csv|entry 1: the file 'b.png' is not in", tags / "more.csv")


# -- texts, tags, arrays ----------------------------------------------------------------------


def test_texts(tmp_path):
    refused("a text must have at least 200 characters, got 4", written(tmp_path / "a.txt", "what"))
    (tmp_path / "b.txt").write_bytes(b"caf\xe9 " * 100)
    refused("b.txt.*byte", tmp_path / "b.txt")
    rows = [[f"some more words {i}" if i != 7 else "!", "xy"[i % 2]] for i in range(40)]
    rows[7][0] = "  "
    table = kinds.write(tmp_path / "t.csv", ["text", "label"], rows)
    task = recipes.look(table)
    assert len(task.raw) == 39


def test_tagged_words(tmp_path):
    path = tmp_path / "x.conll"
    refused("x.conll:2 must have 2 columns", written(path, "Ada B-PER\nlives\n"))
    refused("x.conll", written(path, ""))
    refused("at least one word must have another tag than O", written(path, "Ada O\nlives O\n"))
    refused("x.conll:1: .*PERSON", written(path, "Ada PERSON\nlives O\n"))


def test_a_table_whose_first_line_may_be_names_or_values(tmp_path):
    rows = "".join(f"{i},{'ab'[i % 2]},{i % 7}\n" for i in range(50))
    path = written(tmp_path / "t.csv", "1,n,2\n" + rows)
    refused(r"t.csv:1: the first line may be names or values: 1, n, 2; say --header or --no-header",
            path)  # fmt: skip
    task = recipes.look(path, header=False, target="column_2", drop="column_1")
    form = task.parts(task.settings).form
    assert form.dialect == {"header": False}
    assert task.source.settings()["header"] is False
    assert recipes.look(path, header=True, target="n").features == ["2"]
    twice = written(tmp_path / "d.csv", "a,a\n1,2\n")
    refused("got a twice; rename them, or --no-header if the first line is a record", twice)


@pytest.mark.parametrize("data", [b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", b"a,b\n\xff\xd8\0\1"])
def test_a_picture_that_is_called_a_table(tmp_path, data):
    (tmp_path / "t.csv").write_bytes(data)
    refused("t.csv must be the text of a table(, but has a null byte; it|: it) is of another form",
            tmp_path / "t.csv")  # fmt: skip


def test_a_table_of_pictures_that_are_not_there(tmp_path):
    folder = kinds.tags(tmp_path / "tags", n=20)
    table = folder / "tags.csv"
    written(table, table.read_text() + "gone.png,warm\n")
    refused(r"tags.csv:22: file must name a picture, but there is no gone.png in .*tags; remove",
            folder)  # fmt: skip


def test_a_picture_that_is_cut_off_comes_with_what_leaves_it_out(tmp_path):
    folder = kinds.photographs(tmp_path / "photos", n=20)
    first = folder / "sea" / "001.png"
    first.write_bytes(first.read_bytes()[:200])
    refused(r"001.png is damaged or truncated: .*; --skip-damaged leaves such pictures out", folder)


def test_arrays(tmp_path):
    x, y = np.zeros((20, 3), np.float32), np.arange(20) % 2
    path = tmp_path / "x.npz"
    path.write_bytes(b"PK\x03\x04 broken")
    refused("x.npz is not a whole NumPy archive", path)
    np.savez(path, x=x)
    refused(r"which array has the answers\? Say --target NAME, one of x \(20, 3\)", path,
            ArgumentError)  # fmt: skip
    np.savez(path, x=x, y=y[:19])
    refused("one array beside y must have 19 examples", path, ArgumentError)
    bad = x.copy()
    bad[4, 1] = np.nan
    np.savez(path, x=bad, y=y)
    refused(r"x\[4\] must hold finite numbers, got NaN or infinity \(so have 1 example\)", path)
    np.savez(path, x=np.array(["a"] * 20), y=y)
    refused("x must hold numbers, got <U1", path)
    np.savez(path, x=np.array([{}] * 20, object), y=y)
    refused("x.npz is not a whole NumPy archive: ValueError", path)
    np.save(tmp_path / "x.npy", x)
    refused("answers are needed beside the examples; put both into one folder", tmp_path / "x.npy",
            ArgumentError)  # fmt: skip


# -- predictions ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def forms(tmp_path_factory):
    """What runs of several kinds would have learned."""
    folder: Path = tmp_path_factory.mktemp("data")
    tasks = {
        "table": recipes.look(kinds.houses(folder / "houses.csv", n=60), target="price"),
        "text": recipes.look(kinds.tweets(folder / "tweets.csv", n=60), target="mood"),
        "series": recipes.look(kinds.power(folder / "power.csv", hours=120), target="load"),
        "tagging": recipes.look(kinds.names(folder / "names.conll", n=40)),
        "images": recipes.look(kinds.photographs(folder / "photos", n=20)),
        "arrays": recipes.look(kinds.sounds(folder / "sounds.npz", n=40)),
    }
    return {kind: task.parts(task.settings).form for kind, task in tasks.items()}


@pytest.mark.parametrize(
    ("kind", "given", "says"),
    [
        ("table", {"area": 3, "city": "Oslo"}, "must have a value for 'heating' .category.; leave"),
        ("table", {"aera": 3}, "must have the columns area, city, heating, got 'aera'; did you"),
        ("table", "area=big, city=Oslo, heating=gas", "must hold a number, as 82.5, got 'big'"),
        ("table", "nowhere.csv", "an input must be a row as 'area=70, city=Oslo', or a table"),
        ("text", "", "a text must have a word, got ''"),
        ("text", 3, "an input must be a text, .*got 3"),
        ("series", {"load": [1.0] * 5, "temperature": [1.0] * 5}, "at least the 12 rows before"),
        ("series", {"load": [1.0] * 50}, "must have the column 'temperature', got load"),
        ("series", "nowhere.csv", "an input must be a table that ends with the rows before"),
        ("tagging", "wort " * 299, "a sentence must have at most 256 words, .*got 299"),
        ("tagging", "", "an input must be a sentence"),
        ("images", "nowhere.png", "an input must be a picture, .*which does not exist"),
        ("images", np.zeros((8, 8, 3)), "must be uint8 from 0 to 255, got float64; multiply"),
        ("arrays", np.zeros(30), r"must hold numbers of the shape \(4000\), or \(N, 4000\), got"),
        ("arrays", np.full(4000, np.inf), "must hold finite numbers"),
    ],
)
def test_inputs_of_predict(forms, kind, given, says):
    form = forms[kind]
    with pytest.raises(DataError, match=says):
        form.encode([example for _, example in form.read(given)])


def test_what_was_not_there_in_training_is_taken_as_unknown(forms):
    row = {"area": None, "city": "Rome", "heating": "gas"}
    (x,) = forms["table"].encode([row])
    named = dict(zip(forms["table"]._encoding.names, x[0].tolist(), strict=True))
    assert named["city=Oslo"] == named["city=Bergen"] == 0
    assert forms["text"].encode(["zzzz happy"])[0][0, 0] == 1


@pytest.mark.parametrize("shape", [(0, 3), (20, 0)])
def test_arrays_without_a_number(tmp_path, shape):
    np.savez(tmp_path / "x.npz", x=np.zeros(shape), y=np.arange(shape[0]) % 2)
    refused(r"x.npz: x must have an example, and each of them a number, got shape \(\d+, \d\)",
            tmp_path / "x.npz")  # fmt: skip
