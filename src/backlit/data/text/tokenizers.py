"""What text is cut into, and the numbers of the pieces: characters, words, byte pairs, k-mers.

All tokenizers have `encode`, `decode`, `tokens`, a length, `state_dict` for checkpoints, and `save`
for files, which `load_tokenizer` reads.
"""

from __future__ import annotations

import itertools
import json
import os
import re
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from ...array_api.arguments import whole
from ...errors import ArgumentError, DataError, IndexRangeError, MissingDependencyError
from ...files import read_bytes, write_whole
from ...foreign import require_dict
from ...table import quantity
from .reading import PathLike, read_text
from .sequences import kmers
from .vocabulary import Vocabulary, read_json

FORMAT = "backlit-tokenizer-1"

_MOST = 1 << 24  # pieces of k letters

#: A word with inner apostrophes and hyphens; a number with inner points and commas; one other sign.
_WORD = re.compile(r"\d+(?:[.,:]\d+)+(?!\w)|\w+(?:['’-]\w+)*|[^\w\s]")


def word_tokenize(text: str, *, lower: bool = False) -> list[str]:
    """The words, numbers and other signs of a text, in order; white space is left out.

    A word is a run of letters, digits and underscores, with apostrophes and hyphens inside; a
    number may have points, commas and colons inside; every other sign stands alone.

    >>> word_tokenize("It's 3.5 km to O'Hare-West, #now!")
    ["It's", '3.5', 'km', 'to', "O'Hare-West", ',', '#', 'now', '!']
    """
    if not isinstance(text, str):
        raise ArgumentError(f"word_tokenize: the text must be a str, got {text!r:.40}")
    return _WORD.findall(text.lower() if lower else text)


class _Numbered:
    """The base of tokenizers with a vocabulary."""

    kind = ""

    def __init__(self, vocabulary: Vocabulary):
        self.vocabulary = vocabulary

    @property
    def tokens(self) -> list[str]:
        """The tokens in the order of their numbers."""
        return self.vocabulary.tokens

    def __len__(self) -> int:
        return len(self.vocabulary)

    def state_dict(self) -> dict[str, Any]:
        """All of it: a part of a checkpoint, or of a JSON file."""
        return {"kind": self.kind, "vocabulary": self.vocabulary.state_dict()}

    def save(self, path: PathLike) -> None:
        """Write it to a JSON file, whole."""
        text = json.dumps({"format": FORMAT, **self.state_dict()}, ensure_ascii=False, indent=1)
        write_whole(path, text.encode() + b"\n")

    def __repr__(self) -> str:
        return f"{type(self).__name__}({quantity(len(self), 'token')})"


class CharTokenizer(_Numbered):
    """Each character of a text as a number: the characters that there are, in their order.

    >>> letters = CharTokenizer.train("hello")
    >>> letters.tokens, letters.encode("hole")
    (['e', 'h', 'l', 'o'], [1, 3, 2, 0])
    >>> letters.decode([1, 0])
    'he'

    `specials` come first. A character that is not there is an error, or `unknown` if that is given.
    """

    kind = "characters"

    def __init__(self, vocabulary: Vocabulary):
        long = [t for t in vocabulary if len(t) != 1 and t not in vocabulary.specials]
        if long:
            raise ArgumentError(
                f"CharTokenizer: tokens must be single characters, got {long[0]!r:.40}"
            )
        super().__init__(vocabulary)

    @classmethod
    def train(
        cls,
        texts: str | Iterable[str],
        *,
        padding: str | None = None,
        unknown: str | None = None,
        specials: Iterable[str] = (),
    ) -> CharTokenizer:
        """A tokenizer for the characters of one text, or of several."""
        characters = sorted(set().union(*([texts] if isinstance(texts, str) else texts)))
        return cls(Vocabulary(characters, padding=padding, unknown=unknown, specials=specials))

    def encode(self, text: str) -> list[int]:
        """The numbers of a text's characters."""
        known = self.vocabulary._numbers
        numbers = [known.get(character, -1) for character in text]
        if -1 not in numbers:
            return numbers
        unknown = self.vocabulary.unknown_number
        if unknown is None:
            at = numbers.index(-1)
            raise ArgumentError(
                f"CharTokenizer: the character at {at} of the text: "
                f"{self.vocabulary.missing(text[at])}"
            )
        return [unknown if n < 0 else n for n in numbers]

    def decode(self, numbers: Any) -> str:
        """The text of numbers."""
        return "".join(self.vocabulary.decode(numbers))


