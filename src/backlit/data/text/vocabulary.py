"""Which number each token has."""

from __future__ import annotations

import difflib
import json
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from ...array_api.arguments import whole
from ...errors import ArgumentError, DataError, IndexRangeError
from ...files import read_bytes, write_whole
from ...table import quantity
from .reading import PathLike

FORMAT = "backlit-vocabulary-1"


class Vocabulary:
    """Numbers for tokens: first those of padding and the unknown token, then of `specials`, tokens.

    >>> words = Vocabulary(["the", "cat"])
    >>> words.tokens
    ['<pad>', '<unk>', 'the', 'cat']
    >>> words.encode(["the", "dog"]), words.decode([3])
    ([2, 1], ['cat'])

    Without padding or an unknown token (None) there is no number for them; then a token that is not
    there is an error. With `lower` every token is lowered before it is looked up.
    """

    def __init__(
        self,
        tokens: Iterable[str],
        *,
        padding: str | None = "<pad>",
        unknown: str | None = "<unk>",
        specials: Iterable[str] = (),
        lower: bool = False,
    ):
        _require_list("Vocabulary: tokens", tokens)
        _require_list("Vocabulary: specials", specials)
        extra = [token for token in (padding, unknown) if token is not None]
        extra += [token for token in specials if token not in extra]
        #: The tokens in the order of their numbers.
        self.tokens = [*extra, *(token for token in tokens if token not in extra)]
        self.lower = bool(lower)
        self.specials = tuple(extra)
        strange = [token for token in self.tokens if not isinstance(token, str)]
        if strange:
            raise ArgumentError(f"Vocabulary: tokens must be texts, got {strange[0]!r:.40}")
        self._numbers = {token: number for number, token in enumerate(self.tokens)}
        if len(self._numbers) != len(self.tokens):
            twice = next(token for token, n in Counter(self.tokens).items() if n > 1)
            raise ArgumentError(
                f"Vocabulary: tokens must differ, got {twice!r} twice; to count tokens and number "
                "them use Vocabulary.build"
            )
        if not self.tokens:
            raise ArgumentError("Vocabulary: at least one token is required, got none")
        self.padding = padding
        self.unknown = unknown
        #: The number of the padding, and of the unknown token; None where there is none.
        self.padding_number = None if padding is None else self._numbers[padding]
        self.unknown_number = None if unknown is None else self._numbers[unknown]

    @classmethod
    def build(
        cls,
        sequences: Iterable[Iterable[str]],
        *,
        min_frequency: int = 1,
        max_size: int | None = None,
        padding: str | None = "<pad>",
        unknown: str | None = "<unk>",
        specials: Iterable[str] = (),
        lower: bool = False,
    ) -> Vocabulary:
        """A vocabulary of the tokens of many sequences, the most frequent first.

        Tokens that are equally frequent come in alphabetical order. Those seen less than
        `min_frequency` times are left out, and the rarest where there would be more than `max_size`
        with the special ones.

        >>> Vocabulary.build([["b", "a"], ["b"]], max_size=3).tokens
        ['<pad>', '<unk>', 'b']
        """
        whole("Vocabulary.build: min_frequency", min_frequency)
        counts: Counter[str] = Counter()
        for sequence in sequences:
            _require_list("Vocabulary.build: each sequence", sequence)
            counts.update(sequence)
        if lower:
            lowered: Counter[str] = Counter()
            for token, n in counts.items():
                lowered[token.lower()] += n
            counts = lowered
        extra = {padding, unknown, *specials}
        kept = sorted(
            (t for t, n in counts.items() if n >= min_frequency and t not in extra),
            key=lambda token: (-counts[token], token),
        )
        if max_size is not None:
            room = whole("Vocabulary.build: max_size", max_size) - len(extra - {None})
            kept = kept[: max(room, 0)]
        return cls(kept, padding=padding, unknown=unknown, specials=specials, lower=lower)

    def encode(self, tokens: Iterable[str]) -> list[int]:
        """The numbers of tokens."""
        _require_list("Vocabulary.encode: tokens", tokens)
        return [self[token] for token in tokens]

    def decode(self, numbers: Any) -> list[str]:
        """The tokens of numbers."""
        listed = np.asarray(numbers).tolist()
        return [self.token(n) for n in listed]

    def token(self, number: int) -> str:
        """The token of a number."""
        if not 0 <= number < len(self.tokens):
            raise IndexRangeError(
                f"Vocabulary: a number must lie in [0, {len(self.tokens)}), got {number}"
            )
        return self.tokens[number]

    def __getitem__(self, token: str) -> int:
        if self.lower and token not in self._numbers:
            token = token.lower()
        number = self._numbers.get(token, self.unknown_number)
        if number is None:
            raise ArgumentError(f"Vocabulary: {self.missing(token)}")
        return number

    def missing(self, token: str) -> str:
        """What to say of a token that has no number."""
        near = difflib.get_close_matches(token, self.tokens[:10_000], 1, 0.7)
        hint = f"did you mean {near[0]!r}?" if near else "build it with that token, or with unknown"
        few = ", ".join(map(repr, self.tokens[:8])) + (", …" if len(self.tokens) > 8 else "")
        return f"{token!r} is none of the {quantity(len(self.tokens), 'token')} ({few}); {hint}"

    def __contains__(self, token: object) -> bool:
        lowered = token.lower() if self.lower and isinstance(token, str) else token
        return token in self._numbers or lowered in self._numbers

    def __len__(self) -> int:
        return len(self.tokens)

    def __iter__(self) -> Iterator[str]:
        return iter(self.tokens)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Vocabulary) and self.state_dict() == other.state_dict()

    __hash__ = None  # type: ignore[assignment]

    def state_dict(self) -> dict[str, Any]:
        """All of it, in lists and texts: a part of a checkpoint, or of a JSON file."""
        plain = self.tokens[len(self.specials) :]
        extra = [token for token in self.specials if token not in (self.padding, self.unknown)]
        return {
            "tokens": plain,
            "padding": self.padding,
            "unknown": self.unknown,
            "specials": extra,
            "lower": self.lower,
        }

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Vocabulary:
        """The vocabulary of a `state_dict`."""
        try:
            if not isinstance(state["tokens"], list):
                raise TypeError("tokens are no list")
            return cls(**state)
        except (KeyError, TypeError, ArgumentError) as error:
            raise DataError(
                f"Vocabulary: the state must be that of a vocabulary, got {state!r:.60} ({error})"
            ) from None

    def save(self, path: PathLike) -> None:
        """Write it to a JSON file, whole."""
        text = json.dumps({"format": FORMAT, **self.state_dict()}, ensure_ascii=False, indent=1)
        write_whole(path, text.encode() + b"\n")

    @classmethod
    def load(cls, path: PathLike) -> Vocabulary:
        """The vocabulary in a file that `save` wrote."""
        content = read_json(path, "Vocabulary.load", FORMAT)
        return cls.from_state({k: v for k, v in content.items() if k != "format"})

    def __repr__(self) -> str:
        first = ", ".join(map(repr, self.tokens[:5]))
        return (
            f"Vocabulary({quantity(len(self), 'token')}: {first}{', …' if len(self) > 5 else ''})"
        )


def read_json(path: PathLike, what: str, *formats: str) -> dict[str, Any]:
    """The object in a JSON file, which must be of one of the formats, if there are any."""
    try:
        content = json.loads(read_bytes(path, what))
    except (ValueError, RecursionError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"{what}: {path} must be a JSON file, but is not: {error}") from None
    if not isinstance(content, dict) or (formats and content.get("format") not in formats):
        raise DataError(f"{what}: {path} must be an object of format {' or '.join(formats)}")
    return content


def _require_list(what: str, tokens: Any) -> None:
    """Raise for one text where several are meant: its characters would be taken for tokens."""
    if isinstance(tokens, str | bytes) or not isinstance(tokens, Iterable):
        raise ArgumentError(
            f"{what} must be a list of tokens, got {tokens!r:.40}; split it first, as "
            "word_tokenize(text), or list(text) for characters"
        )


__all__ = ["Vocabulary"]
