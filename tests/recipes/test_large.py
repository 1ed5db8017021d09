"""Tables that are larger than memory: read in pieces, they are what they are as a whole."""

import resource

import numpy as np
import pytest

from backlit import recipes
from backlit.data import TableStream
from backlit.errors import ArgumentError, DataError
from backlit.recipes import columns, large
from recipes import kinds


@pytest.fixture
def in_pieces(monkeypatch):
    """Every table is larger than memory, and is read by 70 rows."""
    monkeypatch.setattr(large, "exceeds_memory", lambda path: True)

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
    words = kinds.write(tmp_path / "w.csv", ["text", "y"], [[f"a b {i}", i] for i in range(90)])
    with pytest.raises(DataError, match="at least one column besides y must say something, but "
                       "text holds texts"):  # fmt: skip
        recipes.look(words, target="y")


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
