"""What language models learn from: a long text in blocks, or short ones, a line each.

A text that is too large for memory is turned into a file of tokens once, piece by piece, and that
file is memory-mapped.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from ...array_api.arguments import sequence, whole
from ...errors import ArgumentError, DataError, ShapeError
from ...files import writing
from ...op import describe
from ...table import quantity
from ...tensor import as_tensor
from ..arrays import ArrayFile
from ..dataset import Dataset, TensorDataset, example_number
from .reading import PathLike, numbered_lines, place
from .sequences import IGNORED

_PIECE = 1 << 20  # characters that are encoded at a time
#: Where a text may be cut without changing its tokens: between lines, none of them empty, with no
#: space beside the cut. Byte-pair tokenizers look at runs of white space as a whole.
_CUT = re.compile(r"(?<=\S\n)(?=\S)")


class TokenBlocks(Dataset):
    """Blocks of a long sequence of tokens, each with the tokens that come one later.

        x: int64 (length,) tokens i … i + length - 1,  y: int64 (length,) tokens i + 1 … i + length

    Each block begins `stride` tokens behind the one before; by default they do not overlap. A file
    of tokens, which `write_tokens` makes, is given as `ArrayFile(path)`: what is used is read.

    >>> blocks = TokenBlocks([1, 2, 3, 4, 5, 6], 2)
    >>> len(blocks), [part.tolist() for part in blocks[1]]
    (2, [[3, 4], [4, 5]])
    """

    def __init__(self, tokens: Any, length: int, *, stride: int | None = None):
        in_place = isinstance(tokens, np.ndarray | ArrayFile)
        self.tokens = tokens if in_place else as_tensor(tokens).numpy()
        if self.tokens.ndim != 1 or self.tokens.dtype.kind not in "iu":
            raise ShapeError(
                f"TokenBlocks: tokens must be integers (T,), got {describe(self.tokens)}; "
                "tokenizer.encode(text) gives them"
            )
        self.length = whole("TokenBlocks: length", length)
        self.stride = whole("TokenBlocks: stride", length if stride is None else stride)
        if len(self.tokens) <= self.length:
            raise ArgumentError(
                f"TokenBlocks: there must be more tokens than length={length}, got "
                f"{len(self.tokens)}; take shorter blocks, or more text"
            )

    def __len__(self) -> int:
        return (len(self.tokens) - 1 - self.length) // self.stride + 1

    def __getitem__(self, index: Any) -> tuple[np.ndarray, np.ndarray]:
        start = example_number(index, len(self)) * self.stride
        block = self.tokens[start : start + self.length + 1].astype(np.int64)
        return block[:-1], block[1:]

    def tensors(self) -> TensorDataset:
        """All blocks in memory, x and y (N, length): of these a Trainer takes many steps natively.

        Blocks that do not overlap lie in the memory of the tokens, if these are int64; others take
        length / stride times as much.
        """
        tokens = np.asarray(self.tokens[:], np.int64)
        windows = np.lib.stride_tricks.sliding_window_view(tokens, self.length)
        x, y = windows[: -1 : self.stride], windows[1 :: self.stride]
        if self.stride == self.length:  # without gaps, but only a reshaped array says so
            whole = len(self) * self.length
            x = tokens[:whole].reshape(-1, self.length)
            y = tokens[1 : whole + 1].reshape(-1, self.length)
        return TensorDataset(np.ascontiguousarray(x), np.ascontiguousarray(y))

    def __repr__(self) -> str:
        return (
            f"TokenBlocks({len(self)} of {self.length}, from {quantity(len(self.tokens), 'token')})"
        )


class LineDataset(Dataset):
    """Short texts, such as names, for a model that makes each token from those before it.

        x: int64 (length + 1,) the start, then the tokens;  y: int64 (length + 1,) the tokens, then
        the start, which also means the end

    All are filled up to the longest one's `length`: x with the start token, y with -100, which
    losses leave out. `start` is the number of a token that is in no text, by default 0, as of
    `CharTokenizer.train(names, specials=["."])`.

    >>> from backlit.data.text import CharTokenizer
    >>> letters = CharTokenizer.train(["ab", "b"], specials=["."])
    >>> [part.tolist() for part in LineDataset(["ab", "b"], letters)[1]]
    [[0, 2, 0], [2, 0, -100]]

    Source: Bengio et al., "A neural probabilistic language model", JMLR 3 (2003), of letters.
    """

    def __init__(
        self, lines: Iterable[str], tokenizer: Any, *, start: int = 0, length: int | None = None
    ):
        self.lines = sequence("LineDataset: lines", lines)
        self.tokenizer = tokenizer
        if not self.lines:
            raise ArgumentError("LineDataset: at least one line is required, got none")
        if not 0 <= whole("LineDataset: start", start, 0) < len(tokenizer):
            raise ArgumentError(
                f"LineDataset: start must be one of {len(tokenizer)} tokens, got {start}"
            )
        self.start = start
        self._tokens = [np.array(tokenizer.encode(line), np.int64) for line in self.lines]
        longest = max(range(len(self.lines)), key=lambda i: len(self._tokens[i]))
        most = len(self._tokens[longest])
        self.length = most if length is None else whole("LineDataset: length", length)
        if most > self.length:
            raise DataError(
                f"LineDataset: a line must have at most length={length} tokens, got {most} in "
                f"line {longest + 1}, {self.lines[longest][:40]!r}; leave it out, or take a longer "
                "context"
            )
        for number, tokens in enumerate(self._tokens, 1):
            if start in tokens:
                raise DataError(
                    f"LineDataset: the start token, {tokenizer.decode([start])!r}, must be in no "
                    f"line, but is in line {number}, {self.lines[number - 1][:40]!r}; give the "
                    "tokenizer another special token for it"
                )

    def __len__(self) -> int:
        return len(self.lines)

    def __getitem__(self, index: Any) -> tuple[np.ndarray, np.ndarray]:
        tokens = self._tokens[example_number(index, len(self))]
        x = np.full(self.length + 1, self.start, np.int64)
        y = np.full(self.length + 1, IGNORED, np.int64)
        x[1 : len(tokens) + 1] = y[: len(tokens)] = tokens
        y[len(tokens)] = self.start
        return x, y

    def __repr__(self) -> str:
        return (
            f"LineDataset({quantity(len(self), 'line')} of up to {quantity(self.length, 'token')})"
        )


def read_lines(path: PathLike, *, encoding: str = "utf-8") -> list[str]:
    """The lines of a file that are not empty, without white space around them: names, a line each.

    >>> import pathlib, tempfile
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "names.txt"
    >>> _ = path.write_text("ada\\ngrace \\n\\n")
    >>> read_lines(path)
    ['ada', 'grace']
    """
    lines = [line.strip() for _, line in numbered_lines(path, "read_lines", encoding)]
    lines = [line for line in lines if line]
    if not lines:
        raise DataError(f"read_lines: {os.fspath(path)} must have a line with text, but has none")
    return lines


def write_tokens(text: PathLike, tokenizer: Any, path: PathLike, *, encoding: str = "utf-8") -> int:
    """Turn a text file into a file of tokens, piece by piece; how many there are.

    The file is an array in NumPy's format (`.npy`), uint16 if the tokenizer has at most 65,536
    tokens, else uint32, the same as if the text were encoded at once. It is written whole or not at
    all.
    Raises DataError, with file and line, where the tokenizer does not know what it finds.
    """
    dtype = np.dtype(np.uint16 if len(tokenizer) <= 1 << 16 else np.uint32)
    count = 0
    with writing(path) as file:
        _write_header(file, dtype, 0)
        for line, piece in _pieces(text, encoding):
            try:
                tokens = np.array(tokenizer.encode(piece), dtype)
            except ArgumentError as error:
                raise DataError(
                    f"write_tokens: in the piece that begins at {place(text, line)}: {error}"
                ) from None
            file.write(tokens.tobytes())
            count += len(tokens)
        if not count:
            raise DataError(f"write_tokens: {os.fspath(text)} must have text, but has none")
        file.seek(0)
        _write_header(file, dtype, count)
    return count


def _write_header(file: Any, dtype: np.dtype, count: int) -> None:
    """The header of an array; it has room for any count, and so always the same size."""
    header = {"descr": dtype.str, "fortran_order": False, "shape": (count,)}
    np.lib.format.write_array_header_1_0(file, header)


def _pieces(path: PathLike, encoding: str) -> Iterator[tuple[int, str]]:
    """A text in pieces, cut where that changes no token, each with the line it begins at."""
    held: list[str] = []
    size, begin = 0, 1
    before = ""
    for number, line in numbered_lines(path, "write_tokens", encoding, ends=True):
        if size >= _PIECE and _CUT.search(before[-2:] + line[:1]):
            yield begin, "".join(held)
            held, size, begin = [], 0, number
        held.append(line)
        size += len(line)
        before = line
    if held:
        yield begin, "".join(held)


__all__ = ["LineDataset", "TokenBlocks", "read_lines", "write_tokens"]
