"""Tables that are larger than memory: read in pieces, they are what they are as a whole."""

import json
import resource

import numpy as np
import pytest

from backlit import recipes
from backlit.data import TableStream
from backlit.errors import ArgumentError, DataError
from backlit.recipes import columns, large, large_texts, series
from recipes import kinds


@pytest.fixture
def in_pieces(monkeypatch):
    """Every table is larger than memory, and is read by 70 rows."""
    read_in_pieces(monkeypatch)


def read_in_pieces(monkeypatch):
    for module in (large, large_texts, series):
        monkeypatch.setattr(module, "exceeds_memory", lambda path: True)

    class Pieces(TableStream):
        def __init__(self, *args, **more):
            super().__init__(*args, **more, chunk=70)

    monkeypatch.setattr(large, "TableStream", Pieces)


def test_a_table_in_pieces_is_learned(tmp_path, in_pieces):
    table = kinds.houses(tmp_path / "houses.csv")
    task = recipes.look(table, target="price")
    assert isinstance(task, large.LargeTable)
    said = str(task)
    assert "400 rows, read in pieces: it is larger than memory" in said
    assert "1 number, 2 categories: area, city, heating" in said
    assert "id holds texts, which are not read where a table is larger than memory" in said
    run = task.train(tmp_path / "run", epochs=15, compile=False, progress="quiet")
    assert run.result["test"]["mean absolute error"] < 100
    assert run.evaluate() == pytest.approx(run.result["test"])
    oslo, bergen = (
        run.predict({"area": 100, "city": c, "heating": "gas"}).value for c in ("Oslo", "Bergen")
    )
    assert oslo > bergen
    assert recipes.load(tmp_path / "run").predict({"area": 100, "city": "Oslo", "heating": "gas"})


def test_what_is_learned_is_the_training_rows(tmp_path, in_pieces):
    """Each row lies once in one part, as it would be encoded alone, beside its own answer."""
    rows = [[i % 97 + 0.5, "abc"[i % 3], i, "", i * 2.0 if i % 50 else ""] for i in range(300)]
    path = kinds.write(tmp_path / "t.csv", ["x", "kind", "row", "empty", "y"], rows)
    task = recipes.look(path, target="y")
    assert "6 rows have no y and are left out" in task.warnings
    assert "row counts the rows and is left out" in task.warnings
    assert "empty is empty and is left out" in task.warnings
    found = task.split(task.settings)
    known = [r for r in rows if r[4] != ""]
    parts = task.parts(task.settings)
    assert parts.sizes == found.sizes
    form = parts.form
    trained = np.array([known[i][0] for i in found.training])
    (kept,) = [c for c in form.encoding["columns"] if c["name"] == "x"]
    assert kept["scale"][:2] == pytest.approx([trained.mean(), trained.std()])
    for dataset, numbers in ((parts.training, found.training), (parts.test, found.test)):
        for example, number in zip(dataset, numbers.tolist(), strict=True):
            x, y = (t.numpy() for t in example)
            alone = form.encode([{"x": known[number][0], "kind": known[number][1]}])[0]
            assert x == pytest.approx(alone[0])
            assert y == pytest.approx(form.target.encode(np.array([[known[number][4]]]))[0])


