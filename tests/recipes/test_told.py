"""What a look and a prediction tell: what is passed over, left out, unknown, or misspelt."""

import warnings

import numpy as np
import pytest
from PIL import Image

from backlit import recipes
from backlit.data import ImageFolder
from backlit.errors import ArgumentError, DataError
from recipes import kinds


def test_gifs_are_pictures_and_what_is_passed_over_is_told(tmp_path):
    rng = np.random.default_rng(0)
    for i in range(24):
        path = tmp_path / "ab"[i % 2] / f"{i}.{('png', 'GIF', 'gif')[i % 3]}"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(rng.integers(0, 255, (12, 12, 3), np.uint8)).save(path)
    assert len(ImageFolder(tmp_path)) == 24
    assert not ImageFolder(tmp_path).check().misnamed
    task = recipes.look(tmp_path)
    assert ("classes", "2: 12 a, 12 b") in task.found
    assert not any("passed over" in w for w in task.warnings)
    (tmp_path / "a" / "0.heic").write_bytes(b"x")
    (tmp_path / "b" / "notes.txt").write_bytes(b"x")
    said = next(w for w in recipes.look(tmp_path).warnings if "passed over" in w)
    first = tmp_path / "a" / "0.heic"
    assert said == (
        f"2 files of classes are passed over, being no picture by name (.heic, .txt, as {first})"
    )


def _passengers(path, n=80):
    rng = np.random.default_rng(0)
    rows = [
        [f"Lee, Mrs. No{i}", ("male", "female")[i % 2], 20 + i % 37, rng.integers(9), i % 2]
        for i in range(n)
    ]
    for row in rows[:5]:
        row[1] = ""
    return kinds.write(path, ["Name", "Sex", "Age", "SibSp", "Survived"], rows)


def test_names_beside_useful_columns_make_no_text_of_a_table(tmp_path):
    path = _passengers(tmp_path / "t.csv")
    task = recipes.look(path, target="Survived")
    assert task.kind == "table"
    assert "Name is different in every row and is left out" in task.warnings
    assert recipes.look(path, target="Survived", kind="text").kind == "text"
    bare = recipes.look(path, target="Survived", drop=["Sex", "Age", "SibSp"])
    assert bare.kind == "text"


def test_what_stands_for_a_missing_category(tmp_path):
    task = recipes.look(_passengers(tmp_path / "t.csv"), target="Survived")
    assert "values are missing: Sex in 5 of 80 rows; no category stands there" in task.warnings


def test_a_dropped_column_that_is_misspelt(tmp_path):
    path = _passengers(tmp_path / "t.csv")
    says = r"^--drop must name columns of .*got 'Nmae'; did you mean 'Name'\?"
    with pytest.raises(ArgumentError, match=says):
        recipes.look(path, target="Survived", drop="Nmae")


def test_names_that_are_misspelt():
    with pytest.raises(AttributeError, match="no attribute 'looks'; did you mean look"):
        _ = recipes.looks
    run = object.__new__(recipes.Run)
    with pytest.raises(AttributeError, match="a Run has no attribute 'predit'; did you mean pred"):
        _ = run.predit


def test_the_length_of_a_gap_is_told(tmp_path):
    hours = np.datetime64("2023-01-01T00") + np.r_[0:100, 149:250].astype("m8[h]")
    rows = [[str(h.astype("M8[s]")), i % 24 + i / 9] for i, h in enumerate(hours)]
    task = recipes.look(kinds.write(tmp_path / "t.csv", ["time", "load"], rows), target="load")
    said = "steps of time are missing in 1 place (of 50 hours); the rows count as even steps"
    assert said in task.warnings


@pytest.mark.parametrize("columns", ["{w} X {t}", "{w} {t}", "{w}"])
def test_words_in_columns_are_known_by_what_is_in_a_file(tmp_path, columns):
    task = recipes.look(kinds.names(tmp_path / "names.conll", n=40))
    form = task.parts(task.settings).form
    lines = ["Anna O", "sah O", "Rom O", "", "Bernd O", "schlief O", "dort O", ". O", ""]
    pairs = [line.split() for line in lines]
    text = "\n".join(columns.format(w=p[0], t="NN") if p else "" for p in pairs)
    (tmp_path / "esp.testb").write_text(text + "\n")
    found = [tokens for _, tokens in form.read(tmp_path / "esp.testb")]
    assert found == [("Anna", "sah", "Rom"), ("Bernd", "schlief", "dort", ".")]


def test_plain_sentences_of_one_length_are_no_columns(tmp_path):
    task = recipes.look(kinds.names(tmp_path / "names.conll", n=40))
    form = task.parts(task.settings).form
    (tmp_path / "plain.txt").write_text("Anna sah Rom\n\nBernd schlief dort\n\nEr las viel\n")
    assert len(form.read(tmp_path / "plain.txt")) == 3
    assert form.read(tmp_path / "plain.txt")[0][1] == ("Anna", "sah", "Rom")


