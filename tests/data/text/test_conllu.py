"""CoNLL-U: which lines are words, which column has their tags, and what is damaged."""

import re

import pytest

from backlit.data.text import read_conllu
from backlit.errors import ArgumentError, DataError

LINE = "{n}\t{w}\t_\t{p}\t_\t_\t0\t{d}\t_\t_\n"


def words(*rows):
    return "".join(LINE.format(n=n, w=w, p=p, d=d) for n, w, p, d in rows)


ELLIPSIS = (
    "# newdoc\n# text = Sue likes coffee and Bill tea\n"
    + words(
        (1, "Sue", "PROPN", "nsubj"), (2, "likes", "VERB", "root"), (3, "coffee", "NOUN", "obj")
    )
    + words((4, "and", "CCONJ", "cc"), (5, "Bill", "PROPN", "conj"), ("5.1", "likes", "VERB", "_"))
    + words((6, "tea", "NOUN", "orphan"))
    + "\n# text = ü\n"
    + words((1, "ü", "X", "root"))
)


def written(tmp_path, text):
    path = tmp_path / "x.conllu"
    path.write_bytes(text.encode())
    return path


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_words_that_are_not_said_and_comments_are_left_out(tmp_path, end):
    sentences = read_conllu(written(tmp_path, ELLIPSIS.replace("\n", end)))
    assert [len(s) for s in sentences] == [6, 1]
    assert sentences[0].tags == ("PROPN", "VERB", "NOUN", "CCONJ", "PROPN", "NOUN")
    assert sentences[0].place(5).endswith("x.conllu:9")
    assert read_conllu(written(tmp_path, ELLIPSIS), "deprel")[0].tags[-1] == "orphan"
    assert read_conllu(written(tmp_path, ELLIPSIS), None)[1].tags == ()


def test_a_hash_is_a_word_and_plus_names_its_columns(tmp_path):
    sentences = read_conllu(written(tmp_path, words((1, "C", "X", "a"), (2, "#", "SYM", "b"))))
    assert sentences[0].tokens == ("C", "#")
    plus = "# global.columns = ID FORM PARSEME:MWE\n1\tgives\t1:LVC\n2\tup\t*\n"
    assert read_conllu(written(tmp_path, plus), "PARSEME:MWE")[0].tags == ("1:LVC", "*")


@pytest.mark.parametrize(
    ("text", "tag", "says"),
    [
        ("", "UPOS", "x.conllu must have a sentence, but has none"),
        (words((1, "a", "X", "r")) + "2 b X\n", "UPOS", "x.conllu:2 must have 10 columns, parted"),
        (words((2, "a", "X", "r")), "UPOS", "x.conllu:1: the words .* got '2' for 1"),
        (words((1, "a", "X", "r"), (1, "b", "X", "r")), "UPOS", "x.conllu:2: .* got '1' for 2"),
        (words((1, "", "X", "r")), "UPOS", "x.conllu:1 must have no empty column"),
        (words((1, "a", "X", "r")), "XPOS", "the column XPOS must have values, but each is _"),
        ("# global.columns = ID UPOS\n1\tX\n", "UPOS", "must have a column FORM, got ID, UPOS"),
    ],
)
def test_what_is_damaged_is_named(tmp_path, text, tag, says):
    with pytest.raises(DataError, match=f"read_conllu: .*{says}"):
        read_conllu(written(tmp_path, text), tag)


def test_a_column_that_is_not_there(tmp_path):
    says = "tag must be one of the columns ID, FORM, .*, MISC, got 'upso'; did you mean UPOS?"
    with pytest.raises(ArgumentError, match=re.escape("read_conllu: ") + says):
        read_conllu(written(tmp_path, ELLIPSIS), "upso")
