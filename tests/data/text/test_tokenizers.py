"""Text cut into characters, words and byte pairs, and put together again."""

import json
import pickle
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backlit.data.text import (
    BytePairTokenizer,
    CharTokenizer,
    Vocabulary,
    WordTokenizer,
    load_tokenizer,
    read_text,
    tokenizer_from,
    word_tokenize,
)
from backlit.errors import ArgumentError, DataError, IndexRangeError, MissingDependencyError
from data.text.real import corpus, quick
from sampling import every

TEXTS = ["the cat sat on the mat", "the dog sat, too"]


@pytest.fixture(scope="module")
def pairs():
    return BytePairTokenizer.train(TEXTS * 5, size=270, specials=["<|end|>"])


@every(
    "text words",
    [
        ("It's O'Hare-West.", ["It's", "O'Hare-West", "."]),
        ("3.5, 1,000 and 12:30!", ["3.5", ",", "1,000", "and", "12:30", "!"]),
        ("#now @you http://x", ["#", "now", "@", "you", "http", ":", "/", "/", "x"]),
        ("l’été naïve Москва", ["l’été", "naïve", "Москва"]),
        ("'quoted' -- 😀", ["'", "quoted", "'", "-", "-", "😀"]),
        ("  \n\t", []),
        ("3rd b2b", ["3rd", "b2b"]),
    ],
)
def test_words(text, words):
    assert word_tokenize(text) == words


@quick
@given(st.text())
def test_words_lose_white_space_only(text):
    assert "".join(word_tokenize(text)) == "".join(text.split())


def test_characters_of_real_verse(tmp_path):
    path, real = corpus("tinyshakespeare/input.txt", tmp_path)
    text = read_text(path)
    letters = CharTokenizer.train(text)
    assert letters.decode(letters.encode(text[:5000])) == text[:5000]
    if real:
        assert (len(text), len(letters)) == (1_115_394, 65)


def test_characters_that_are_not_there():
    letters = CharTokenizer.train(["ab", "c"])
    with pytest.raises(ArgumentError, match=r"character at 2 of the text: 'x' is none of the 3"):
        letters.encode("abx")
    known = CharTokenizer.train("ab", padding="<pad>", unknown="<unk>")
    assert known.encode("axb") == [2, 1, 3]
    assert repr(known) == "CharTokenizer(4 tokens)"
    with pytest.raises(ArgumentError, match="tokens must be single characters, got 'ab'"):
        CharTokenizer(Vocabulary(["ab"]))


def test_words_by_number():
    words = WordTokenizer.train(TEXTS, min_frequency=2, specials=["<s>"])
    assert words.tokens == ["<pad>", "<unk>", "<s>", "the", "sat"]
    assert words.decode(words.encode("the cow sat")) == "the <unk> sat"
    with pytest.raises(ArgumentError, match="texts must be a list of texts, got 'the cat'"):
        WordTokenizer.train("the cat")
    with pytest.raises(ArgumentError, match="the text must be a str, got 3"):
        words.encode(3)


@quick
@given(text=st.text())
def test_byte_pairs_encode_every_text(pairs, text):
    numbers = pairs.encode(text)
    assert pairs.decode(numbers) == text
    assert all(0 <= n < len(pairs) for n in numbers)


def test_byte_pairs_join_what_is_frequent(pairs):
    assert len(pairs) == 270
    assert len(pairs.encode("the the")) == 2
    assert pairs.encode("<|end|>") == [0]
    assert pairs.decode([0]) == "<|end|>"
    assert pairs.tokens[0] == "<|end|>"
    assert pairs.tokens.index("Ġ") > 0
    again = BytePairTokenizer.train(TEXTS * 5, size=270, specials=["<|end|>"])
    assert again.state_dict() == pairs.state_dict()


def test_the_files_of_gpt2(tmp_path, pairs):
    model = json.loads(pairs.state_dict()["json"])["model"]
    vocabulary, merges = tmp_path / "vocab.json", tmp_path / "merges.txt"
    vocabulary.write_text(json.dumps(model["vocab"]))
    lines = [m if isinstance(m, str) else " ".join(m) for m in model["merges"]]
    merges.write_text("#version: 0.2\n" + "\n".join(lines) + "\n")
    loaded = BytePairTokenizer.from_gpt2(vocabulary, merges, specials=["<|end|>", "<other>"])
    for text in (*TEXTS, "Ünïcode\n\n  <|end|>!"):
        assert loaded.encode(text) == pairs.encode(text)
        assert loaded.decode(loaded.encode(text)) == text
    for text, said in (
        ("#version: 0.2\nt h e\n", r"merges\.txt:2 must be two tokens .* got 't h e'"),
        ("t zzz\n", r"merges\.txt:1 must be two tokens"),
    ):
        merges.write_text(text)
        with pytest.raises(DataError, match=said):
            BytePairTokenizer.from_gpt2(vocabulary, merges)
    for text in ("{", "[]", '{"a": -1}', '{"a": "b"}'):
        vocabulary.write_text(text)
        with pytest.raises(DataError, match=r"vocab\.json must be a JSON object of numbers"):
            BytePairTokenizer.from_gpt2(vocabulary, merges)


def test_every_tokenizer_is_saved_with_a_run(tmp_path, pairs):
    path = tmp_path / "tokenizer.json"
    for tokenizer in (CharTokenizer.train(TEXTS), WordTokenizer.train(TEXTS, lower=True), pairs):
        tokenizer.save(path)
        state = json.loads(json.dumps(tokenizer.state_dict()))
        for again in (
            load_tokenizer(path),
            tokenizer_from(state),
            pickle.loads(pickle.dumps(tokenizer)),  # as a loader sends it to its workers
        ):
            assert type(again) is type(tokenizer)
            assert again.tokens == tokenizer.tokens
            assert again.encode("the cat") == tokenizer.encode("the cat")
    assert json.loads(path.read_text("utf-8"))["model"]["type"] == "BPE"


def test_files_that_are_no_tokenizer(tmp_path):
    path = tmp_path / "tokenizer.json"
    ours = '{"format": "backlit-tokenizer-1", "kind": '
    for text, said in (
        ('{"model": 1}', "must be a tokenizer's file, but is none"),
        ("{}", "must have the format backlit-tokenizer-1"),
        ("[]", "must be an object"),
        (ours + '"x"}', r"that of a tokenizer, .* of kind 'x'"),
        (ours + '"words"}', "KeyError: 'vocabulary'"),
        (ours + '"characters", "vocabulary": {"tokens": ["ab"]}}', "single characters, got 'ab'"),
        (ours + '"k-mers", "k": 0, "stride": 1, "alphabet": "A"}', "k must be a positive integer"),
    ):
        path.write_text(text)
        with pytest.raises(DataError, match=said):
            load_tokenizer(path)
    with pytest.raises(ArgumentError, match="tokenizer_from: the state must be a dict, got a path"):
        tokenizer_from(path)


def test_errors_of_byte_pairs(pairs, monkeypatch):
    with pytest.raises(ArgumentError, match="size must be an integer of at least 257, got 100"):
        BytePairTokenizer.train(TEXTS, size=100, specials=["<s>"])
    with pytest.raises(IndexRangeError, match=r"must lie in \[0, 270\), got 270"):
        pairs.decode([0, 270])
    with pytest.raises(ArgumentError, match="the text must be a str, got None"):
        pairs.encode(None)
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    with pytest.raises(MissingDependencyError, match=r"run: pip install 'backlit\[text\]'"):
        BytePairTokenizer.train(TEXTS, size=300)
