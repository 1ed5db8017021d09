"""Kernels alike: those that differ only in numbers are one function, with these as arguments.

A deep network has the same loops over images and channels of many sizes, and LLVM takes ten
milliseconds for each. What it has to know is what the innermost loop does: how often it turns and
how far it moves in memory decide which vectors it makes of it, and in which order sums are made.
How many times that loop runs, and where it begins each time, it need not know.

A number can be an argument if no instruction that uses it depends on the index of an innermost
loop; so can the turns of a loop that is the only one, and carries nothing. It is one if it differs
from one of the kernels to another. What all have in common they keep, and a kernel that is like no
other one stays as it was written. Kernels with sums in whichever order LLVM likes keep all numbers
of theirs, so that no result depends on what else is compiled.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

#: Up to this number of turns LLVM may write a loop out turn by turn, so it is told of them.
FEW = 16

#: An operand that is an integer.
_NUMBER = re.compile(r" (-?\d+)(?=[,)\n])")
_NAME = re.compile(r"%[\w.]+")
_LABELS = re.compile(r"label %([\w.]+)")
#: Instructions whose numbers can be arguments: of indices and addresses, and calls of helpers.
_INDEX = re.compile(
    r"  (?:%[\w.]+ = (?:(?:add|sub|mul)(?: nsw)? i64 |icmp \w+ i64 |select i1 [^,]+, i64 "
    r"|getelementptr inbounds \w+, ptr [^,]+, i64 ))"
)
_CALL = "  call void @"
_PHI = re.compile(r"  (%[\w.]+) = phi ")
_MADE = re.compile(r"  (%[\w.]+) = ")


@dataclass(frozen=True)
class Called:
    """A function by its name, and the numbers that it gets after its other arguments."""

    name: str
    numbers: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Text:
    """A text: what stands between its numbers, and these."""

    whole: str
    between: tuple[str, ...]
    numbers: tuple[str, ...]

    @classmethod
    def of(cls, text: str) -> _Text:
        parts = _NUMBER.split(text)
        return cls(text, tuple(parts[::2]), tuple(parts[1::2]))

    def with_arguments(self, arguments: Sequence[str]) -> str:
        """The text with an argument instead of each number, where it is not ""."""
        parts = [self.between[0]]
        for number, argument, after in zip(self.numbers, arguments, self.between[1:], strict=True):
            parts += [" ", argument or number, after]
        listed = "".join(f", i64 {name}" for name in dict.fromkeys(arguments) if name)
        return "".join(parts).replace(") ", f"{listed}) ", 1)


class Alike:
    """The functions that do what some texts of functions named @KERNEL do."""

    def __init__(self, texts: Iterable[str]):
        #: What to call for each text.
        self.called: dict[str, Called] = {}
        #: The text of each function, under its name.
        self.definitions: list[str] = []
        families: dict[tuple[str, ...], list[_Text]] = {}
        for text in map(_Text.of, dict.fromkeys(texts)):
            families.setdefault(text.between, []).append(text)
        for family in families.values():
            for group in _groups(family):
                self._define(group)

    def _define(self, texts: list[_Text]) -> None:
        """One function for texts of which any numbers may be arguments that are not the same."""
        name = f"kernel{len(self.definitions)}"
        columns = list(zip(*(text.numbers for text in texts), strict=True))
        varying = {c: "" for c in columns if len(set(c)) > 1}
        varying = {c: f"%n{k}" for k, c in enumerate(varying)}
        for i, text in enumerate(texts):
            self.called[text.whole] = Called(name, tuple(c[i] for c in varying))
        definition = texts[0].with_arguments([varying.get(c, "") for c in columns])
        named = definition.replace("@KERNEL(", f"@{name}(", 1)
        self.definitions.append(named.replace("define void", "define internal void", 1))


def _groups(family: list[_Text]) -> Iterable[list[_Text]]:
    """Texts that are the same but for numbers, put together where these can be arguments."""
    if len(family) == 1:
        return [family]
    free = list(_free(family[0].whole))
    groups: dict[tuple[str, ...], list[_Text]] = {}
    for text in family:
        pairs = zip(text.numbers, free, strict=True)
        key = tuple("" if most is not None and int(n) > most else n for n, most in pairs)
        groups.setdefault(key, []).append(text)
    return groups.values()


def _free(text: str) -> Iterator[int | None]:
    """For each number of a function, if it is more than what it can be an argument; None: never."""
    lines = text.split("\n")
    heads, alone = _innermost(lines)
    ordered = "reassoc" not in text  # whether it says in which order it adds
    inside: set[str] = set()  # what depends on the index of an innermost loop
    head = False
    for line in lines:
        if not line.startswith("  "):
            head = line[:-1] in heads
        made = _MADE.match(line)
        depends = not inside.isdisjoint(_NAME.findall(line)) or (head and _PHI.match(line))
        if depends and made is not None:
            inside.add(made[1])
        turns = alone and head and "icmp slt" in line
        most = None
        if line.startswith(_CALL):
            most = None if depends else -1
        elif ordered and _INDEX.match(line) and (turns or not depends):
            most = FEW
        yield from [most] * len(_NUMBER.findall(line + "\n"))


def _innermost(lines: list[str]) -> tuple[set[str], bool]:
    """The labels at which innermost loops begin; whether there is one that carries only its index.

    A loop is a jump back, and what stands between.
    """
    places: dict[str, int] = {}
    loops: list[tuple[int, int, str]] = []
    phis = 0
    for number, line in enumerate(lines):
        if line.endswith(":"):
            places[line[:-1]] = number
        elif line.startswith("  br "):
            back = [label for label in _LABELS.findall(line) if label in places]
            loops += [(places[label], number, label) for label in back]
        phis += _PHI.match(line) is not None
    heads = {
        label
        for start, end, label in loops
        if not any(start < first and last < end for first, last, _ in loops)
    }
    return heads, len(loops) == phis == 1
