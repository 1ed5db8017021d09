"""The small dirt of real data: what is read in spite of it, what is said, what must be asked."""

import math
from dataclasses import replace

import numpy as np
import pytest

from backlit import recipes
from backlit.data import Table
from backlit.errors import ArgumentError, DataError
from backlit.recipes.targets import number_text
from recipes import kinds


def said(task):
    """All that a look says."""
    return str(task)


# -- tables -----------------------------------------------------------------------------------

SENSORS = "id;Zeit;Last;Gerät;Status\r\n" + "".join(
    f"{i};{1 + i % 28:02}.03.2024 0{i % 9}:30;{'1.0' if i % 2 else ''}{10 + i:02},5;A{i % 3};"
    f"{'ok' if i % 4 else 'Störung'}\r\n"
    for i in range(60)
)


def test_a_table_as_spreadsheets_of_other_countries_write_it(tmp_path):
    path = tmp_path / "s.csv"
    path.write_bytes(b"\xef\xbb\xbf" + SENSORS.encode())
    task = recipes.look(path, target="Status")
    table = task.raw
    assert {n: c.kind for n, c in table.columns.items()} == {
        "Zeit": "date", "Last": "number", "Gerät": "category", "Status": "category",
    }  # fmt: skip
    assert table[0]["Last"] == 10.5
    assert table[1]["Last"] == 1011.5
    assert table[1]["Zeit"].isoformat() == "2024-03-02T01:30:00"
    assert "id counts the rows and is left out" in task.warnings
    path.write_text(SENSORS, "latin-1")
    with pytest.raises(DataError, match='it may be --encoding "cp1252"'):
        recipes.look(path, target="Status")
    assert recipes.look(path, target="Status", encoding="latin-1").raw[0]["Gerät"] == "A0"


def test_points_stay_points_where_no_comma_is(tmp_path):
    path = tmp_path / "s.csv"
    path.write_text("a;b;label\n" + "".join(f"1.{i:03};{i},5;{i % 2}\n" for i in range(30)))
    table = recipes.look(path).raw
    assert table[7]["a"] == 1.007
    assert table[7]["b"] == 7.5
    with pytest.raises(DataError, match="got '0,5'; pass decimal=\",\""):
        Table(path, decimal=".")  # which is told


def test_a_cure_is_an_option(tmp_path):
    rows = [["broken" if i == 5 else i, i % 3, i % 2] for i in range(60)]
    path = kinds.write(tmp_path / "t.csv", ["x", "zip", "label"], rows)
    cure = "t.csv:7: column 'x' .* got 'broken'; correct it, or say --missing 'broken', or "
    with pytest.raises(DataError, match=cure + "--category 'x'"):
        recipes.look(path)
    task = recipes.look(path, missing="broken", category="zip")
    assert task.raw.columns["zip"].kind == "category"
    assert "missing: x in 1" in said(task)
    parts = task.parts(task.settings)
    again = parts.form.of(parts.form.state())  # as a run on the disk has it
    other = kinds.write(tmp_path / "new.csv", ["x", "zip"], [["broken", 1], [3, 2]])
    assert again.read(other)[0][1]["x"] is None
    with pytest.raises(ArgumentError, match=r"decimal must be one of \., ,, got ':'"):
        recipes.look(path, decimal=":")
    with pytest.raises(ArgumentError, match="missing has no meaning for xor"):
        recipes.look("xor", missing="x")


def test_copies_of_rows_hide_no_number_of_rows(tmp_path):
    rows = [[i, math.sin(i), i * i] for i in range(60)]
    path = kinds.write(tmp_path / "t.csv", ["id", "x", "price"], rows + rows[:2])
    task = recipes.look(path, target="price")
    assert task.features == ["x"]
    assert "id counts the rows" in said(task)
    prices = kinds.write(
        tmp_path / "p.csv", ["n", "x", "y"], [[i * i, i % 7, i] for i in range(60)]
    )
    assert recipes.look(prices, target="y").features == ["n", "x"]  # whole, with gaps


