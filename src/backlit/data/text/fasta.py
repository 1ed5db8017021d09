"""Sequences of bases and residues in FASTA and FASTQ files, with their headers.

A FASTA record is a line that begins with `>`, and lines of the sequence. A FASTQ record has four
lines: `@` and a name, the sequence, `+`, and as many signs of quality as the sequence has bases.

Sources: Pearson & Lipman, PNAS 85 (1988); Cock et al., Nucleic Acids Research 38 (2010), sec. 2.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass

from ...errors import DataError
from .reading import PathLike, numbered_lines, place

#: The ends of the names of such files; each may be followed by `.gz`.
ENDINGS = (".fasta", ".fa", ".fna", ".ffn", ".faa", ".frn", ".fas", ".fastq", ".fq")


@dataclass(frozen=True)
class SequenceRecord:
    """A sequence with its header: `name` is the first word of that, `description` the rest.

    `quality` is the mean of Phred's scores, where there are some: a base of the score q is wrong
    with the probability 10^(-q/10).
    """

    name: str
    description: str
    sequence: str
    place: str = ""
    quality: float | None = None

    def __len__(self) -> int:
        return len(self.sequence)


def is_fasta(path: PathLike) -> bool:
    """Whether a path is that of a file of such sequences, by its ending."""
    name = os.fspath(path).lower().removesuffix(".gz")
    return name.endswith(ENDINGS) and os.path.isfile(path)


def read_fasta(path: PathLike, *, encoding: str = "utf-8") -> list[SequenceRecord]:
    """The records of a FASTA or FASTQ file, plain or compressed by gzip.

    >>> import pathlib, tempfile
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "genes.fasta"
    >>> _ = path.write_text(">seq1 promoter\\nTATA\\nAAGG\\n>seq2 other\\nACGT\\n")
    >>> [(r.name, r.description, r.sequence) for r in read_fasta(path)]
    [('seq1', 'promoter', 'TATAAAGG'), ('seq2', 'other', 'ACGT')]

    Which of the two it is, its first sign says. Empty lines, and those of FASTA that begin with
    `;`, are left out. Raises DataError, with file and line, for a record without a sequence, signs
    that are no letters, gaps (`-`, `.`) or stops (`*`), and qualities that are more or fewer than
    bases.
    """
    records = list(iterate_fasta(path, encoding=encoding))
    if not records:
        raise DataError(f"read_fasta: {os.fspath(path)} must have a record, but is empty")
    return records


def iterate_fasta(path: PathLike, *, encoding: str = "utf-8") -> Iterator[SequenceRecord]:
    """The same records one at a time, of a file of any size."""
    lines = ((n, line.strip()) for n, line in numbered_lines(path, "read_fasta", encoding))
    filled = (pair for pair in lines if pair[1])
    first = next(filled, None)
    if first is None:
        return
    number, line = first
    if line[0] == ">" or line[0] == ";":
        yield from _fasta(path, number, line, filled)
    elif line[0] == "@":
        yield from _fastq(path, number, line, lines)
    else:
        raise DataError(
            f"read_fasta: {place(path, number)} must begin with > (FASTA) or @ (FASTQ), got "
            f"{line!r:.40}"
        )


def _fasta(
    path: PathLike, number: int, line: str, lines: Iterator[tuple[int, str]]
) -> Iterator[SequenceRecord]:
    header: tuple[int, str] | None = None
    pieces: list[str] = []

    def record() -> SequenceRecord:
        assert header is not None
        if not pieces:
            raise DataError(
                f"read_fasta: {place(path, header[0])} must have a sequence below it, got none "
                f"for {header[1]!r:.40}"
            )
        return _record(path, *header, "".join(pieces))

    while True:
        if line[0] == ">":
            if header is not None:
                yield record()
            header, pieces = (number, line[1:].strip()), []
        elif line[0] != ";":
            if header is None:
                raise DataError(
                    f"read_fasta: {place(path, number)} must begin with >, got {line!r:.40}"
                )
            pieces.append(_checked(path, number, line))
        following = next(lines, None)
        if following is None:
            break
        number, line = following
    if header is not None:
        yield record()


def _fastq(
    path: PathLike, number: int, line: str, lines: Iterator[tuple[int, str]]
) -> Iterator[SequenceRecord]:
    while True:
        if line[0] != "@":
            raise DataError(
                f"read_fasta: {place(path, number)} must begin with @, as each fourth line of a "
                f"FASTQ file, got {line!r:.40}"
            )
        rest = [pair for _, pair in zip(range(3), lines, strict=False)]
        if len(rest) < 3:
            raise DataError(
                f"read_fasta: {place(path, number)}: a record must have four lines, got "
                f"{1 + len(rest)}; the file is truncated"
            )
        (at, bases), (below, plus), (end, scores) = rest
        if not bases:
            raise DataError(f"read_fasta: {place(path, at)} must have bases, but is empty")
        if not plus.startswith("+"):
            raise DataError(
                f"read_fasta: {place(path, below)} must begin with +, as each third line of a "
                f"FASTQ record, got {plus!r:.40}"
            )
        if len(scores) != len(bases):
            raise DataError(
                f"read_fasta: {place(path, end)} must have a sign of quality for each of "
                f"{len(bases)} bases, got {len(scores)}"
            )
        mean = sum(map(ord, scores)) / len(scores) - 33  # Sanger's, where ! is 0
        yield _record(path, number, line[1:].strip(), _checked(path, at, bases), mean)
        following = next((pair for pair in lines if pair[1]), None)
        if following is None:
            return
        number, line = following


def _checked(path: PathLike, number: int, line: str) -> str:
    """A line of a sequence without blanks, if it has nothing but letters, gaps and stops."""
    line = "".join(line.split())
    if not (line.isascii() and line.isalpha()):
        odd = next((c for c in line if not (c.isascii() and c.isalpha()) and c not in "-*."), None)
        if odd is not None:
            raise DataError(
                f"read_fasta: {place(path, number)} must have letters, gaps (-, .) or stops (*), "
                f"got {odd!r} in {line!r:.40}"
            )
    return line


def _record(
    path: PathLike, number: int, header: str, sequence: str, quality: float | None = None
) -> SequenceRecord:
    name, _, description = header.partition(" ")
    where = place(path, number)
    return SequenceRecord(name, description.strip(), sequence, where, quality)


__all__ = ["SequenceRecord", "is_fasta", "iterate_fasta", "read_fasta"]
