"""Sentences in columns: every way such files are written, and what is wrong with one where."""

import numpy as np
import pytest

from backlit.data.text import (
    ConllDataset,
    Sentence,
    Vocabulary,
    entities,
    read_conll,
    scheme_of,
    write_conll,
)
from backlit.errors import ArgumentError, DataError, MissingFileError
from data.text.real import corpus
from sampling import every

TWO = [("Ada", "lives"), ("in", "Köln")]


def sentences(tmp_path, text, **options):
    path = tmp_path / "a.conll"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_conll(path, **options)


def tokens(*arguments, **options):
    return [s.tokens for s in sentences(*arguments, **options)]


@every(
    "text",
    [
        "Ada B-P\nlives O\n\nin O\nKöln B-L\n",
        "Ada B-P\nlives O\n\nin O\nKöln B-L",  # no line end
        "Ada\tB-P\r\nlives\tO\r\n\r\nin\tO\r\nKöln\tB-L\r\n\r\n",
        "\n\nAda\tB-P\nlives\tO\n\t\n \n\nin\tO\nKöln\tB-L\n\n\n",
        "Ada  B-P\nlives    O \n\nin O\n Köln   B-L\n",  # aligned with spaces
        "\ufeffAda B-P\nlives O\n\nin O\nKöln B-L\n",
        "# id 1\n# text = Ada\nAda B-P\nlives O\n\n#\nin O\nKöln B-L\n",
        "-DOCSTART- O\n\nAda B-P\nlives O\n-DOCSTART-\nin O\nKöln B-L\n",
        "-DOCSTART- -X- -X- O\n\nAda B-P\nlives O\n\nin O\nKöln B-L\n",
    ],
)
def test_the_same_sentences_however_they_are_written(text, tmp_path):
    found = sentences(tmp_path, text)
    assert [s.tokens for s in found] == TWO
    assert [s.tags for s in found] == [("B-P", "O"), ("O", "B-L")]


def test_a_word_may_look_like_a_comment_or_hold_spaces(tmp_path):
    assert tokens(tmp_path, "Ada O\n\n# O\n#now O\n") == [("Ada",), ("#", "#now")]
    assert tokens(tmp_path, "# a\tO\nthe\xa0cat\tO\n") == [("# a", "the\xa0cat")]
    assert tokens(tmp_path, "Ada O\n\n% x y\nin O\n", comment="% ") == [("Ada",), ("in",)]
    with pytest.raises(DataError, match=r"conll:2 must have 3 columns, as line 1 has, got 2"):
        tokens(tmp_path, "# a comment\nAda O\n", comment=None)


def test_any_column_is_the_word_or_the_tag(tmp_path):
    text = "1 Ada NNP B-P\n2 lives VBZ O\n"
    (found,) = sentences(tmp_path, text, token=1)
    assert (found.tokens, found.tags) == (("Ada", "lives"), ("B-P", "O"))
    (found,) = sentences(tmp_path, text, token=-3, tag=3)
    assert found.tags == ("B-P", "O")
    (found,) = sentences(tmp_path, "1|Ada|x\n2|lives|x\n", token=1, tag=None, delimiter="|")
    assert (found.tokens, found.tags) == (("Ada", "lives"), ())


def test_tags_are_held_to_a_scheme_and_converted(tmp_path):
    text = "New I-L\nYork I-L\nParis B-L\n"
    (found,) = sentences(tmp_path, text, scheme="IOB1", convert="IOBES")
    assert found.tags == ("B-L", "E-L", "S-L")
    with pytest.raises(DataError, match=r"a\.conll:1: in IOB2 the tag of 'New' must be B-L, got I"):
        sentences(tmp_path, text, scheme="IOB2")
    with pytest.raises(ArgumentError, match="the scheme must be one of"):
        sentences(tmp_path, text, scheme="IOX")


def test_a_file_in_another_encoding(tmp_path):
    text = "Köln B-L\nfreut O\n".encode("latin-1")
    assert tokens(tmp_path, text, encoding="latin-1") == [("Köln", "freut")]
    with pytest.raises(
        DataError,
        match=r"a\.conll:1:2: byte 0xf6 at offset 1 is not UTF-8; if .* where that is 'ö', give",
    ):
        tokens(tmp_path, text)
    with pytest.raises(DataError, match=r"a\.conll:3:1: byte 0xff at offset 8 is not UTF-8"):
        tokens(tmp_path, b"a O\nb O\n\xff O\n")


