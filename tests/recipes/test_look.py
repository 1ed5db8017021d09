"""What a look at data understands: its kind, its parts, what is odd about it."""

import json
import sys

import numpy as np
import pytest

from backlit import recipes
from backlit.errors import ArgumentError, DataError, MissingDependencyError
from backlit.recipes.job import Job
from recipes import kinds


def sizes(task, **more):
    return task.parts({**task.settings, **more}).sizes


def test_records_of_json(tmp_path):
    rows = [
        {"text": f"some words here {i}", "by": {"age": i}, "mood": "ab"[i % 2]} for i in range(40)
    ]
    path = tmp_path / "x.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)))
    task = recipes.look(path, target="mood")
    assert task.kind == "text"
    assert any("by.age: left out beside the text" in w for w in task.warnings)
    task = recipes.look(path, target="by.age", drop="text")
    assert task.kind == "table"
    form = task.parts(task.settings).form
    assert len(form.read(path)) == 40


def test_arrays_of_hdf5(tmp_path):
    h5py = pytest.importorskip("h5py", reason="h5py comes with the extra hdf5")
    x, y = np.random.default_rng(0).normal(size=(60, 3, 20)), np.arange(60) % 3
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file["signals"], file["label"] = x, y
    task = recipes.look(tmp_path / "x.h5")
    assert task.reading == "sequence"
    assert sizes(task) == (48, 6, 6)
    (tmp_path / "broken.h5").write_bytes(b"\x89HDF\r\n\x1a\nrubbish")
    with pytest.raises(DataError, match=r"broken.h5 is not a whole HDF5"):
        recipes.look(tmp_path / "broken.h5")


def test_arrays_in_parts_and_in_a_folder(tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(60, 3, 20)), np.arange(60) % 3
    np.savez(tmp_path / "x.npz", x_train=x[:40], y_train=y[:40], x_test=x[40:], y_test=y[40:])
    task = recipes.look(tmp_path / "x.npz")
    assert sizes(task) == (37, 3, 20)
    folder = tmp_path / "arrays"
    folder.mkdir()
    np.save(folder / "x.npy", rng.normal(size=(40, 5)))
    np.save(folder / "y.npy", rng.normal(size=(40, 2)))
    task = recipes.look(folder)
    assert (task.reading, task.target.width) == ("features", 2)
    (tmp_path / "x.h5").touch()
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'backlit\[hdf5\]'"):
        recipes.look(tmp_path / "x.h5")


def test_answers_as_rows_of_0_and_1_are_classes_or_labels(tmp_path):
    x, y = np.random.default_rng(0).normal(size=(60, 5)), np.eye(3)[np.arange(60) % 3]
    np.savez(tmp_path / "one.npz", x=x, y=y)
    task = recipes.look(tmp_path / "one.npz")
    assert (task.target.kind, task.answers[:4]) == ("classes", ["0", "1", "2", "0"])
    y[::2, 0] = 1
    y[5] = 0
    np.savez(tmp_path / "many.npz", x=x, y=y)
    task = recipes.look(tmp_path / "many.npz")
    assert (task.target.kind, task.target.names) == ("labels", ("0", "1", "2"))
    assert task.target.encode(task.answers).tolist() == y.tolist()


def test_records_that_lack_a_field_lack_a_value(tmp_path):
    rows = [{"x": i % 7, "label": "ab"[i % 2], **({"z": i} if i % 3 else {})} for i in range(60)]
    (tmp_path / "x.jsonl").write_text("\n".join(map(json.dumps, rows)))
    task = recipes.look(tmp_path / "x.jsonl")
    assert "values are missing: z in 20 of 60 rows; the mean stands there" in task.warnings


