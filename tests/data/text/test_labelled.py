"""Texts with their classes, from each kind of place."""

import gzip

import numpy as np
import pytest

from backlit.data.text import (
    CharTokenizer,
    LabelledText,
    TextDataset,
    WordTokenizer,
    read_labelled_texts,
)
from backlit.errors import DataError, MissingFileError
from sampling import every

CSV = 'id,text,label\n1,"Good, really",yes\n\n2,"two\nlines",no\n3,Bad,no\n'


def texts(tmp_path, name, content, **options):
    path = tmp_path / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return read_labelled_texts(path, **options)


def test_the_same_texts_from_a_table_or_from_json(tmp_path):
    want = [("Good, really", ("yes",)), ("two\nlines", ("no",)), ("Bad", ("no",))]
    tabbed = 'label\ttext\nyes\tGood, really\nno\t"two\nlines"\nno\tBad\n'
    lines = '{"text": "Good, really", "label": "yes"}\n{"label": "no", "text": "two\\nlines"}\n'
    lines += '{"text": "Bad", "label": ["no"]}\n'
    for name, content in (
        ("a.csv", CSV),
        ("a.CSV", "\ufeff" + CSV.replace("\n", "\r\n")),
        ("a.csv.gz", gzip.compress(CSV.encode())),
        ("a.tsv", tabbed),
        ("a.jsonl", lines),
    ):
        found = texts(tmp_path, name, content)
        assert [(t.text, t.labels) for t in found] == want, name
    places = [t.place.rpartition("/")[2] for t in texts(tmp_path, "a.csv", CSV)]
    assert places == ["a.csv:2", "a.csv:5", "a.csv:6"]


def test_a_folder_for_each_class(tmp_path):
    for name in ("no/b.txt", "yes/a.txt", "yes/c.txt", ".git/x.txt", "yes/.hidden.txt", "yes/n.md"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)
    found = read_labelled_texts(tmp_path)
    assert [(t.text, t.labels) for t in found] == [
        ("no/b.txt", ("no",)),
        ("yes/a.txt", ("yes",)),
        ("yes/c.txt", ("yes",)),
    ]
    assert found[1].place == str(tmp_path / "yes" / "a.txt")
    unlabelled = read_labelled_texts(tmp_path / "yes", label=None)
    assert [(t.text, t.labels) for t in unlabelled] == [("yes/a.txt", ()), ("yes/c.txt", ())]
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"empty must have at least one file \*\.txt, but has none"):
        read_labelled_texts(tmp_path)
    with pytest.raises(DataError, match="must have a folder for each class, but has none; with"):
        read_labelled_texts(tmp_path / "yes")
    with pytest.raises(DataError, match="at least one text, but has none"):
        read_labelled_texts(tmp_path / "empty", label=None)
    (tmp_path / "empty" / "e.txt").write_text("")
    with pytest.raises(DataError, match=r"e\.txt is empty"):
        read_labelled_texts(tmp_path)


def test_several_labels(tmp_path):
    found = texts(tmp_path, "a.csv", "text,label\nx,a; b\ny,\n", separator=";")
    assert [t.labels for t in found] == [("a", "b"), ()]
    found = texts(
        tmp_path, "a.jsonl", '{"text": "x", "label": [1, "b"]}\n{"text": "y", "label": []}'
    )
    assert [t.labels for t in found] == [("1", "b"), ()]
    data = TextDataset(found, CharTokenizer.train("xy"), multi_label=True)
    assert [target.tolist() for _, target in data] == [[1, 1], [0, 0]]
    assert data[0][1].dtype == np.float32


