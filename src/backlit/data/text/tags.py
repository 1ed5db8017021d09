"""What tags of words mean: entities, written in one scheme or another.

An entity of type X over several words, one word alone, and one right behind another of its type:

    IOB1           I-X I-X I-X    I-X    I-X I-X B-X
    IOB2           B-X I-X I-X    B-X    B-X I-X B-X
    BIOES, IOBES   B-X I-X E-X    S-X    B-X E-X S-X
    BILOU          B-X I-X L-X    U-X    B-X L-X U-X

A word outside has O. Sources: Ramshaw & Marcus, "Text chunking using transformation-based
learning", 1995 (IOB1); Tjong Kim Sang & Veenstra, "Representing text chunks", EACL 1999 (IOB2);
Ratinov & Roth, "Design challenges and misconceptions in named entity recognition", CoNLL 2009
(BILOU).
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from ...errors import ArgumentError

#: The letters of each scheme: of a first word, one inside, a last one, one alone.
SCHEMES = {"IOB1": "IIII", "IOB2": "BIIB", "BIOES": "BIES", "BILOU": "BILU"}
LETTERS = frozenset("BIESLU")
_BEGINS, _ENDS = frozenset("BSU"), frozenset("ESLU")


class Entity(NamedTuple):
    """An entity: its type, its first word, and the word behind its last one."""

    type: str
    start: int
    stop: int


def split_tag(tag: str) -> tuple[str, str]:
    """The letter of a tag and the type behind its first hyphen.

    >>> split_tag("B-creative-work"), split_tag("O")
    (('B', 'creative-work'), ('O', ''))
    """
    letter, _, kind = tag.partition("-")
    if tag != "O" and letter not in LETTERS:
        raise ArgumentError(
            f"tags: a tag must be O, or one of B-, I-, E-, S-, L- and U- with a type, got {tag!r}; "
            "is this the column of the tags?"
        )
    return letter, kind


def entities(tags: Iterable[str]) -> list[Entity]:
    """The entities of a sentence's tags, in whichever scheme, as `conlleval` reads them.

    An entity begins at B, S and U, behind E, S, L and U, and wherever the word before is outside or
    of another type. So tags that no scheme allows have a meaning, too: I behind O begins an entity.

    >>> entities(["B-PER", "I-PER", "O", "I-LOC", "I-ORG"])
    [Entity(type='PER', start=0, stop=2), Entity(type='LOC', start=3, stop=4), \
Entity(type='ORG', start=4, stop=5)]
    """
    found: list[Entity] = []
    before, kind_before, start = "O", "", 0
    number = -1
    for number, tag in enumerate(tags):
        letter, kind = split_tag(tag)
        parted = letter in _BEGINS or before in _ENDS or kind != kind_before
        if before != "O" and (letter == "O" or parted):
            found.append(Entity(kind_before, start, number))
        if letter != "O" and (before == "O" or parted):
            start = number
        before, kind_before = letter, kind
    if before != "O":
        found.append(Entity(kind_before, start, number + 1))
    return found


def tags_of(spans: Iterable[tuple[str, int, int]], length: int, scheme: str = "IOB2") -> list[str]:
    """The tags of a sentence of `length` words that has these entities.

    >>> tags_of([("PER", 0, 2), ("LOC", 3, 4)], 4, "BIOES")
    ['B-PER', 'E-PER', 'O', 'S-LOC']
    """
    name = scheme_name(scheme)
    first, inside, last, alone = tuple(SCHEMES[name])
    tags = ["O"] * length
    end, kind_before = 0, ""
    for kind, start, stop in sorted(spans, key=lambda span: span[1]):
        if not end <= start < stop <= length:
            raise ArgumentError(
                "tags_of: entities must lie in the sentence, one behind the other, got "
                f"{kind} at [{start}, {stop}) behind {end}, in {length} words"
            )
        letters = [first, *inside * (stop - start - 2), last] if stop - start > 1 else [alone]
        if name == "IOB1" and start and start == end and kind == kind_before:
            letters[0] = "B"
        tags[start:stop] = [f"{letter}-{kind}" if kind else letter for letter in letters]
        end, kind_before = stop, kind
    return tags


def convert_tags(tags: Sequence[str], scheme: str) -> list[str]:
    """The tags of a sentence in another scheme, read as `entities` does.

    >>> convert_tags(["I-PER", "I-PER", "B-PER", "O"], "BILOU")
    ['B-PER', 'L-PER', 'U-PER', 'O']
    """
    return tags_of(entities(tags), len(tags), scheme)


def flaw(tags: Sequence[str], scheme: str) -> tuple[int, str] | None:
    """The first word whose tag is not as the scheme has it, and the tag that it must have.

    >>> flaw(["O", "I-PER"], "IOB2"), flaw(["O", "I-PER"], "IOB1")
    ((1, 'B-PER'), None)
    """
    wanted = convert_tags(tags, scheme)
    return next(((i, w) for i, (t, w) in enumerate(zip(tags, wanted, strict=True)) if t != w), None)


def tag_constraints(
    tags: Sequence[str], scheme: str = "IOB2"
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Which tags may begin a sentence, follow each other, and end it: (C,), (C, C), (C,) of bool.

    These are the constraints of a `nn.CRF` whose classes are the tags, in this order.

    >>> start, follow, end = tag_constraints(["O", "B-per", "I-per"])
    >>> start.tolist(), follow.tolist()
    ([True, True, False], [[True, True, False], [True, True, True], [True, True, True]])
    """
    name = scheme_name(scheme)
    letters = {"B", *SCHEMES[name]}
    parts = [split_tag(tag) for tag in tags]
    for tag, (letter, _) in zip(tags, parts, strict=True):
        if letter not in {"O", *letters}:
            raise ArgumentError(
                f"tag_constraints: tags of {name} are O, or {', '.join(sorted(letters))} with a "
                f"type, got {tag!r}"
            )

    @functools.cache
    def occurs(*some: tuple[str, str]) -> bool:
        """Whether tags stand side by side in some sentence, with one more on either side of it."""
        here = [letter if letter == "O" else f"{letter}-{kind}" for letter, kind in some]
        more = [f"{letter}-{kind}" for letter in letters for _, kind in some]
        return any(flaw([a, *here, b], name) is None for a in more for b in more)

    def alike(*some: tuple[str, str]) -> tuple[tuple[str, str], ...]:
        """Letters with their types, of which it only matters whether they are the same."""
        return tuple((letter, str(kind == some[0][1])) for letter, kind in some)

    follow = [[occurs(*alike(a, b)) for b in parts] for a in parts]
    outside = ("O", "")
    start = [occurs(outside, *alike(b)) for b in parts]
    end = [occurs(*alike(a), outside) for a in parts]
    table = np.array(follow, bool).reshape(len(parts), len(parts))
    return np.array(start, bool), table, np.array(end, bool)


def scheme_of(sentences: Iterable[Sequence[str]]) -> str | None:
    """The scheme that all sentences obey, or None; IOB2 where several fit.

    >>> scheme_of([["B-PER", "I-PER", "O"], ["B-LOC"]]), scheme_of([["I-PER", "B-PER"]])
    ('IOB2', 'IOB1')
    """
    possible = ["IOB2", "IOB1", "BIOES", "BILOU"]
    for tags in sentences:
        possible = [scheme for scheme in possible if flaw(tags, scheme) is None]
    return possible[0] if possible else None


def scheme_name(scheme: str) -> str:
    """The name of a scheme, of which IOBES is another for BIOES."""
    name = "BIOES" if str(scheme).upper() == "IOBES" else str(scheme).upper()
    if name not in SCHEMES:
        raise ArgumentError(
            f"tags: the scheme must be one of {', '.join(SCHEMES)} or IOBES, got {scheme!r}"
        )
    return name


__all__ = [
    "Entity",
    "convert_tags",
    "entities",
    "flaw",
    "scheme_of",
    "split_tag",
    "tag_constraints",
    "tags_of",
]