class WordTokenizer(_Numbered):
    """The words of a text as numbers: `word_tokenize`, and a vocabulary.

    >>> words = WordTokenizer.train(["The cat sat.", "The end."], lower=True)
    >>> words.tokens
    ['<pad>', '<unk>', '.', 'the', 'cat', 'end', 'sat']
    >>> words.encode("The dog sat")
    [3, 1, 6]

    `decode` puts spaces between the words: where none were, and whether a letter was a capital, is
    lost.
    """

    kind = "words"

    @classmethod
    def train(
        cls,
        texts: Iterable[str],
        *,
        min_frequency: int = 1,
        max_size: int | None = None,
        lower: bool = False,
        specials: Iterable[str] = (),
    ) -> WordTokenizer:
        """A tokenizer for the words of texts; see `Vocabulary.build`."""
        words = (word_tokenize(text) for text in _texts("WordTokenizer.train", texts))
        return cls(
            Vocabulary.build(
                words,
                min_frequency=min_frequency,
                max_size=max_size,
                lower=lower,
                specials=specials,
            )
        )

    def encode(self, text: str) -> list[int]:
        """The numbers of a text's words."""
        return self.vocabulary.encode(word_tokenize(text))

    def decode(self, numbers: Any) -> str:
        """The words of numbers, with spaces between them."""
        return " ".join(self.vocabulary.decode(numbers))


class KmerTokenizer(_Numbered):
    """Pieces of k letters as numbers, for DNA and its like: all pieces of the alphabet's letters.

    >>> threes = KmerTokenizer(3)
    >>> len(threes), threes.encode("ACGTN"), threes.decode([29, 1])
    (66, [8, 29, 1], 'CGT <unk>')

    Each piece begins `stride` letters behind the one before: with 1 they overlap, with k none is in
    two. Small letters count as capitals. A piece with another letter, such as N, is unknown.
    """

    kind = "k-mers"

    def __init__(self, k: int, *, stride: int = 1, alphabet: str = "ACGT"):
        self.k = whole("KmerTokenizer: k", k)
        self.stride = whole("KmerTokenizer: stride", stride)
        self.alphabet = alphabet
        if len(alphabet) ** k > _MOST:
            raise ArgumentError(
                f"KmerTokenizer: there must be at most {_MOST:,} pieces, got {len(alphabet)}^{k}; "
                "choose a smaller k"
            )
        super().__init__(Vocabulary(map("".join, itertools.product(alphabet, repeat=self.k))))

    def encode(self, text: str) -> list[int]:
        """The numbers of a text's pieces; none, if it is shorter than k."""
        return self.vocabulary.encode(kmers(text.upper(), self.k, stride=self.stride))

    def decode(self, numbers: Any) -> str:
        """The pieces of numbers, with spaces between them."""
        return " ".join(self.vocabulary.decode(numbers))

    def state_dict(self) -> dict[str, Any]:
        """All of it: a part of a checkpoint, or of a JSON file."""
        return {"kind": self.kind, "k": self.k, "stride": self.stride, "alphabet": self.alphabet}


