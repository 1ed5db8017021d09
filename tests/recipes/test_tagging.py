"""Words with classes of their own: parts of speech, and columns chosen by name or number."""

import random
import re

import pytest

from backlit import recipes
from backlit.errors import ArgumentError, DataError

WORDS = {
    "DET": ["the", "a"],
    "NOUN": ["cat", "dog", "house", "tree"],
    "VERB": ["sees", "chases", "loves"],
    "ADJ": ["small", "old", "green"],
}
RELATIONS = {"DET": "det", "NOUN": "obj", "VERB": "root", "ADJ": "amod"}


def treebank(path, n=60, seed=0):
    """Sentences of a tiny grammar, in CoNLL-U."""
    drawn = random.Random(seed)
    lines = []
    for _ in range(n):
        kinds = ["DET", "NOUN", "VERB", "DET", *["ADJ"] * drawn.randrange(2), "NOUN"]
        for number, kind in enumerate(kinds, 1):
            word = drawn.choice(WORDS[kind])
            lines.append(f"{number}\t{word}\t{word}\t{kind}\t_\t_\t0\t{RELATIONS[kind]}\t_\t_")
        lines.append("")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join([*lines, ""]))
    return path


@pytest.mark.parametrize("model", ["window:16", "bilstm-crf:8"])
def test_parts_of_speech_are_learned(tmp_path, model):
    data = treebank(tmp_path / "en.conllu")
    task = recipes.look(data)
    assert re.search(r"classes +4: \d+ DET, \d+ NOUN, \d+ VERB, \d+ ADJ|classes +4: ", str(task))
    run = task.train(tmp_path / "run", epochs=4, lr=0.03, model=model, compile=False,
                     progress="quiet")  # fmt: skip
    assert run.result["test"]["accuracy"] > 0.9
    assert run.predict("a cat sees the old tree").value == (
        "a/DET cat/NOUN sees/VERB the/DET old/ADJ tree/NOUN"
    )
    again = recipes.load(tmp_path / "run")
    assert again.evaluate()["accuracy"] == pytest.approx(run.result["test"]["accuracy"])
    assert len(run.predict(data)) == 60


def test_a_column_by_its_name_or_its_number_and_files_of_parts(tmp_path):
    root = tmp_path / "treebank"
    for part, n in (("train", 40), ("dev", 6), ("test", 9)):
        treebank(root / f"en-ud-{part}.conllu", n)
    task = recipes.look(root, target="deprel")
    assert task.parts(task.settings).sizes == (40, 6, 9)
    assert task.parts(task.settings).form.target.names == ("amod", "det", "obj", "root")
    rows = "U.N. NNP B-NP B-ORG\nofficial NN I-NP O\n\nParis NNP B-NP B-LOC\n\n" * 12
    (tmp_path / "x.conll").write_text(rows)
    assert "entities" in str(recipes.look(tmp_path / "x.conll"))
    assert re.search(r"entities +24: 24 NP", str(recipes.look(tmp_path / "x.conll", target="2")))
    assert re.search(
        r"classes +2: 24 NNP, 12 NN", str(recipes.look(tmp_path / "x.conll", target="-3"))
    )


def test_what_is_no_column_of_classes(tmp_path):
    data = treebank(tmp_path / "en.conllu", 12)
    for target, says in (
        ("head", "target must be a column of classes, as UPOS, XPOS, FEATS or DEPREL, got 'head'"),
        ("upso", "tag must be one of the columns .* did you mean UPOS?"),
        (["UPOS", "XPOS"], "of words one column is learned, got UPOS, XPOS"),
    ):
        with pytest.raises(ArgumentError, match=says):
            recipes.look(data, target=target)
    path = tmp_path / "x.conll"
    path.write_text("a X\nb X\n\n")
    with pytest.raises(DataError, match=r"words must have 2 to 1,000 classes, got 1, as 'X'"):
        recipes.look(path)
    with pytest.raises(ArgumentError, match="target must be the number of a column of this file"):
        recipes.look(path, target="pos")
    with pytest.raises(DataError, match=r"x.conll:1 must have the column tag=7, but has 2"):
        recipes.look(path, target="7")
    path.write_text("a O\n" * 12 + "b B-LOC\nc oops\n\n")
    with pytest.raises(DataError, match=r"x.conll:14: .* got 'oops'"):
        recipes.look(path)