def test_folders_of_parts_and_copies_across_them(tmp_path):
    photos = kinds.photographs(tmp_path / "all", n=20)
    for part, name in (("train", "sea"), ("train", "sunset"), ("test", "sea"), ("test", "sunset")):
        (tmp_path / "set" / part / name).mkdir(parents=True)
    for number, file in enumerate(sorted(photos.rglob("*.png"))):
        part = "test" if number % 5 == 0 else "train"
        file.rename(tmp_path / "set" / part / file.parent.name / file.name)
    copied = next((tmp_path / "set" / "train" / "sea").iterdir())
    (tmp_path / "set" / "test" / "sea" / "copy.png").write_bytes(copied.read_bytes())
    task = recipes.look(tmp_path / "set")
    assert sizes(task, size=8)[2] == 5
    assert "1 picture of the test is a copy of a trained one" in task.warnings


def test_texts_in_folders(tmp_path):
    for number in range(20):
        file = tmp_path / "mail" / ("ham", "spam")[number % 2] / f"{number}.txt"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"a mail with words {number}")
    task = recipes.look(tmp_path / "mail")
    assert (task.kind, task.target.names) == ("text", ("ham", "spam"))


def test_what_is_odd_about_a_table(tmp_path):
    rows = [[i, i % 2, 7, i % 3 or "", "ok" if i % 20 else "rare", i % 2 + 5] for i in range(100)]
    table = kinds.write(tmp_path / "t.csv", ["row", "code", "same", "gap", "class", "twin"], rows)
    task = recipes.look(table, target="code")
    assert "row counts the rows and is left out" in task.warnings
    assert "same never changes and is left out" in task.warnings
    assert (
        "twin alone says what code is: if it is not known beforehand, --drop twin" in task.warnings
    )
    assert any(w.startswith("values are missing: gap in 34 of 100 rows") for w in task.warnings)
    assert "only 9 of 100 rows differ; equal ones are in several parts" in task.warnings
    rows = [[i, i % 7, "ab"[i % 2]] for i in range(60)] + [
        [i, i % 7, "ab"[i % 2]] for i in range(5)
    ]
    again = kinds.write(tmp_path / "again.csv", ["x", "z", "class"], rows)
    assert "5 rows are like others; copies stay in one part" in recipes.look(again).warnings
    task = recipes.look(table, target="class", drop=["twin", "code"])
    assert any("95 of ok, 5 of rare; --balance" in w for w in task.warnings)


def test_nothing_is_odd_about_a_plain_table(tmp_path):
    """Numbers that tell classes apart well are no leak, different values of a number no rows."""
    rng = np.random.default_rng(0)
    rows = [
        [rng.normal(3 * (i % 2)), rng.integers(0, 9999), "xyz"[i % 3], "ab"[i % 2]]
        for i in range(80)
    ]
    task = recipes.look(kinds.write(tmp_path / "t.csv", ["a", "b", "c", "class"], rows))
    assert task.warnings == []


def test_nothing_of_the_other_parts_is_learned(tmp_path):
    """What a form knows is the training part's, whatever the rest is."""
    table = kinds.houses(tmp_path / "t.csv", n=200)
    task = recipes.look(table, target="price")
    split = task.split(task.settings)
    form = task.parts(task.settings).form
    assert form.target.mean[0] == pytest.approx(task.answers[split.training].mean())
    area = task.raw.columns["area"].values[split.training]
    (kept,) = [c for c in form.encoding["columns"] if c["name"] == "area"]
    assert kept["scale"][:2] == pytest.approx([area.mean(), area.std()])


def test_a_form_is_read_back_as_it_was(tmp_path):
    for data, target in (
        (kinds.tweets(tmp_path / "t.csv"), "mood"),
        (kinds.names(tmp_path / "n.conll"), None),
    ):
        task = recipes.look(data, target=target)
        form = task.parts(task.settings).form
        assert type(form).of(json.loads(json.dumps(form.state()))) == form


def test_the_files_of_cifar(tmp_path):
    rng = np.random.default_rng(0)
    for name, n in (("data_batch_1.bin", 30), ("test_batch.bin", 10)):
        rows = rng.integers(0, 256, (n, 3073), dtype=np.uint8)
        rows[:, 0] = np.arange(n) % 10
        (tmp_path / name).write_bytes(rows.tobytes())
    task = recipes.look("CIFAR10", data=tmp_path)
    parts = task.parts(task.settings)
    assert parts.sizes == (27, 3, 10)
    assert parts.form.target.names[0] == "airplane"
    assert parts.training[0][0].shape == (3, 32, 32)
    plain = task.parts({**task.settings, "augment": False}).training
    assert np.array_equal(plain[0][0].numpy(), plain[0][0].numpy())
    with pytest.raises(ArgumentError, match="cifar10 needs --data DIR, a folder with data_batch_1"):
        recipes.look("cifar10").parts(task.settings)


