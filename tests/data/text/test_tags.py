"""Tags as entities, in every scheme; scores as `conlleval` has them."""

import itertools
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backlit.data.text import (
    EntityScores,
    convert_tags,
    entities,
    entity_scores,
    flaw,
    scheme_of,
    split_tag,
    tag_constraints,
    tags_of,
)
from backlit.errors import ArgumentError, DataError, ShapeError
from data.text.real import quick
from sampling import every

SCHEMES = ("IOB1", "IOB2", "BIOES", "BILOU")

#: The same entities in each scheme, written by hand: the table of the EACL 1999 paper, continued.
SAME = {
    "IOB1": "I-P I-P I-P O I-P I-L B-L I-L O",
    "IOB2": "B-P I-P I-P O B-P B-L B-L I-L O",
    "BIOES": "B-P I-P E-P O S-P S-L B-L E-L O",
    "BILOU": "B-P I-P L-P O U-P U-L B-L L-L O",
}
SPANS = [("P", 0, 3), ("P", 4, 5), ("L", 5, 6), ("L", 6, 8)]


@every("scheme", SCHEMES)
def test_the_same_entities_in_each_scheme(scheme):
    tags = SAME[scheme].split()
    assert entities(tags) == SPANS
    assert tags_of(SPANS, 9, scheme) == tags
    assert flaw(tags, scheme) is None
    for other in SCHEMES:
        assert convert_tags(SAME[other].split(), scheme) == tags
    assert scheme_of([tags]) == scheme


def test_iobes_is_another_name_for_bioes():
    assert convert_tags(["I-P"], "iobes") == ["S-P"]


@quick
@given(st.lists(st.tuples(st.sampled_from("OBIESLU"), st.sampled_from(["X", "Y-z", ""]))))
def test_whatever_the_tags_their_entities_survive_conversion(pairs):
    tags = ["O" if letter == "O" else f"{letter}-{kind}".rstrip("-") for letter, kind in pairs]
    spans = entities(tags)
    for scheme in SCHEMES:
        converted = convert_tags(tags, scheme)
        assert entities(converted) == spans
        assert flaw(converted, scheme) is None
        assert sum(t != "O" for t in tags) == sum(t != "O" for t in converted)


@every(
    "tags spans",
    [
        ("O I-P I-P", [("P", 1, 3)]),  # inside without a beginning
        ("B-P I-L", [("P", 0, 1), ("L", 1, 2)]),  # another type inside
        ("B-P I-P B-P", [("P", 0, 2), ("P", 2, 3)]),
        ("E-P E-P", [("P", 0, 1), ("P", 1, 2)]),
        ("E-P I-P", [("P", 0, 1), ("P", 1, 2)]),
        ("B-P O E-P", [("P", 0, 1), ("P", 2, 3)]),
        ("S-P I-P", [("P", 0, 1), ("P", 1, 2)]),
        ("B I O", [("", 0, 2)]),
        ("", []),
    ],
)
def test_tags_that_no_scheme_allows_are_read_as_conlleval_does(tags, spans):
    assert entities(tags.split()) == spans


@every(
    "scheme tags found",
    [
        ("IOB2", "O I-P", (1, "B-P")),
        ("IOB2", "B-P I-L", (1, "B-L")),
        ("IOB1", "B-P I-P", (0, "I-P")),
        ("BIOES", "B-P O", (0, "S-P")),
        ("BIOES", "B-P I-P O", (1, "E-P")),
        ("BILOU", "O L-P", (1, "U-P")),
    ],
)
def test_the_first_tag_that_a_scheme_does_not_allow(scheme, tags, found):
    assert flaw(tags.split(), scheme) == found


def test_a_scheme_for_all_sentences_or_none():
    assert scheme_of([["B-P", "I-P"], ["I-P"]]) is None
    assert scheme_of([["O"]]) == "IOB2"
    assert scheme_of([["B-P", "E-P"], ["S-P"]]) == "BIOES"


def test_which_tags_may_follow_each_other():
    cases = {
        "IOB2": "O B I | O, B B, I I O, B I",
        "BIOES": "S | B E | S O S | B I I E O",
        "IOBES": "B E",
        "BILOU": "U | B L | B I L U",
        "IOB1": "I | I B | O I I B I",
    }
    wrong = {
        "IOB2": "I | O I",
        "BIOES": "B | I E | E | B O E | B I | S E | B S | E I",
        "BILOU": "B | L | U L | B U",
        "IOB1": "B | O B | B I",
    }

    def fits(scheme, letters):
        parts = letters.replace(",", "").split()
        names = sorted({f"{a}-x" if a != "O" else a for a in parts} | {"O"})
        start, follow, end = tag_constraints(names, scheme)
        tags = [names.index(f"{a}-x" if a != "O" else a) for a in parts]
        pairs = [follow[a, b] for a, b in itertools.pairwise(tags)]
        return bool(start[tags[0]] and end[tags[-1]] and all(pairs))

    for table, verdict in ((cases, True), (wrong, False)):
        for scheme, texts in table.items():
            for letters in texts.split("|"):
                assert fits(scheme, letters) is verdict, (scheme, letters)
    start, follow, _ = tag_constraints(["O", "B-a", "I-a", "B-b-c", "I-b-c"])
    assert follow[1].tolist() == [True, True, True, True, False]
    assert follow[4].tolist() == [True, True, False, True, True]
    assert start.tolist() == [True, True, False, True, False]
    assert [rule.shape for rule in tag_constraints([])] == [(0,), (0, 0), (0,)]
    with pytest.raises(ArgumentError, match=r"tags of IOB2 are O, or B, I with a type, got 'S-x'"):
        tag_constraints(["O", "S-x"])
    with pytest.raises(ArgumentError, match=r"the scheme must be one of IOB1, .*, got 'IO'"):
        tag_constraints(["O"], "IO")


