"""Vectors of words: every format, what is not known, and what is wrong where."""

import gzip
import struct
import tracemalloc

import numpy as np
import pytest

from backlit.data.text import Vocabulary, load_vectors
from backlit.errors import ArgumentError, DataError, MissingFileError
from data.text.real import corpus
from sampling import every

ROWS = {"the": [0.5, -1.25, 2.0], "of": [0.25, 0.125, -3.5], "köln": [-1.0, 0.75, 1e-3]}


def glove(rows=ROWS):
    return "".join(f"{w} {' '.join(map(str, v))}\n" for w, v in rows.items()).encode()


def word2vec(rows=ROWS, end=" "):
    lines = "".join(f"{w} {' '.join(map(str, v))}{end}\n" for w, v in rows.items())
    return f"{len(rows)} 3\n{lines}".encode()


def binary(rows=ROWS, end=b"\n"):
    records = [w.encode() + b" " + struct.pack("<3f", *v) + end for w, v in rows.items()]
    return b"%d 3\n" % len(rows) + b"".join(records)


def load(tmp_path, content, words=("the", "köln"), **options):
    path = tmp_path / "v.txt"
    path.write_bytes(content)
    return load_vectors(path, Vocabulary(words), **options)


@every(
    "content",
    [
        glove(),
        glove().replace(b"\n", b"\r\n"),
        gzip.compress(glove()),
        word2vec(),
        word2vec(end=""),
        gzip.compress(word2vec()),
        binary(),
        binary(end=b""),
        gzip.compress(binary()),
    ],
)
def test_every_format_gives_the_same_vectors(content, tmp_path):
    vectors = load(tmp_path, content)
    np.testing.assert_array_equal(vectors.array[2:], np.float32([ROWS["the"], ROWS["köln"]]))
    assert vectors.array.dtype == np.float32
    assert (vectors.exact, vectors.lowered, vectors.missing) == (["the", "köln"], [], [])
    assert vectors.coverage == 1


def test_a_word_without_a_vector_has_that_of_its_small_letters_or_a_drawn_one(tmp_path):
    words = ("The", "KÖLN", "ibex", "of")
    vectors = load(tmp_path, glove(), words)
    assert vectors.array[2:4].tolist() == np.float32([ROWS["the"], ROWS["köln"]]).tolist()
    assert (vectors.exact, vectors.lowered, vectors.missing) == (["of"], ["The", "KÖLN"], ["ibex"])
    assert vectors.coverage == 0.75
    assert vectors.array[0].tolist() == [0, 0, 0]
    assert str(vectors) == (
        "v.txt: vectors of 3 numbers for 3 of 4 words (75.0 %), 2 of them in small letters; "
        "none for 'ibex'"
    )
    assert repr(vectors) == "WordVectors(6 x 3, coverage 75.0 %)"
    strict = load(tmp_path, glove(), words, lowercase=False)
    assert strict.missing == ["The", "KÖLN", "ibex"]
    again, other = load(tmp_path, glove(), words), load(tmp_path, glove(), words, seed=1)
    np.testing.assert_array_equal(again.array, vectors.array)
    assert (other.array[[1, 4]] != vectors.array[[1, 4]]).all()


def test_drawn_rows_have_the_mean_and_deviation_of_those_that_were_found(tmp_path):
    rng = np.random.default_rng(0)
    rows = {f"w{i}": rng.normal([1, -2, 0], [0.5, 2, 3]) for i in range(200)}
    words = [*rows, *(f"unknown{i}" for i in range(20_000))]
    drawn = load(tmp_path, glove(rows), words).array[202:]
    found = np.stack(list(rows.values()))
    np.testing.assert_allclose(drawn.mean(axis=0), found.mean(axis=0), atol=0.1)
    np.testing.assert_allclose(drawn.std(axis=0), found.std(axis=0), rtol=0.03)


def test_a_layer_of_vectors(tmp_path):
    layer = load(tmp_path, glove()).embedding()
    assert (layer.weight.shape, layer.padding_idx) == ((4, 3), 0)
    assert layer.weight.requires_grad
    assert not load(tmp_path, glove()).embedding(freeze=True).weight.requires_grad
    path = tmp_path / "v.txt"
    bare = load_vectors(path, Vocabulary(["the"], padding=None, unknown=None))
    assert bare.embedding().padding_idx is None


def test_words_with_spaces_and_words_that_are_numbers(tmp_path):
    content = b". . . 0.5 1 2\n7 3 4 5\nat a@b.c 6 7 8\nthe 1 1 1\n"
    vectors = load(tmp_path, content, (". . .", "7", "at a@b.c"))
    assert vectors.array[2:].tolist() == [[0.5, 1, 2], [3, 4, 5], [6, 7, 8]]
    first = load(tmp_path, b"10 20 3 4 5\nthe 1 2 3\n", ("10 20", "the"), dimension=3)
    assert first.array[2:].tolist() == [[3, 4, 5], [1, 2, 3]]
    for content in (b"2 1\nthe 0.5\nof 1\n", b"the 0.5\nof 1\n"):
        assert load(tmp_path, content, ("the",)).array[2:].tolist() == [[0.5]]
    both = load(tmp_path, b"2 1\nthe 0.5\n", ("2", "the"), format="glove")
    assert both.array[2:].tolist() == [[1.0], [0.5]]


