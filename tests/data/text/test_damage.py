"""Whatever a file holds, it is read or refused with a DataError that names it."""

import gzip
import json
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backlit.data.text import (
    BytePairTokenizer,
    CharTokenizer,
    KmerTokenizer,
    Vocabulary,
    load_tokenizer,
    load_vectors,
    read_conll,
    read_jsonl,
    read_labelled_texts,
    read_text,
)
from backlit.errors import DataError
from data.text.real import quick
from house.test_readers import damaged

pytestmark = pytest.mark.slow

_CONLL = b"-DOCSTART- O\n\n# id 1\nAda\tB-P\nK\xc3\xb6ln\tB-L\n\nlives\tO\nin\tI-P\n"
_JSONL = b'{"text": "a \\u00e9", "label": ["x", 1], "n": {"m": 1.5}}\n{"text": "b", "label": "y"}\n'
_CSV = b'text,label\n"two\nlines",x\nk\xc3\xb6ln,y\n'
_GLOVE = b"the 0.5 1.5 -2\n. . 1 2 3\ncat 1e-3 2 3\n"
_BINARY = (
    b"2 3\nthe " + struct.pack("<3f", 1, 2, 3) + b"\ncat " + struct.pack("<3f", 4, 5, 6) + b"\n"
)


def packed(data):
    return damaged(data) | damaged(gzip.compress(data))


def read(tmp_path, name, data, *readers):
    path = tmp_path / name
    path.write_bytes(data)
    for reader in readers:
        said = _refusal(reader, path)
        assert said is None or name in said


def _refusal(reader, path):
    """What the DataError says, if there is one."""
    try:
        reader(path)
    except DataError as error:
        return str(error)
    return None


@quick
@given(packed(_CONLL))
def test_columns(tmp_path, data):
    def checked(path):
        for sentence in read_conll(path):
            assert len(sentence.tokens) == len(sentence.tags) == len(sentence.lines) > 0

    read(tmp_path, "a.conll", data, checked, lambda path: read_conll(path, scheme="IOB2"))


@quick
@given(packed(_JSONL))
def test_lines_of_json(tmp_path, data):
    flat = {"text": str, "n.m": float | None}
    read(tmp_path, "a.jsonl", data, read_jsonl, lambda path: read_jsonl(path, flat, flatten="."))
    read(tmp_path, "a.jsonl", data, read_labelled_texts)


@quick
@given(packed(_CSV))
def test_tables_of_texts(tmp_path, data):
    read(tmp_path, "a.csv.gz" if data[:2] == b"\x1f\x8b" else "a.csv", data, read_labelled_texts)
    read(tmp_path, "a.txt", data, read_text)


@quick
@given(packed(_GLOVE) | packed(_BINARY) | packed(b"2 3\n" + _GLOVE))
def test_vectors(tmp_path, data):
    read(tmp_path, "a.vec", data, lambda path: load_vectors(path, Vocabulary(["the", "cat"])))


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """Files of a vocabulary and of tokenizers, with what reads them."""
    path = tmp_path_factory.mktemp("saved") / "file"
    found = []
    for thing, reader in (
        (Vocabulary(["a", "b"]), Vocabulary.load),
        (CharTokenizer.train("ab"), load_tokenizer),
        (KmerTokenizer(1), load_tokenizer),
        (BytePairTokenizer.train(["ab ab"], size=258), load_tokenizer),
    ):
        thing.save(path)
        found.append((path.read_bytes(), reader))
    return found


@quick
@given(st.data())
def test_vocabularies_and_tokenizers(tmp_path, saved, data):
    for content, reader in saved:
        path = tmp_path / "a.json"
        path.write_bytes(data.draw(damaged(content)))
        _refusal(reader, path)


@pytest.mark.parametrize("name", ["tokens", "padding", "specials", "lower"])
@pytest.mark.parametrize("value", [None, 3, "x", [1], {"a": 1}, [[]], [None], True])
def test_hostile_states_of_vocabularies(name, value, tmp_path):
    path = tmp_path / "v.json"
    Vocabulary(["a"]).save(path)
    path.write_text(json.dumps(json.loads(path.read_text()) | {name: value}))
    said = _refusal(Vocabulary.load, path)
    assert said is None or "vocabulary" in said
