"""Vocabularies: which tokens have a number, and what becomes of the others."""

import json

import pytest

from backlit.data.text import Vocabulary
from backlit.errors import ArgumentError, DataError, IndexRangeError


def test_tokens_come_by_frequency_and_then_by_the_alphabet():
    words = Vocabulary.build(["c a b".split(), "b a a".split()])
    assert words.tokens == ["<pad>", "<unk>", "a", "b", "c"]
    assert Vocabulary.build([["b", "B", "B"]]).tokens[2:] == ["B", "b"]
    again = Vocabulary.build(["a a b c".split(), "b a".split()])
    assert again == words


def test_rare_tokens_are_left_out():
    texts = ["a a a b b c".split()]
    assert Vocabulary.build(texts, min_frequency=2).tokens[2:] == ["a", "b"]
    assert Vocabulary.build(texts, max_size=3).tokens == ["<pad>", "<unk>", "a"]
    assert Vocabulary.build(texts, max_size=2, padding=None).tokens == ["<unk>", "a"]
    assert Vocabulary.build(texts, max_size=1, unknown=None).tokens == ["<pad>"]


def test_special_tokens_come_first_and_once():
    words = Vocabulary.build([["<s>", "a", "<unk>"]], specials=["<s>", "<pad>"])
    assert words.tokens == ["<pad>", "<unk>", "<s>", "a"]
    assert (words.padding_number, words.unknown_number) == (0, 1)
    bare = Vocabulary(["a"], padding=None, unknown=None)
    assert (bare.padding_number, bare.unknown_number) == (None, None)


def test_capitals_are_lowered_where_that_is_wanted():
    words = Vocabulary.build([["The", "the", "THE", "cat"]], lower=True, specials=["<EOS>"])
    assert words.tokens == ["<pad>", "<unk>", "<EOS>", "the", "cat"]
    assert words.encode(["ThE", "<EOS>", "dog"]) == [3, 2, 1]
    assert "CAT" in words
    assert "dog" not in words
    assert 3 not in words


def test_there_and_back():
    words = Vocabulary(["a", "b"])
    assert words.decode(words.encode(["b", "x"])) == ["b", "<unk>"]
    assert (len(words), list(words)) == (4, ["<pad>", "<unk>", "a", "b"])
    assert repr(words) == "Vocabulary(4 tokens: '<pad>', '<unk>', 'a', 'b')"


def test_a_vocabulary_is_saved_with_a_run(tmp_path):
    words = Vocabulary.build([["ü", "B"]], specials=["<s>"], lower=True, unknown="?")
    words.save(tmp_path / "words.json")
    again = Vocabulary.load(tmp_path / "words.json")
    assert again == words
    assert again.specials == ("<pad>", "?", "<s>")
    assert Vocabulary.from_state(json.loads(json.dumps(words.state_dict()))) == words


def test_files_that_are_no_vocabulary(tmp_path):
    path = tmp_path / "v.json"
    for text, said in (
        ("{", r"v\.json must be a JSON file, but is not"),
        ("[1]", "must be an object of format backlit-vocabulary-1"),
        ('{"format": "backlit-vocabulary-1"}', "the state must be that of a vocabulary"),
        ('{"format": "backlit-vocabulary-1", "tokens": {"a": 1}}', "tokens are no list"),
        ('{"format": "backlit-vocabulary-1", "tokens": [1]}', "tokens must be texts, got 1"),
        ('{"format": "backlit-vocabulary-1", "tokens": ["a"], "x": 1}', "it has no argument x"),
    ):
        path.write_text(text)
        with pytest.raises(DataError, match=said):
            Vocabulary.load(path)


def test_errors():
    bare = Vocabulary(["house", "mouse"], padding=None, unknown=None)
    with pytest.raises(
        ArgumentError, match=r"'hous' is none of the 2 tokens \('house', 'mouse'\); did you mean 'h"
    ):
        bare["hous"]
    with pytest.raises(ArgumentError, match=r"'x' is none of .* build it with that token, or with"):
        bare.encode(["x"])
    for number in (2, -1):
        with pytest.raises(IndexRangeError, match=rf"must lie in \[0, 2\), got {number}"):
            bare.token(number)
    with pytest.raises(ArgumentError, match="tokens must differ, got 'a' twice"):
        Vocabulary(["a", "b", "a"])
    with pytest.raises(ArgumentError, match=r"a list of tokens, got 'the cat'; split it first"):
        Vocabulary.build(["the cat"])
    with pytest.raises(ArgumentError, match="tokens must be a list of tokens, got 'abc'"):
        Vocabulary("abc")
    with pytest.raises(ArgumentError, match="must be a list of tokens, got 'abc'"):
        Vocabulary(["a"]).encode("abc")
    with pytest.raises(ArgumentError, match="at least one token"):
        Vocabulary([], padding=None, unknown=None)
    with pytest.raises(ArgumentError, match="min_frequency must be a positive integer, got 0"):
        Vocabulary.build([], min_frequency=0)