def test_a_list_of_names_is_shuffled_and_verse_is_not(tmp_path):
    names, verse = tmp_path / "names.txt", tmp_path / "verse.txt"
    names.write_text("".join(f"name{i}\n" for i in range(99)))
    verse.write_text("".join(f"a line of verse, number {i}\n\n" for i in range(99)))
    assert "the lines are shuffled" in str(recipes.look(names))
    assert "the last parts of the text are the test" in str(recipes.look(verse))


def labelled(path, n=120):
    """Rows with three labels, of which one is said in words and one may be missing."""
    rng = np.random.default_rng(0)
    rows = []
    for i in range(n):
        hot, loud = rng.integers(0, 2, 2)
        old = "" if i % 40 == 0 else ("No", "Yes")[i % 2]
        said = f"{'it burns' if hot else 'all is cool'} {'and howls' if loud else 'without sound'}"
        rows.append([f"{rng.normal(2 * hot):.3f}", f"{rng.normal(2 * loud):.3f}", i % 2 + i % 3,
                     said + f" {i}", hot, loud, old])  # fmt: skip
    return kinds.write(path, ["heat", "noise", "age", "text", "hot", "loud", "old"], rows)


def test_several_labels_of_rows_and_of_texts(tmp_path):
    path = labelled(tmp_path / "t.csv")
    targets = ["hot", "loud", "old"]
    table = recipes.look(path, target=targets, drop="text")
    assert table.kind == "table"
    assert table.target.names == tuple(targets)
    assert "3 rows have no hot or no loud or no old and are left out" in " ".join(table.warnings)
    answers = table.parts(table.settings).training[0][1]
    assert answers.shape == (3,)
    whole = table.target.encode(table.answers)
    assert whole[:, 2].tolist() == [float(i % 2) for i in range(120) if i % 40]
    text = recipes.look(path, target=targets, drop=["heat", "noise", "age"])
    assert (text.kind, text.target.width) == ("text", 3)
    run = table.train(tmp_path / "run", epochs=20, lr=0.02, compile=False, progress="quiet")
    assert run.predict({"heat": 5, "noise": -5, "age": 0}).shares["hot"] > 0.5
    assert run.predict({"heat": -5, "noise": 5, "age": 0}).shares["hot"] < 0.5


def test_several_numbers_of_rows(tmp_path):
    rows = [[i % 17, 3 * (i % 17), 100 - i % 17, i % 2] for i in range(80)]
    path = kinds.write(tmp_path / "t.csv", ["a", "thrice", "less", "none"], rows)
    task = recipes.look(path, target=["thrice", "less"])
    assert "target thrice" in str(task)
    run = task.train(tmp_path / "run", epochs=40, compile=False, progress="quiet")
    said = run.predict({"a": 5, "none": 1}).value
    assert said["thrice"] == pytest.approx(15, abs=8)
    assert said["less"] == pytest.approx(95, abs=8)


def test_a_label_of_all_or_of_none_is_told(tmp_path):
    rows = [[i % 17, 1, 0, i % 2] for i in range(80)]
    path = kinds.write(tmp_path / "t.csv", ["a", "always", "never", "half"], rows)
    task = recipes.look(path, target=["always", "never", "half"])
    assert "every example has the label always" in task.warnings
    assert "no example has the label never" in task.warnings


