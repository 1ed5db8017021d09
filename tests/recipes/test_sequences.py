"""FASTA and FASTQ files: which class a sequence has, by file, by folder, by header."""

import random
import re

import numpy as np
import pytest

from backlit import recipes
from backlit.errors import ArgumentError, DataError


def bases(i):
    """Forty bases, every second time with a motif."""
    drawn = random.Random(i)
    found = drawn.choices("ACGT", k=40)
    if i % 2:
        at = drawn.randrange(30)
        found[at : at + 8] = "TATAAAGG"
    return "".join(found)


def fasta(path, header, numbers=range(80)):
    path.parent.mkdir(parents=True, exist_ok=True)
    names = ("other", "promoter")
    path.write_text(
        "".join(f">{header.format(i=i, c=names[i % 2], n=i % 7)}\n{bases(i)}\n" for i in numbers)
    )
    return path


def test_a_class_for_each_file_and_for_each_folder(tmp_path):
    fasta(tmp_path / "genes" / "promoter.fa", "p{i}", range(1, 81, 2))
    fasta(tmp_path / "genes" / "other.fa", "o{i}", range(0, 80, 2))
    task = recipes.look(tmp_path / "genes")
    assert (task.kind, task.unit, task.target.names) == ("text", "signs", ("other", "promoter"))
    run = task.train(
        tmp_path / "run", epochs=4, lr=0.01, model="cnn:8", compile=False, progress="quiet"
    )
    assert run.predict("ACGTGTCATC" + "TATAAAGG" + "CCATGCATTGCCATGACCATGT").value == "promoter"
    assert len(run.predict(tmp_path / "genes" / "other.fa")) == 40
    assert run.named_predictions(tmp_path / "genes" / "other.fa")[0][0] == "o0"
    for part, numbers in (("train", range(60)), ("test", range(60, 80))):
        for odd, name in ((0, "other"), (1, "promoter")):
            chosen = [i for i in numbers if i % 2 == odd]
            fasta(tmp_path / "parts" / part / name / "1.fasta", "s{i}", chosen)
    task = recipes.look(tmp_path / "parts")
    assert np.bincount(task.fixed, minlength=3).tolist() == [60, 0, 20]


@pytest.mark.parametrize(
    ("header", "target", "learned"),
    [
        ("seq{i}|{c}", None, "part 2"),
        ("seq{i}|{c} len={n}", None, "part 2"),
        ("seq{i} x={n} class={c} kind={c}", None, "class"),
        ("seq{i} [kind={c}] [strain=s{n}]", "strain", "strain"),
    ],
)
def test_a_class_in_the_headers(tmp_path, header, target, learned):
    task = recipes.look(fasta(tmp_path / "x.fasta", header), target=target)
    assert re.search(rf"learned +{learned} in the headers", str(task))
    assert len(task.target.names) == (7 if target else 2)


def test_records_without_a_class_are_left_out_and_fastq_has_some(tmp_path):
    text = "".join(
        f"@r{i}{' class=' + 'ab'[i % 2] if i % 4 else ''}\n{bases(i)}\n+\n{'I' * 40}\n"
        for i in range(40)
    )
    (tmp_path / "reads.fastq").write_text(text)
    task = recipes.look(tmp_path / "reads.fastq")
    assert task.raw[0] == bases(1)
    assert len(task.raw) == 30
    assert any("10 rows have no class" in w for w in task.warnings)


def test_what_leaves_open_which_class_is_meant(tmp_path):
    with pytest.raises(ArgumentError, match=r"which part of the headers is the class\? They have "
                       r"part 2, part 3, as '>s0\|other\|a0'; say --target NAME"):  # fmt: skip
        recipes.look(fasta(tmp_path / "x.fasta", "s{i}|{c}|a{n}"))
    with pytest.raises(ArgumentError, match="They have nothing besides a name, as '>s0'"):
        recipes.look(fasta(tmp_path / "x.fasta", "s{i}"))
    fasta(tmp_path / "mixed" / "a" / "1.fa", "s{i}")
    fasta(tmp_path / "mixed" / "b.fa", "s{i}")
    with pytest.raises(DataError, match=r"a class is a folder or a file, got the file b.fa beside"):
        recipes.look(tmp_path / "mixed")
    fasta(tmp_path / "odd" / "test" / "a.fa", "s{i}")
    with pytest.raises(DataError, match="there must be folders of parts, with one called train"):
        recipes.look(tmp_path / "odd")