def test_errors_of_tags():
    with pytest.raises(ArgumentError, match=r"a tag must be O, or one of B-.*got 'NN'; is this"):
        entities(["O", "NN"])
    with pytest.raises(ArgumentError, match="must be O"):
        split_tag("")
    with pytest.raises(ArgumentError, match="one of IOB1, IOB2, BIOES, BILOU or IOBES, got 'IOB'"):
        convert_tags(["O"], "IOB")
    for spans in ([("P", 0, 2), ("P", 1, 3)], [("P", 2, 5)], [("P", 1, 1)], [("P", -1, 1)]):
        with pytest.raises(ArgumentError, match="entities must lie in the sentence"):
            tags_of(spans, 4)


# -- scores -------------------------------------------------------------------------------------

#: What the script conlleval (2004-01-26) prints for these tags, right ones over guessed ones.
PRINTED = """\
processed 14 tokens with 5 phrases; found: 6 phrases; correct: 2.
accuracy:  64.29%; precision:  33.33%; recall:  40.00%; FB1:  36.36
              LOC: precision:   0.00%; recall:   0.00%; FB1:   0.00  2
             MISC: precision:   0.00%; recall:   0.00%; FB1:   0.00  0
              ORG: precision:   0.00%; recall:   0.00%; FB1:   0.00  2
              PER: precision: 100.00%; recall: 100.00%; FB1: 100.00  2"""
RIGHT = ["B-PER I-PER O B-LOC I-LOC", "O B-MISC O B-PER", "O O B-LOC I-LOC I-LOC"]
GUESSED = ["B-PER I-PER O B-LOC B-ORG", "O I-ORG O I-PER", "O O I-LOC I-LOC O"]


def test_the_table_is_that_of_conlleval():
    scores = entity_scores([t.split() for t in RIGHT], [t.split() for t in GUESSED])
    assert str(scores) == PRINTED
    assert (scores.precision, scores.recall, scores.f1) == (2 / 6, 2 / 5, 4 / 11)
    assert scores.accuracy == 9 / 14
    assert (scores.types["PER"].f1, scores.types["LOC"].f1) == (1, 0)
    assert repr(scores) == "EntityScores(F1=0.3636 of 5 entities)"


def test_an_entity_does_not_go_on_in_the_next_sentence():
    apart = entity_scores([["B-P"], ["I-P"]], [["B-P"], ["I-P"]])
    assert (apart.all.phrases, apart.all.correct) == (2, 2)


def test_ratios_of_nothing_are_zero():
    scores = entity_scores([["O"]], [["O"]])
    assert (scores.f1, scores.precision, scores.recall, scores.accuracy) == (0, 0, 0, 1)
    assert str(EntityScores()) == "processed 0 tokens with 0 phrases; found: 0 phrases; correct: 0."
    assert EntityScores().accuracy == 0
    assert scores.all.described().startswith("precision:   0.00%")


def test_schemes_can_be_compared():
    assert entity_scores([["B-P", "E-P", "S-L"]], [["B-P", "I-P", "B-L"]]).f1 == 1


def test_counts_are_saved_and_continued():
    scores = entity_scores([["B-P", "O"]], [["B-P", "B-L"]])
    again = EntityScores()
    again.load_state_dict(scores.state_dict())
    again.add(["B-L"], ["B-L"])
    scores.add(["B-L"], ["B-L"])
    assert str(again) == str(scores)
    for state in ({}, {"tokens": 1, "right": 1, "types": [1]}, None):
        with pytest.raises(DataError, match="a state has tokens, right and types, got"):
            again.load_state_dict(state)


def test_errors_of_scores():
    with pytest.raises(ShapeError, match="guessed tag for each word, got 1 for 2 words"):
        entity_scores([["O", "O"]], [["O"]])
    with pytest.raises(ShapeError, match="guesses for each of 2 sentences, got 1"):
        entity_scores([["O"], ["O"]], [["O"]])
    with pytest.raises(ShapeError, match=re.escape("a list of tags, got the text 'O'")):
        entity_scores(["O"], [["O"]])
    with pytest.raises(ShapeError, match="a list of tags, got the text"):
        entity_scores([["O"]], ["O"])