def test_few_scenes_have_larger_shares_which_is_told(tmp_path):
    task = recipes.look(kinds.tiles(tmp_path / "tiles", scenes=9, each=4))
    assert sizes(task) == (12, 12, 12)
    assert "the test has 33 % of the examples, not 10: groups stay whole" in task.warnings
    few = recipes.look(kinds.tiles(tmp_path / "few", scenes=3, each=20), group="none")
    assert sizes(few)[2] == 6
    deep = tmp_path / "deep"
    for file in sorted((tmp_path / "few").rglob("*.png")):
        scene = deep / file.parent.name / file.stem[:7]
        scene.mkdir(parents=True, exist_ok=True)
        (scene / file.name).write_bytes(file.read_bytes())
    free = recipes.look(deep)
    assert sizes(free)[2] == 6
    assert any("folders inside of the classes are fewer than 3 in some" in w for w in free.warnings)
    assert recipes.look(deep, group="none").groups is None
    told = recipes.look(tmp_path / "tiles", group="none")
    assert sizes(told)[2] in (3, 4)
    assert any(w.startswith("tiles of a scene are in several parts") for w in told.warnings)
    with pytest.raises(ArgumentError, match=r"group must be none for pictures in folders .*'city'"):
        recipes.look(deep, group="city")


def test_tiles_that_a_table_names_stay_with_their_scene(tmp_path):
    folder = kinds.tiles(tmp_path / "tiles", scenes=12)
    files = sorted(f.relative_to(folder).as_posix() for f in folder.rglob("*.png"))
    rows = [[f, f.split("/")[0]] for f in files]
    kinds.write(folder / "labels.csv", ["file", "label"], rows)
    task = recipes.look(folder, target="label")
    assert ("scenes", "12; the pictures of one stay in one part") in task.found
    assert recipes.look(folder, target="label", group="none").groups is None


def test_a_class_that_is_not_tested_is_told(tmp_path):
    rows = [[i, i * i % 31, "rare" if i < 2 else "ok no".split()[i % 2]] for i in range(60)]
    task = recipes.look(kinds.write(tmp_path / "t.csv", ["a", "b", "class"], rows))
    sizes(task)
    assert "the test has no example of rare: there are too few" in task.warnings


def test_a_group_that_is_no_column(tmp_path):
    rows = [[f"one two three {i}", i % 2, i % 9] for i in range(60)]
    table = kinds.write(tmp_path / "t.csv", ["text", "label", "author"], rows)
    with pytest.raises(ArgumentError, match=r"t.csv: group must be one of text, label, author, got "
                       "'autor'; did you mean author"):  # fmt: skip
        recipes.look(table, target="label", group="autor")
    assert recipes.look(table, target="label", group="author").groups is not None


def test_dates_with_slashes_are_told_and_kept(tmp_path):
    rows = [[f"{1 + i % 12}/{1 + i % 28}/2024", i % 7, 3 * (i % 7) + i] for i in range(60)]
    path = kinds.write(tmp_path / "t.csv", ["sold", "n", "price"], rows)
    task = recipes.look(path, target="price")
    assert "sold: dates are read as month/day/year" in task.warnings
    form = task.parts(task.settings).form
    assert form.dialect["dates"] == "month-first"
    assert form._table([{"sold": "2/1/2024", "n": 1.0}]).columns["sold"].value(0).month == 2
    assert recipes.look(path, target="price", dates="month-first").warnings == []
    early = kinds.write(tmp_path / "e.csv", ["sold", "n", "price"], [
        [f"{1 + i % 12}/{1 + i % 11}/2024", i % 7, i] for i in range(60)])  # fmt: skip
    says = r"e.csv:13: column 'sold' may have .*say --dates 'day-first', or --dates 'month-first'"
    with pytest.raises(DataError, match=says):
        recipes.look(early, target="price")
    both = kinds.write(tmp_path / "b.csv", ["a", "b", "price"], [
        [f"{1 + i % 12}/{1 + i % 28}/2024", f"{1 + i % 28}/{1 + i % 12}/2024", i]
        for i in range(60)])  # fmt: skip
    with pytest.raises(DataError, match=r"b.csv: dates of a are month-first, those of b day-first; "
                       "write them in one way, or leave one out: --drop b"):  # fmt: skip
        recipes.look(both, target="price")