@every(
    "text options said",
    [
        ("", {}, r"a\.conll must have at least one sentence, but has none"),
        ("\n \n\t\n", {}, "at least one sentence"),
        ("-DOCSTART- O\n\n", {}, "at least one sentence"),
        ("Ada O\nlives\n", {}, r"a\.conll:2 must have 2 columns, as line 1 has, got 1 in 'lives'"),
        ("Ada O\n\nin the O\n", {}, r"a\.conll:3 must have 2 columns, as line 1 has, got 3"),
        ("Ada O\n\n#x\n", {}, r"a\.conll:3 must have 2 columns"),
        ("Ada\tO\n\tO\n", {}, r"a\.conll:2 must have a word, got '\\tO'"),
        ("Ada\tO\nin\t\n", {}, r"a\.conll:2: tags: a tag must be O, .* got ''"),
        ("Ada NNP\n", {}, r"a\.conll:1: tags: a tag must be O, .* got 'NNP'; is this the column"),
        ("Ada\n", {}, r"a\.conll:1 has 1 columns, so that token=0 and tag=-1 are the same"),
        ("a O\n", {"tag": 2}, r"a\.conll:1 must have the column tag=2, but has 2; with tag=None"),
        ("a O\n", {"token": -3}, "must have the column token=-3, but has 2"),
        (b"a O\nb\0 O\n", {}, r"must be text, but has a null byte at offset 5"),
        ("a O\n".encode("utf-16"), {}, "is in UTF-16, which is not read; convert"),
        (b"\x1f\x8b\x08\0", {}, r"a\.conll is a truncated or damaged gzip file"),
        ("a O\n", {"encoding": "utf-16"}, "is in utf-16, which is not read"),
    ],
)
def test_what_is_wrong_with_a_file_and_where(text, options, said, tmp_path):
    with pytest.raises(DataError, match=said):
        sentences(tmp_path, text, **options)


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(
        MissingFileError, match=r"read_conll: .*none\.conll cannot be read: No such"
    ):
        read_conll(tmp_path / "none.conll")
    with pytest.raises(DataError, match="cannot be read: Is a directory"):
        read_conll(tmp_path)
    with pytest.raises(ArgumentError, match="encoding='klingon' is not known"):
        sentences(tmp_path, "a O\n", encoding="klingon")


def test_what_is_written_is_read_again(tmp_path):
    path = tmp_path / "out.conll"
    made = [Sentence(("the cat", "#"), ("O", "O")), Sentence(("Köln",), ("B-L",))]
    write_conll(path, made)
    assert path.read_text("utf-8") == "the cat\tO\n#\tO\n\nKöln\tB-L\n\n"
    again = read_conll(path)
    assert [(s.tokens, s.tags) for s in again] == [(s.tokens, s.tags) for s in made]
    assert again[1].place() == f"{path}:4"
    write_conll(path, [Sentence(("a", "b"))])
    assert path.read_text() == "a\nb\n\n"
    with pytest.raises(ArgumentError, match=r"must have no tab or line end, got \('a\\tb', 'O'\)"):
        write_conll(path, [Sentence(("a\tb",), ("O",))])


# -- the dataset --------------------------------------------------------------------------------


def test_sentences_as_numbers():
    train = [Sentence(("Ada", "lives"), ("B-P", "O")), Sentence(("in", "in"), ("O", "O"))]
    data = ConllDataset(train)
    assert data.words.tokens == ["<pad>", "<unk>", "in", "Ada", "lives"]
    assert [part.tolist() for part in data[-1]] == [[2, 2], [1, 1]]
    assert data[0][0].dtype == data[0][1].dtype == np.int64
    assert data.lengths == [2, 2]
    other = ConllDataset([Sentence(("Bob", "in"))], data.words, data.tags)
    assert [part.tolist() for part in other[0]] == [[1, 2]]
    assert repr(data) == "ConllDataset(2 sentences, 4 words)"


def test_a_sentence_that_is_too_long_or_has_an_unknown_tag(tmp_path):
    found = sentences(tmp_path, "a O\n\na O\nb B-P\nc B-Q\n")
    with pytest.raises(DataError, match=r"conll:3 must have at most length=2 words, got 3; trunc"):
        ConllDataset(found, length=2)
    cut = ConllDataset(found, length=2, truncate=True)
    assert [len(part) for part in cut[1]] == [2, 2]
    assert cut.lengths == [1, 2]
    tags = Vocabulary(["O", "B-P"], padding=None, unknown=None)
    with pytest.raises(
        DataError, match=r"the tag of 'c' at .*a\.conll:5: 'B-Q' is none of the 2 tokens \('O', 'B"
    ):
        ConllDataset(found, tags=tags)


@pytest.mark.slow
def test_tweets_with_emerging_entities(tmp_path):
    path, real = corpus("wnut17/wnut17train.conll", tmp_path)
    found = read_conll(path, scheme="IOB2")
    counts = len(found), sum(map(len, found)), sum(len(entities(s.tags)) for s in found)
    assert counts == ((3394, 62730, 1975) if real else (2, 6, 2))
    assert scheme_of(s.tags for s in found) == "IOB2"