@every(
    "name content options said",
    [
        (
            "a.csv",
            "text,lable\nx,y\n",
            {},
            r"the column 'label', but has 'text', 'lable'; did you m",
        ),
        ("a.csv", "", {}, r"a\.csv must have at least one record, but is empty"),
        ("a.csv", "text,text,label\n", {}, "columns must have different names, got text twice"),
        ("a.csv", "text,label\n", {}, r"a\.csv must have at least one text, but has none"),
        ("a.csv", "text,label\nx,y\nx,y,z\n", {}, r"a\.csv:3: each record must have 2 fields"),
        ("a.csv", "text,label\nx\n", {}, r"a\.csv:2: each record must have 2 fields"),
        ("a.csv", 'text,label\n"x,y\nz', {}, r"a\.csv:3: the record cannot be split: unex"),
        ("a.csv", 'text,label\n"x"z,y\n', {}, r"a\.csv:2: the record cannot be split: ',' "),
        ("a.csv", "text,label\nx, \n", {}, r"a\.csv:2 must have a label, but has none"),
        ("a.csv", "text,label\nx,ö\n".encode("latin-1"), {}, r"a\.csv:2: byte 0xf6 after 2 others"),
        ("a.csv", "text,label\nx,y\n", {"text": "tweet"}, "the column 'tweet', but has"),
        ("a.txt", "x", {}, r"must be a folder, or a file \.csv, \.tsv, \.jsonl or \.ndjson"),
        (
            "a.jsonl",
            '{"txt": "x"}',
            {},
            r"a\.jsonl:1 must have the field 'text', but has 'txt'; na",
        ),
        ("a.jsonl", '{"text": "x", "label": null}', {}, "must have the field 'label'"),
        ("a.jsonl", '{"text": 3, "label": 1}', {}, r":1: the field 'text' must be a text, got 3"),
        ("a.jsonl", '{"text": "x", "label": 0.5}', {}, "must be a text, an integer or a list of"),
        ("a.jsonl", '{"text": "x", "label": [""]}', {}, "must be a text, an integer or a list of"),
        ("a.jsonl", "{}{", {}, r"a\.jsonl:1:3 must be JSON"),
    ],
)
def test_what_is_wrong_and_where(name, content, options, said, tmp_path):
    with pytest.raises(DataError, match=said):
        texts(tmp_path, name, content, **options)


def test_a_field_may_be_a_book(tmp_path):
    (found,) = texts(tmp_path, "a.csv", "text,label\n" + "x" * 200_000 + ",y\n")
    assert len(found.text) == 200_000
    with pytest.raises(MissingFileError, match="cannot be read: No such file"):
        read_labelled_texts(tmp_path / "none.csv")


# -- the dataset --------------------------------------------------------------------------------


def test_texts_as_numbers_with_their_class():
    train = [LabelledText("a b b", ("y",)), LabelledText("b", ("x",))]
    data = TextDataset(train, WordTokenizer.train(t.text for t in train))
    assert (data.classes, data.lengths) == (["x", "y"], [3, 1])
    numbers, label = data[-2]
    assert (numbers.tolist(), numbers.dtype, label) == ([3, 2, 2], np.int64, 1)
    other = TextDataset([LabelledText("c a b", ("y",))], data.tokenizer, data.classes, length=3)
    assert other[0][0].tolist() == [1, 3, 2]
    plain = TextDataset([LabelledText("a")], data.tokenizer, data.classes)
    assert [len(example) for example in plain] == [1]
    assert repr(data) == "TextDataset(2 texts, 2 classes)"


def test_what_is_wrong_with_a_text():
    letters = CharTokenizer.train("ab")
    with pytest.raises(DataError, match=r"t\.csv:3 must have one label, got 2; multi_label=True"):
        TextDataset([LabelledText("a", ("x", "y"), "t.csv:3")], letters)
    with pytest.raises(DataError, match="must have one label, got 0"):
        TextDataset([LabelledText("a", ("x",)), LabelledText("b")], letters)
    with pytest.raises(DataError, match=r"the label of t\.csv:2: 'z' is none of the 1 token"):
        TextDataset([LabelledText("a", ("z",), "t.csv:2")], letters, ["x"])
    with pytest.raises(DataError, match=r"t\.csv:2 must have at least one token, .* in ''; leave"):
        TextDataset([LabelledText("", ("z",), "t.csv:2")], letters)
    long = [LabelledText("aab", ("x",), "t.csv:2")]
    with pytest.raises(
        DataError, match=r"t\.csv:2 must have at most length=2 tokens, got 3; trunc"
    ):
        TextDataset(long, letters, length=2)
    assert TextDataset(long, letters, length=2, truncate=True)[0][0].tolist() == [0, 0]