def test_days_with_slashes_make_a_series(tmp_path):
    days = [np.datetime64("2024-01-01") + i for i in range(90)]
    rows = [[f"{d.item():%d/%m/%Y}", i % 7 + i / 9] for i, d in enumerate(days)]
    task = recipes.look(kinds.write(tmp_path / "t.csv", ["day", "load"], rows), target="load")
    assert task.kind == "series"
    assert "day: dates are read as day/month/year" in task.warnings


def test_months_make_a_series(tmp_path):
    rows = [[f"{1950 + i // 12}-{1 + i % 12:02}", 100 + i % 12] for i in range(120)]
    task = recipes.look(kinds.write(tmp_path / "t.csv", ["month", "guests"], rows))
    assert task.kind == "series"
    assert not any("steps of month are missing" in w for w in task.warnings)
    gap = kinds.write(tmp_path / "g.csv", ["month", "guests"], rows[:50] + rows[51:])
    assert any("steps of month are missing in 1 place" in w for w in recipes.look(gap).warnings)


def test_proteins_are_read_sign_by_sign(tmp_path):
    rng = np.random.default_rng(0)
    letters = list("ACDEFGHIKLMNPQRSTVWY")
    rows = [["".join(rng.choice(letters, 40)), "ab"[i % 2]] for i in range(60)]
    task = recipes.look(kinds.write(tmp_path / "t.csv", ["sequence", "family"], rows),
                        target="family")  # fmt: skip
    assert (task.kind, task.unit) == ("text", "signs")


def test_the_only_folder_in_a_folder_is_opened(tmp_path):
    kinds.photographs(tmp_path / "set" / "2750", n=20)
    task = recipes.look(tmp_path / "set")
    assert task.target.labels == ("sea", "sunset")


def test_words_begin_with_the_vectors_of_a_file(tmp_path):
    rng = np.random.default_rng(0)
    known = {word: rng.normal(size=6) for word in ("love", "hate", "sad", "Köln", "wohnt")}
    lines = [" ".join([word.lower(), *map(str, v)]) for word, v in known.items()]
    (tmp_path / "glove.txt").write_text("\n".join(lines) + "\n", "utf-8")
    for data, target in ((kinds.tweets(tmp_path / "t.csv"), "mood"),
                         (kinds.names(tmp_path / "n.conll"), None)):  # fmt: skip
        task = recipes.look(data, target=target)
        run = Job(task, tmp_path / data.stem, task.set(vectors=str(tmp_path / "glove.txt")))
        ((name, said),) = run.found
        assert name == "vectors"
        assert "glove.txt: vectors of 6 numbers for " in said
        layer = run.model.network.embedding if target else run.model.embeddings[0]
        words = run.form._vocabulary if target else run.form._vocabularies[0]
        there = [word for word in words if word in {w.lower() for w in known}]
        assert there
        for word in there:
            vector = known[word if word in known else word.capitalize()]
            assert layer.weight[words[word]].tolist() == pytest.approx(vector, rel=1e-5)
        assert type(run.form).of(json.loads(json.dumps(run.form.state()))) == run.form
        assert run.form.network(run.settings).state_dict().keys() == run.model.state_dict().keys()
        old = {k: v for k, v in run.form.state().items() if k != "vectors"}
        assert type(run.form).of(old).vectors == 0
    (tmp_path / "net.py").write_text("from backlit import nn\nnet = nn.Linear(1, 1)\n")
    own = task.set(vectors=str(tmp_path / "glove.txt"), model=f"{tmp_path / 'net.py'}:net")
    with pytest.raises(ArgumentError, match=r"vectors have no place in .*net.py:net, a netw"):
        Job(task, tmp_path / "own", own)


def test_batches_of_pictures_by_several_processes_are_the_same(tmp_path):
    task = recipes.look(kinds.photographs(tmp_path / "p", n=30))
    jobs = [Job(task, tmp_path / f"{n}", task.set(workers=n, size=8)) for n in (0, 2)]
    one, other = ([x.numpy() for x, _ in job.loader] for job in jobs)
    assert jobs[1].loader.num_workers == 2
    assert all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))