class BytePairTokenizer:
    """Pieces of words as numbers, made by joining the pairs of bytes that are most frequent.

    Any text can be encoded, and `decode(encode(text))` is the text. The work is done by the package
    `tokenizers` (`pip install 'backlit[text]'`), which writes and reads `tokenizer.json`.

    >>> pairs = BytePairTokenizer.train(["low lower lowest"] * 9, size=260)
    >>> len(pairs), pairs.decode(pairs.encode("slow 🦊"))
    (260, 'slow 🦊')

    Sources: Sennrich, Haddow & Birch, "Neural machine translation of rare words with subword
    units", ACL 2016; of bytes: Radford et al., "Language models are unsupervised multitask
    learners", 2019, sec. 2.2.
    """

    kind = "byte pairs"

    def __init__(self, tokenizer: Any):
        #: The tokenizer of the package `tokenizers`.
        self.tokenizer = tokenizer

    @classmethod
    def train(
        cls,
        texts: Iterable[str],
        *,
        size: int,
        specials: Iterable[str] = (),
        min_frequency: int = 2,
    ) -> BytePairTokenizer:
        """A tokenizer of `size` tokens for texts, which are read once, one at a time.

        `specials`, such as "<|endoftext|>", come first and are never cut. All 256 bytes are tokens,
        so `size` is at least 256 and the specials.
        """
        library = _library()
        specials = list(specials)
        whole("BytePairTokenizer.train: size", size, 256 + len(specials))
        made = library.Tokenizer(library.models.BPE())
        made.pre_tokenizer = library.pre_tokenizers.ByteLevel(add_prefix_space=False)
        made.decoder = library.decoders.ByteLevel()
        trainer = library.trainers.BpeTrainer(
            vocab_size=size,
            min_frequency=whole("BytePairTokenizer.train: min_frequency", min_frequency),
            special_tokens=specials,
            initial_alphabet=sorted(library.pre_tokenizers.ByteLevel.alphabet()),
            show_progress=False,
        )
        made.train_from_iterator(_texts("BytePairTokenizer.train", texts), trainer)
        return cls(made)

    @classmethod
    def from_file(cls, path: PathLike) -> BytePairTokenizer:
        """The tokenizer in a file `tokenizer.json`."""
        return _byte_pairs(read_text(path), path)

    @classmethod
    def from_gpt2(
        cls, vocabulary: PathLike, merges: PathLike, *, specials: Iterable[str] = ("<|endoftext|>",)
    ) -> BytePairTokenizer:
        """The tokenizer in the two files of GPT-2's kind, `vocab.json` and `merges.txt`.

        Those of the `specials` that the vocabulary has are never cut.
        """
        try:
            numbers = json.loads(read_bytes(vocabulary, "from_gpt2"))
            if not isinstance(numbers, dict) or not all(
                type(n) is int and n >= 0 for n in numbers.values()
            ):
                raise ValueError("it must have a number for each token")
        except (ValueError, RecursionError) as error:
            if isinstance(error, DataError):
                raise
            raise DataError(
                f"BytePairTokenizer.from_gpt2: {vocabulary} must be a JSON object of numbers: "
                f"{error}"
            ) from None
        pairs = _merges(merges, numbers)

        def make(library: Any) -> Any:
            made = library.Tokenizer(library.models.BPE(vocab=numbers, merges=pairs))
            made.pre_tokenizer = library.pre_tokenizers.ByteLevel(add_prefix_space=False)
            made.decoder = library.decoders.ByteLevel()
            made.add_special_tokens([token for token in specials if token in numbers])
            return made

        return cls(_read(make, vocabulary))

    @property
    def tokens(self) -> list[str]:
        """The tokens in the order of their numbers; a byte is written as GPT-2 does, a space Ġ."""
        return [self.tokenizer.id_to_token(n) or "" for n in range(len(self))]

    def encode(self, text: str) -> list[int]:
        """The numbers of a text's pieces."""
        if not isinstance(text, str):
            raise ArgumentError(f"BytePairTokenizer: the text must be a str, got {text!r:.40}")
        return self.tokenizer.encode(text, add_special_tokens=False).ids

    def decode(self, numbers: Any) -> str:
        """The text of numbers; bytes that are no character become U+FFFD."""
        listed = np.asarray(numbers).tolist()
        for n in listed:
            if not 0 <= n < len(self):
                raise IndexRangeError(
                    f"BytePairTokenizer: a number must lie in [0, {len(self)}), got {n}"
                )
        return self.tokenizer.decode(listed, skip_special_tokens=False)

    def __len__(self) -> int:
        return self.tokenizer.get_vocab_size()

    def state_dict(self) -> dict[str, Any]:
        """All of it: a part of a checkpoint."""
        return {"kind": self.kind, "json": self.tokenizer.to_str()}

    def save(self, path: PathLike) -> None:
        """Write it to a file `tokenizer.json`, which the package `tokenizers` reads, too."""
        write_whole(path, self.tokenizer.to_str(pretty=True).encode())

    def __repr__(self) -> str:
        return f"{type(self).__name__}({quantity(len(self), 'token')})"