def test_the_same_word_twice(tmp_path):
    content = glove() + b"the 9 9 9\n"
    with pytest.raises(
        DataError, match=r"v\.txt:4: 'the' must have one vector, got another at .*v\.txt:1; dupl"
    ):
        load(tmp_path, content)
    first = load(tmp_path, content, duplicates="first")
    assert first.array[2].tolist() == ROWS["the"]
    load(tmp_path, glove() + glove())  # equal vectors are no question
    load(tmp_path, glove() + b"x 1 2 3\nx 4 5 6\n")  # nor are words that nobody asks for
    with pytest.raises(ArgumentError, match="duplicates must be 'error' or 'first', got 'last'"):
        load(tmp_path, content, duplicates="last")


HUGE = b"4000000000 300\n"


@every(
    "content options said",
    [
        (b"", {}, r"v\.txt must have vectors, but is empty"),
        (b"the\n", {}, r"v\.txt:1 must have a word and its numbers, got 'the'"),
        (glove() + b"x 1 2\n", {}, r"v\.txt:4 must have a word and 3 numbers, .* got 2 in 'x 1 2'"),
        (glove() + b"x 1 2 3 4\n", {}, r"v\.txt:4 must have a word and 3 numbers, .* got 4 in"),
        (glove() + b"\n", {}, r"v\.txt:4 must have a word and 3 numbers"),
        (glove() + b" 1 2 3\n", {}, r"v\.txt:4 must have a word, but has none"),
        (b"of 1 1 1\nthe 1 x 3\n", {}, r"v\.txt:2: the vector of 'the' must be numbers, got 'x'"),
        (
            b"the 1 nan 3\n",
            {},
            r"v\.txt:1: the vector of 'the' must be finite, got nan as num",
        ),
        (b"the 1 2 1e39\n", {}, "must be finite, got inf as number 2"),
        (b"zebra 1 2 3\n", {}, r"a vector for one of the 2 words .* \('the', 'köln', …\), but has"),
        (word2vec()[:-20], {}, r"v\.txt:4 must have a word and 3 numbers"),
        (
            word2vec().rpartition(b"k")[0],
            {},
            "must have 3 words, as its first line says, got 2",
        ),
        (word2vec() + b"x 1 2 3\n", {}, "must have 3 words, as its first line says, got 4"),
        (binary()[:-5], {}, "must have 3 records .* of another format at record 3"),
        (binary() + b"x", {}, "must have 3 records, as its first line says, but has more"),
        (binary({"the": [1, float("nan"), 3]}), {}, "v.txt: record 1: .* finite, got nan"),
        (HUGE + binary()[4:], {}, "must have 4,000,000,000 records of a word and 300 numbers, but"),
        (b"3 3\n" + b"\xff" * 200_000, {}, "another format at record 1"),
        (gzip.compress(glove())[:-9], {}, r"v\.txt is a truncated or damaged gzip file"),
        (
            (793712314).to_bytes(4, "little"),
            {},
            r"is a whole model of fastText; take the file",
        ),
        (
            glove(),
            {"format": "binary"},
            r"v\.txt:1 must have the count of words and of num",
        ),
        (word2vec(), {"dimension": 4}, "the count of words and of numbers, 4, got '3 3'"),
    ],
)
def test_what_is_wrong_with_a_file_and_where(content, options, said, tmp_path):
    with pytest.raises(DataError, match=said):
        load(tmp_path, content, **options)


def test_arguments_and_files_that_are_none(tmp_path):
    with pytest.raises(ArgumentError, match="format must be one of glove, word2vec, binary"):
        load(tmp_path, glove(), format="x")
    with pytest.raises(ArgumentError, match="dimension must be a positive integer, got 0"):
        load(tmp_path, glove(), dimension=0)
    with pytest.raises(MissingFileError, match=r"none\.txt cannot be read"):
        load_vectors(tmp_path / "none.txt", Vocabulary(["a"]))


def test_only_the_rows_of_the_vocabulary_are_kept(tmp_path):
    for content in (
        b"".join(b"word%d %s\n" % (i, b" ".join([b"0.25"] * 100)) for i in range(5000)),
        b"5000 100\n"
        + b"".join(b"word%d %s\n" % (i, struct.pack("<100f", *[0.25] * 100)) for i in range(5000)),
    ):
        tracemalloc.start()
        vectors = load(tmp_path, content, ("word77", "word4999"))
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert vectors.coverage == 1
        assert peak < 600_000  # of 2 MB and more


def test_vectors_of_tweets(tmp_path):
    path, real = corpus("glove-twitter-25d/glove.twitter.25d.12k.txt.gz", tmp_path)
    vectors = load_vectors(path, Vocabulary(["the", "Of", "axolotlesque"]))
    assert (vectors.exact, vectors.lowered) == (["the"], ["Of"])
    if real:
        assert vectors.array.shape == (5, 25)
        assert vectors.array[2, :3].tolist() == np.float32([-0.010167, 0.020194, 0.21473]).tolist()