def test_words_are_no_sequence_of_bases(tmp_path):
    task = recipes.look(kinds.sequences(tmp_path / "dna.csv", n=60))
    form = task.parts(task.settings).form
    form.read("ACGTACGTACGTRACGT")  # R: one of two bases
    with pytest.raises(DataError, match=r"must be of the signs .*'hello'"):
        form.read("hello")
    with pytest.raises(DataError, match=r"of the signs .* 3 of 7 are others, as 'X'"):
        form.read("ACGTXYX")


def _asked(form, given):
    """What a form reads, and what it warns of."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        rows = [row for _, row in form.read(given)]
    return rows, [str(w.message) for w in caught]


def test_unknown_categories_are_told_once_with_those_that_are_known(tmp_path):
    task = recipes.look(_passengers(tmp_path / "t.csv"), target="Survived")
    form = task.parts(task.settings).form
    _, said = _asked(form, "Sex=femal, Age=30, SibSp=0")
    assert said == [
        "Sex: 'femal' was not there in training and counts as unknown, in 1 row; "
        "did you mean female?; there was female, male"
    ]
    assert _asked(form, "Sex=female, Age=30, SibSp=")[1] == []
    assert _asked(form, {"Sex": None, "Age": 30, "SibSp": 1})[1] == []
    rows = [["x", "G9", 20, 1], ["y", "G9", 20, 1], ["z", "G8", 20, 1]]
    path = kinds.write(tmp_path / "new.csv", ["Name", "Sex", "Age", "SibSp"], rows)
    (said,) = _asked(form, path)[1]
    assert said.startswith("Sex: 'G9' and 1 more were not there in training")
    assert "in 3 rows; there was female, male" in said


def test_columns_that_a_row_lacks_are_told_at_once(tmp_path):
    task = recipes.look(_passengers(tmp_path / "t.csv"), target="Survived")
    form = task.parts(task.settings).form
    says = r"a value for 'Age' \(number\), 'SibSp' \(number\); leave those empty \(Age=, SibSp=\)"
    with pytest.raises(DataError, match=says):
        form.read({"Sex": "male"})
    path = kinds.write(tmp_path / "new.csv", ["Sex"], [["male"], ["female"]])
    with pytest.raises(DataError, match=r"must have the columns 'Age', 'SibSp', as in training"):
        form.read(path)


def test_advice_of_predict_names_no_option_of_training(tmp_path):
    task = recipes.look(_passengers(tmp_path / "t.csv"), target="Survived")
    form = task.parts(task.settings).form
    with pytest.raises(DataError) as caught:
        form.read("Sex=male, Age=thirty, SibSp=1")
    assert str(caught.value) == (
        "predict: the row: column 'Age' must hold a number, as 82.5, got 'thirty'; correct it, or "
        "leave it empty if it is missing"
    )
    rows = [["male", 30, 1], ["male", "thirty", 1]]
    path = kinds.write(tmp_path / "new.csv", ["Sex", "Age", "SibSp"], rows)
    with pytest.raises(DataError, match=r"new.csv:3: column 'Age' must hold a number, got") as c:
        form.read(path)
    assert "--" not in str(c.value)
    assert str(c.value).endswith("write it as in training, or leave it empty if it is missing")


def test_decimal_commas_are_read_as_in_training(tmp_path):
    lines = [
        f"G{i % 3};{70 + i % 17},{i % 10};1.0{10 + i % 9},5;{('ok', 'defekt')[i % 2]}"
        for i in range(80)
    ]
    path = tmp_path / "s.csv"
    path.write_text("\n".join(["Gerät;Temp °C;Druck;Zustand", *lines]), "utf-8")
    task = recipes.look(path, target="Zustand")
    form = task.parts(task.settings).form
    assert form.commas == ("Temp °C", "Druck")
    form = type(form).of(form.state())
    wanted = {"Gerät": "G1", "Temp °C": 82.5, "Druck": 1013.5}
    for given in (
        "Gerät=G1, Temp °C=82,5, Druck=1.013,5",
        "Gerät=G1; Temp °C=82,5; Druck=1013,5",
        "Temp °C=82.5, Druck=1013,5,Gerät=G1",
        {"Gerät": "G1", "Temp °C": "82,5", "Druck": 1013.5},
    ):
        assert _asked(form, given) == ([wanted], [])
    (tmp_path / "new.csv").write_text("Gerät;Temp °C;Druck\nG1;82,5;1.013,5\n", "utf-8")
    assert _asked(form, tmp_path / "new.csv")[0] == [wanted]
    (tmp_path / "en.csv").write_text("Gerät,Temp °C,Druck\nG1,82.5,1013.5\n", "utf-8")
    assert _asked(form, tmp_path / "en.csv")[0] == [wanted]
    (x,) = form.encode([wanted])
    assert np.isfinite(x).all()
    with pytest.raises(DataError, match=r"must hold a number, as 82,5, got 'warm'"):
        form.read("Gerät=G1, Temp °C=warm, Druck=1013,5")