def test_classes_labels_and_groups_in_pieces(tmp_path, in_pieces):
    rows = [[i % 31, "late" if i > 200 else "ok no".split()[i % 2], i % 2, int(i % 3 == 0), i // 10]
            for i in range(300)]  # fmt: skip
    path = kinds.write(tmp_path / "t.csv", ["x", "class", "even", "third", "who"], rows)
    task = recipes.look(path, target="class", drop=["even", "third"], group="who")
    assert task.target.names == ("late", "no", "ok")
    answers = [r[1] for r in rows]
    assert [task.target.names[i] for i in task.answers] == answers
    found = task.split(task.settings)
    assert not {*(found.training // 10)} & {*(found.test // 10)}
    labels = recipes.look(path, target=["even", "third"], drop=["class", "who"])
    assert labels.parts(labels.settings).training[0][1].shape == (2,)
    with pytest.raises(ArgumentError, match=r"t.csv: group must be one of .*got 'whom'"):
        recipes.look(path, target="class", group="whom")
    words = kinds.write(tmp_path / "w.csv", ["name", "y"], [[f"a {i}", i] for i in range(90)])
    with pytest.raises(DataError, match="at least one column besides y must say something, but "
                       "name holds texts"):  # fmt: skip
        recipes.look(words, target="y")


@pytest.mark.parametrize("ending", ["csv", "jsonl"])
def test_texts_in_pieces_are_learned_as_they_are_as_a_whole(tmp_path, monkeypatch, ending):
    table = kinds.tweets(tmp_path / "tweets.csv")
    rows = [line.split(",") for line in table.read_text().splitlines()[1:]]
    if ending == "jsonl":
        table = tmp_path / "tweets.jsonl"
        records = [{"id": int(n), "text": text, "mood": mood} for n, text, mood in rows]
        table.write_text("\n".join(map(json.dumps, [*records, {"text": "who knows?"}])))
    whole = recipes.look(table, target="mood")
    read_in_pieces(monkeypatch)
    task = recipes.look(table, target="mood")
    assert isinstance(task, large_texts.LargeText)
    assert f"{len(rows) + (ending == 'jsonl')} rows, read in pieces: it is larger than" in str(task)
    assert "id: left out beside the text" in task.warnings
    assert dict(task.found)["texts"] == dict(whole.found)["texts"]
    assert dict(task.found)["classes"] == dict(whole.found)["classes"]
    assert task.settings == whole.settings
    parts, found = task.parts(task.settings), task.split(task.settings)
    form = parts.form
    assert form == whole.learn(found.training, whole.settings)
    for dataset, numbers in ((parts.training, found.training), (parts.test, found.test)):
        for example, number in zip(dataset, numbers.tolist(), strict=True):
            x, y = (t.numpy() for t in example)
            assert np.array_equal(x, form.encode([rows[number][1]])[0][0])
            assert form.target.names[int(y)] == rows[number][2]
    (tmp_path / "run").mkdir()
    run = task.train(tmp_path / "run", epochs=2, compile=False, progress="quiet")
    assert run.evaluate() == pytest.approx(run.result["test"])


def test_a_series_in_pieces_is_what_it_is_as_a_whole(tmp_path, monkeypatch):
    path = kinds.power(tmp_path / "power.csv")
    whole = recipes.look(path, target="load")
    read_in_pieces(monkeypatch)
    task = recipes.look(path, target="load")
    assert isinstance(task, series.LargeSeries)
    assert task.found == [("table", "read in pieces: it is larger than memory"), *whole.found]
    assert np.array_equal(task.rows, whole.rows)
    parts = task.parts({**task.settings, "horizon": 2})
    rows, window = parts.form.scaled(whole.rows), task.settings["window"]
    x, y = parts.test[len(parts.test) - 1]
    assert np.array_equal(x.numpy(), rows[-2 - window : -2])
    assert np.array_equal(y.numpy(), rows[-2:, 0])


def test_a_text_without_a_word_and_a_field_that_comes_late(tmp_path, in_pieces):
    records = [{"text": f"so good day {i}", "label": "ab"[i % 2]} for i in range(80)]
    records[50]["text"] = "  "
    (tmp_path / "e.jsonl").write_text("\n".join(map(json.dumps, records)))
    with pytest.raises(DataError, match=r"e.jsonl:51: every text must have a word, got '  '"):
        recipes.look(tmp_path / "e.jsonl")
    records[50]["text"], records[75]["late"] = "and then", 1
    (tmp_path / "x.jsonl").write_text("\n".join(map(json.dumps, records)))
    with pytest.raises(DataError, match=r"x.jsonl:76: the field 'late' must be in one of the first "
                       r"70 records"):  # fmt: skip
        recipes.look(tmp_path / "x.jsonl")


def test_a_limit_of_memory_counts(tmp_path, monkeypatch):
    path = kinds.houses(tmp_path / "houses.csv")
    assert not columns.exceeds_memory(path)
    limit = 19 * path.stat().st_size
    monkeypatch.setattr(resource, "getrlimit", lambda kind: (limit, limit))
    assert columns.exceeds_memory(path)
    assert isinstance(recipes.look(path, target="price"), large.LargeTable)
    with pytest.raises(DataError, match=r"houses.csv: a table of 0.0 GB needs about"):
        columns.read_table(path)


def test_a_stream_of_chosen_rows(tmp_path):
    rows = [[i, "ab"[i % 2]] for i in range(100)]
    stream = TableStream(kinds.write(tmp_path / "t.csv", ["x", "y"], rows), chunk=30)
    chosen = np.arange(100) % 7 == 0
    chosen[30:60] = False
    found = [v for table in stream.where(chosen) for v in table.columns["x"].values.tolist()]
    assert found == np.flatnonzero(chosen).tolist()
