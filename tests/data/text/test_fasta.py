"""FASTA and FASTQ files: what is read, and one clear error for what is not."""

import gzip

import pytest

from backlit.data.text import read_fasta
from backlit.errors import DataError


def written(tmp_path, content, name="x.fasta"):
    path = tmp_path / name
    path.write_bytes(content.encode())
    return path


def test_fasta_over_several_lines_with_comments_and_other_line_ends(tmp_path):
    text = "; by hand\r\n>one first gene\r\nACGT\r\nAC-N\r\n\r\n>two\r\nMKV*\r\n"
    records = read_fasta(written(tmp_path, text))
    assert [(r.name, r.description, r.sequence) for r in records] == [
        ("one", "first gene", "ACGTAC-N"),
        ("two", "", "MKV*"),
    ]
    assert records[1].place.endswith("x.fasta:6")
    assert len(records[0]) == 8


def test_fastq_packed_whose_qualities_begin_with_at(tmp_path):
    path = tmp_path / "reads.fq.gz"
    path.write_bytes(gzip.compress(b"@r1 a\nACGT\n+r1\n@@II\n@r2\nAC\n+\n!!\n\n"))
    records = read_fasta(path)
    assert [(r.name, r.sequence, r.quality) for r in records] == [
        ("r1", "ACGT", 35.5),
        ("r2", "AC", 0.0),
    ]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", r"x.fasta must have a record, but is empty"),
        ("ACGT\n", r"x.fasta:1 must begin with > \(FASTA\) or @ \(FASTQ\), got 'ACGT'"),
        (";a\nACGT\n", r"x.fasta:2 must begin with >, got 'ACGT'"),
        (">a\n>b\nAC\n", r"x.fasta:1 must have a sequence below it, got none for 'a'"),
        (">a\nAC\n>b\n", r"x.fasta:3 must have a sequence below it, got none for 'b'"),
        (">a\nAC7T\n", r"x.fasta:2 must have letters, gaps .* got '7' in 'AC7T'"),
        ("@a\nACGT\n+\n", r"x.fasta:1: a record must have four lines, got 3; the file is trunc"),
        ("@a\nACGT\nIIII\n+\n", r"x.fasta:3 must begin with \+, as each third line"),
        ("@a\nACGT\n+\nIII\n", r"x.fasta:4 must have a sign of quality for each of 4 bases, got 3"),
        ("@a\n\n+\n\n", r"x.fasta:2 must have bases, but is empty"),
        ("@a\nAC\n+\nII\nb\nAC\n+\nII\n", r"x.fasta:5 must begin with @, as each fourth line"),
    ],
)
def test_what_is_no_record_is_named_with_its_line(tmp_path, text, says):
    with pytest.raises(DataError, match=says):
        read_fasta(written(tmp_path, text))