@pytest.mark.parametrize("ends", ["\n", "\r\n"])
def test_lines_of_a_text_and_its_class(tmp_path, ends):
    path = tmp_path / "dna.txt"
    bases = ["ACGT" * 3 + "ACGT"[i % 4] * (i // 4 + 1) for i in range(40)]
    path.write_bytes("".join(f"{b}\t{'-+'[i % 2]}{ends}" for i, b in enumerate(bases)).encode())
    task = recipes.look(path)
    assert (task.kind, task.unit, len(task.raw)) == ("text", "signs", 40)
    assert task.target.labels == ("+", "-")
    assert recipes.look(path, kind="corpus").kind == "corpus"


def test_rows_without_a_text_are_told(tmp_path):
    rows = [["" if i < 2 else f"a b c {i}", i % 2] for i in range(60)]
    task = recipes.look(kinds.write(tmp_path / "t.csv", ["text", "label"], rows))
    assert "2 rows have no text and are left out" in task.warnings


def test_gaps_and_copies_in_a_series(tmp_path):
    rows = [
        [f"{1 + i // 24}.1.2024 {i % 24:02}:00", "" if i in (0, 9) else 2 * i] for i in range(96)
    ]
    path = kinds.write(tmp_path / "s.csv", ["time", "load"], [*rows, rows[40]])
    with pytest.raises(DataError, match=r"load must have a finite value.*fill it in \(--fill prev"):
        recipes.look(path)
    task = recipes.look(path, fill="previous")
    assert len(task.rows) == 96
    assert task.rows[[0, 9, 10], 0].tolist() == [2, 16, 20]
    assert recipes.look(path, fill="linear").rows[9, 0] == 18
    assert "load in 2 of 96 rows; previous fill" in said(task)
    assert "left out: 1" in said(task)
    form = task.parts(task.settings).form
    assert len(form.read(path)) == 1
    bare = replace(form, dialect={})  # which fills nothing: only the last rows count
    assert np.array_equal(bare.read(path)[0][1], form.read(path)[0][1])
    kinds.write(path, ["time", "load"], [[t, i] for i, (t, _) in enumerate(rows) if i != 50])
    assert "steps of time are missing in 1 place" in said(recipes.look(path))


# -- pictures ---------------------------------------------------------------------------------


def test_damaged_pictures_can_be_left_out(tmp_path):
    photos = kinds.photographs(tmp_path / "photos", n=20)
    (photos / "sea" / "001.png").write_bytes(b"")
    cut = photos / "sea" / "003.png"
    cut.write_bytes(cut.read_bytes()[:200])
    with pytest.raises(DataError, match=r"001.png is empty.*--skip-damaged leaves such"):
        recipes.look(photos)
    task = recipes.look(photos, skip_damaged=True)
    whole = len(list(photos.rglob("*.png")))
    assert len(task.raw) == whole - 2
    assert "001.png is empty" in said(task)
    assert "(and 1 more)" in said(task)
    task.parts(task.settings)


def pictures(folder, n=24):
    from PIL import Image

    folder.mkdir(parents=True)
    for i in range(n):
        ending = ".JPG" if i % 2 else ".png"
        Image.new("RGB", (8, 8), (10 * i, 0, 0)).save(folder / f"{i:03}{ending}")


def test_a_table_beside_a_folder_of_pictures(tmp_path):
    pictures(tmp_path / "set" / "images")
    tags = [[f"{i:03}", " ".join(["warm"] * (i % 2) + ["dim"] * (i % 3 == 0))] for i in range(24)]
    kinds.write(tmp_path / "set" / "train.csv", ["image_name", "tags"], tags)
    task = recipes.look(tmp_path / "set")
    assert task.target.labels == ("dim", "warm")
    assert len(task.raw) == 24
    assert task.answers[3].split() == ["warm", "dim"]
    assert task.answers[2] == ""
    assert "8 pictures without tags" in task.warnings
    assert recipes.look(task.source.dataset).kind == "images"  # as a run looks at it again
    with pytest.raises(ArgumentError, match="label_smoothing has no meaning for set"):
        task.set(label_smoothing=0.1)


def test_columns_that_say_of_each_label_whether_it_is_there(tmp_path):
    pictures(tmp_path / "images")
    rows = [[f"images/{i:03}.{'JPG' if i % 2 else 'png'}", i % 2, int(i < 9)] for i in range(24)]
    path = kinds.write(tmp_path / "labels.csv", ["path", "warm", "third; or so"], rows)
    task = recipes.look(path)
    assert task.target.names == ("warm", "third; or so")
    assert task.target.encode(task.answers).tolist() == [[r[1], r[2]] for r in rows]
    assert recipes.look(path, target="warm").target.labels == ("0", "1")
    with pytest.raises(ArgumentError, match="target must be one of warm, third; or so, got 'wram'"):
        recipes.look(path, target=["wram", "warm"])


# -- words with tags, arrays, settings --------------------------------------------------------


def test_files_as_conll_names_them(tmp_path):
    def write(name, n, encoding="utf-8"):
        sentence = "Jörg I-PER\nin O\nKöln I-LOC\n\n"
        (tmp_path / name).write_text(sentence * n, encoding)

    for name, n in (("deu.train", 8), ("deu.testa", 3), ("deu.testb", 2)):
        write(name, n)
    (tmp_path / "README.txt").write_text("what this is\n")
    task = recipes.look(tmp_path)
    assert task.split(task.settings).sizes == (8, 3, 2)
    write("deu.train", 8, "latin-1")
    with pytest.raises(DataError, match="give --encoding 'latin-1'"):
        recipes.look(tmp_path / "deu.train")
    assert recipes.look(tmp_path / "deu.train", encoding="latin-1").raw[0][2] == "Köln"


def test_longer_sentences_than_those_that_trained(tmp_path):
    path = tmp_path / "a.conll"
    path.write_text("".join(f"Ann{i} B-PER\nsat O\n\n" for i in range(30)))
    task = recipes.look(path)
    form = task.parts(task.settings).form
    words = "Ann1 sat " * 20
    found = form.predict(form.network(task.settings).eval(), words)
    assert found[0][0] == words.strip()


def test_an_archive_is_predicted(tmp_path):
    x = np.arange(120.0).reshape(40, 3)
    np.savez(tmp_path / "a.npz", x=x, y=np.arange(40) % 2, mean=np.zeros(5))
    task = recipes.look(tmp_path / "a.npz")
    form = task.parts(task.settings).form
    assert len(form.read(tmp_path / "a.npz")) == 40
    np.savez(tmp_path / "b.npz", y=np.arange(4))
    with pytest.raises(DataError, match=r"one array of the shape \(3\), or \(N, 3\), got none"):
        form.read(str(tmp_path / "b.npz"))


def test_settings_that_the_loss_does_not_have(tmp_path):
    rows = [[i, i % 7, i / 3] for i in range(60)]
    path = kinds.write(tmp_path / "t.csv", ["a", "b", "price"], rows)
    task = recipes.look(path, target="price")
    for name, value in (("label_smoothing", 0.1), ("balance", True)):
        with pytest.raises(ArgumentError, match=f"{name} has no meaning for t.csv"):
            task.set(**{name: value})


def test_groups_that_are_too_few(tmp_path):
    rows = [[i * 1.5, i % 2, f"g{i % 4}"] for i in range(60)]
    path = kinds.write(tmp_path / "t.csv", ["x", "label", "who"], rows)
    task = recipes.look(path, group="who")
    with pytest.raises(DataError, match=r"60 examples in 4 groups .* at least 3 groups of a cl"):
        task.parts(task.settings)


def test_numbers_as_people_read_them():
    assert [number_text(v, 4) for v in (51550.2, 11.345, 0.00012)] == ["51,550", "11.35", "0.00012"]