def load_tokenizer(path: PathLike) -> Any:
    """The tokenizer of whichever kind in a file that `save` wrote, or in a `tokenizer.json`."""
    content = read_json(path, "load_tokenizer")
    if content.get("format") == FORMAT:
        return tokenizer_from(content)
    if "model" not in content:
        raise DataError(
            f"load_tokenizer: {os.fspath(path)} must have the format {FORMAT}, or be a "
            "tokenizer.json with a model"
        )
    return _byte_pairs(json.dumps(content), path)


def tokenizer_from(state: dict[str, Any]) -> Any:
    """The tokenizer of a `state_dict`."""
    require_dict("tokenizer_from", state)
    kind = state.get("kind")
    try:
        for cls in (CharTokenizer, WordTokenizer):
            if kind == cls.kind:
                return cls(Vocabulary.from_state(state["vocabulary"]))
        if kind == KmerTokenizer.kind:
            return KmerTokenizer(state["k"], stride=state["stride"], alphabet=state["alphabet"])
        if kind == BytePairTokenizer.kind and isinstance(state["json"], str):
            return _byte_pairs(state["json"], "the state")
        reason = f"it is of kind {kind!r:.40}"
    except (KeyError, TypeError, ArgumentError) as error:
        reason = f"{type(error).__name__}: {error}"
    raise DataError(
        f"tokenizer_from: the state must be that of a tokenizer, got {state!r:.60} ({reason}); "
        "give what state_dict() gave"
    )


def _byte_pairs(text: str, path: PathLike) -> BytePairTokenizer:
    """The tokenizer in the text of a tokenizer.json."""
    return BytePairTokenizer(_read(lambda library: library.Tokenizer.from_str(text), path))


def _texts(what: str, texts: Iterable[str]) -> Iterable[str]:
    if isinstance(texts, str | bytes | os.PathLike) or not isinstance(texts, Iterable):
        raise ArgumentError(f"{what}: texts must be a list of texts, got {texts!r:.40}")
    return texts


def _library() -> Any:
    try:
        import tokenizers
    except ImportError:
        raise MissingDependencyError(
            "BytePairTokenizer: the package tokenizers is not installed; "
            "run: pip install 'backlit[text]'"
        ) from None
    return tokenizers


def _read(make: Callable[[Any], Any], path: PathLike) -> Any:
    library = _library()
    try:
        return make(library)
    except Exception as error:  # the library raises Exception itself
        raise DataError(
            f"BytePairTokenizer: {os.fspath(path)} must be a tokenizer's file, but is none: {error}"
        ) from None


def _merges(path: PathLike, numbers: dict[str, int]) -> list[tuple[str, str]]:
    """The pairs in a file of merges, whose joined tokens must all be there."""
    pairs = []
    for line, text in enumerate(read_text(path).split("\n"), 1):
        if not text.strip() or (line == 1 and text.startswith("#version")):
            continue
        parts = text.split(" ")
        missing = [t for t in (*parts, "".join(parts)) if t not in numbers]
        if len(parts) != 2 or missing:
            raise DataError(
                f"BytePairTokenizer.from_gpt2: {path}:{line} must be two tokens of the vocabulary "
                f"which join to a third, got {text!r:.60}"
            )
        pairs.append((parts[0], parts[1]))
    return pairs


__all__ = [
    "BytePairTokenizer",
    "CharTokenizer",
    "KmerTokenizer",
    "WordTokenizer",
    "load_tokenizer",
    "tokenizer_from",
    "word_tokenize",
]
