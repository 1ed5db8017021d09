"""What language models learn from: blocks of a text, names, files of tokens."""

import numpy as np
import pytest

from backlit.data import ArrayFile, DataLoader
from backlit.data.text import (
    BytePairTokenizer,
    CharTokenizer,
    LineDataset,
    TokenBlocks,
    WordTokenizer,
    language,
    read_lines,
    read_text,
    write_tokens,
)
from backlit.errors import ArgumentError, DataError, MissingFileError, ShapeError
from data.text.real import corpus
from sampling import every


def test_each_block_has_the_tokens_one_later():
    data = TokenBlocks(np.arange(10, dtype=np.uint16), 3)
    assert len(data) == 3
    assert [(x.tolist(), y.tolist()) for x, y in data] == [
        ([0, 1, 2], [1, 2, 3]),
        ([3, 4, 5], [4, 5, 6]),
        ([6, 7, 8], [7, 8, 9]),
    ]
    assert data[0][0].dtype == np.int64
    assert len(TokenBlocks(range(9), 3)) == 2
    every_one = TokenBlocks(np.arange(10), 3, stride=1)
    assert len(every_one) == 7
    assert [part.tolist() for part in every_one[-1]] == [[6, 7, 8], [7, 8, 9]]
    assert len(TokenBlocks(np.arange(4), 3, stride=9)) == 1
    x, y = next(iter(DataLoader(data, 2)))
    assert (x.shape, y.shape) == ((2, 3), (2, 3))
    assert repr(data) == "TokenBlocks(3 of 3, from 10 tokens)"


@every(
    "stride length count", [(3, 3, 10), (1, 3, 10), (2, 3, 11), (5, 2, 12), (3, 3, 9), (4, 4, 5)]
)
def test_all_blocks_in_memory(stride, length, count):
    tokens = np.arange(count)
    data = TokenBlocks(tokens, length, stride=stride)
    x, y = data.tensors().tensors
    assert (x.tolist(), y.tolist()) == tuple(
        [part.tolist() for part in column] for column in zip(*data, strict=True)
    )
    assert np.shares_memory(x.numpy(), tokens) == (stride == length)


def test_errors_of_blocks(tmp_path):
    with pytest.raises(ArgumentError, match="must be more tokens than length=5, got 5; take short"):
        TokenBlocks(np.arange(5), 5)
    np.save(tmp_path / "x.npy", np.zeros(9))
    for tokens in (np.zeros(3), np.zeros((2, 3), int), ArrayFile(tmp_path / "x.npy")):
        with pytest.raises(ShapeError, match=r"tokens must be integers \(T,\), got"):
            TokenBlocks(tokens, 1)


def test_names_a_line_each(tmp_path):
    path, real = corpus("names/names.txt", tmp_path)
    names = read_lines(path)
    letters = CharTokenizer.train(names, specials=["."])
    data = LineDataset(names, letters)
    if real:
        assert (len(names), len(letters), data.length) == (32_033, 27, 15)
    assert names[0] == "emma"
    x, y = data[0]
    e, m, a = (letters.tokens.index(letter) for letter in "ema")
    assert x.tolist()[:6] == [0, e, m, m, a, 0]
    assert y.tolist()[:6] == [e, m, m, a, 0, -100]
    assert set(x[6:]) | set(y[6:]) == {0, -100}
    assert len(x) == len(y) == data.length + 1


def test_errors_of_lines(tmp_path):
    letters = CharTokenizer.train("ab", specials=["."])
    with pytest.raises(DataError, match="at most length=2 tokens, got 3 in line 2, 'aba'; leave"):
        LineDataset(["a", "aba"], letters, length=2)
    with pytest.raises(DataError, match=r"the start token, '\.', must be in no line, but is"):
        LineDataset(["a", "a.b"], letters)
    with pytest.raises(ArgumentError, match="start must be one of 3 tokens, got 3"):
        LineDataset(["a"], letters, start=3)
    with pytest.raises(ArgumentError, match="at least one line"):
        LineDataset([], letters)
    with pytest.raises(ArgumentError, match="lines must be a list or tuple"):
        LineDataset("abc", letters)
    (tmp_path / "e.txt").write_text(" \n\n")
    with pytest.raises(DataError, match="must have a line with text, but has none"):
        read_lines(tmp_path / "e.txt")


# -- files of tokens ----------------------------------------------------------------------------

#: White space of every kind where a piece could end.
TRICKY = "a b\n\n c\n\n\nd e \nf\n  g\n\th\r\ni\n" * 30 + "é\n\n"


@every("kind", ["characters", "words", "byte pairs"])
def test_a_file_of_tokens_is_the_text_encoded_at_once(kind, tmp_path, monkeypatch):
    monkeypatch.setattr(language, "_PIECE", 7)
    path, out = tmp_path / "t.txt", tmp_path / "t.npy"
    path.write_bytes(TRICKY.encode())
    text = read_text(path)
    assert len(list(language._pieces(path, "utf-8"))) > 20
    tokenizer = {
        "characters": lambda: CharTokenizer.train(text),
        "words": lambda: WordTokenizer.train([text]),
        "byte pairs": lambda: BytePairTokenizer.train([text], size=300),
    }[kind]()
    count = write_tokens(path, tokenizer, out)
    tokens = np.load(out)
    assert tokens.tolist() == tokenizer.encode(text)
    assert (len(tokens), tokens.dtype) == (count, np.uint16)
    in_memory, in_file = TokenBlocks(tokens, 4), TokenBlocks(ArrayFile(out), 4)
    for i in (0, 3, -1):
        assert [p.tolist() for p in in_memory[i]] == [p.tolist() for p in in_file[i]]
        assert in_file[i][0].dtype == np.int64


def test_many_tokens_need_wider_numbers(tmp_path):
    class Wide:
        def __len__(self):
            return 1 << 17

        def encode(self, text):
            return [70_000] * len(text)

    (tmp_path / "t.txt").write_text("ab")
    write_tokens(tmp_path / "t.txt", Wide(), tmp_path / "t.npy")
    assert np.load(tmp_path / "t.npy").dtype == np.uint32
    assert np.load(tmp_path / "t.npy").tolist() == [70_000, 70_000]


def test_nothing_is_left_half_written(tmp_path, monkeypatch):
    monkeypatch.setattr(language, "_PIECE", 4)
    path, out = tmp_path / "t.txt", tmp_path / "t.npy"
    path.write_text("ab\nba\nab\nxb\n")
    out.write_bytes(b"old")
    letters = CharTokenizer.train("ab\n")
    with pytest.raises(DataError, match=r"begins at .*t\.txt:3: CharTokenizer: .* 'x' is none"):
        write_tokens(path, letters, out)
    path.write_text("")
    with pytest.raises(DataError, match=r"t\.txt must have text, but has none"):
        write_tokens(path, letters, out)
    with pytest.raises(MissingFileError, match="cannot be read: No such file"):
        write_tokens(tmp_path / "none.txt", letters, out)
    assert out.read_bytes() == b"old"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["t.npy", "t.txt"]
