"""Records in lines of JSON, and where one is not as it should be."""

import gzip
import tracemalloc

import pytest

from backlit.data import DataLoader
from backlit.data.text import JsonLines, read_jsonl
from backlit.errors import ArgumentError, DataError
from sampling import every


def records(tmp_path, text, *arguments, **options):
    path = tmp_path / "a.jsonl"
    path.write_text(text, "utf-8")
    return read_jsonl(path, *arguments, **options)


def test_records_with_typed_fields(tmp_path):
    text = '{"t": "é", "n": 1, "x": 2, "ok": true, "tags": ["a"], "other": {"deep": [[]]}}\n\n'
    text += '{"t": "", "n": -3, "x": 0.5, "ok": false, "tags": []}'
    fields = {"t": str, "n": int, "x": float, "ok": bool, "tags": list, "note": str | None}
    assert records(tmp_path, text, fields) == [
        {"t": "é", "n": 1, "x": 2.0, "ok": True, "tags": ["a"], "note": None},
        {"t": "", "n": -3, "x": 0.5, "ok": False, "tags": [], "note": None},
    ]


def test_nested_fields_are_flattened_under_a_joint_name(tmp_path):
    text = '{"user": {"name": "Ada", "at": {"x": 1}}, "n": 2}'
    assert records(tmp_path, text, flatten="_") == [{"n": 2, "user_name": "Ada", "user_at_x": 1}]
    assert records(tmp_path, text, {"user.name": str}, flatten=".") == [{"user.name": "Ada"}]


@every(
    "text fields said",
    [
        ('{"a": 1}\n{"a": 1', None, r"a\.jsonl:2:8 must be JSON, but is not: Expecting ',' delim"),
        ('{"a": 1}\n[1]', None, r"a\.jsonl:2 must be an object, got \[1\]; each line holds one"),
        ('{"a": 1} {"a": 2}', None, r"a\.jsonl:1:10 must be JSON, but is not: Extra data"),
        ('{"a": 1}\n{"b": 1}', None, r"a\.jsonl:2: the field 'a' differs: the first record has a"),
        ('{"a": 1}\n{"a": 1, "b": 2}', None, r"a\.jsonl:2:15: the field 'b' differs"),
        ('{"a": 1, "a": 2}', None, r"a\.jsonl:1: the field 'a' must be there once, got two"),
        (
            '{"a": {"b": 1}}',
            None,
            r"a\.jsonl:1:7: the field 'a' holds an object; flatten='\.' .*'a\.b",
        ),
        (
            '{"a": [[1]]}',
            None,
            r":1:7: the field 'a' must be a list of texts or numbers, got \[1\]",
        ),
        ('{"x": 0, "a": NaN}', None, r"a\.jsonl:1:15: the field 'a' must be finite, got nan"),
        ('{"a": 9223372036854775808}', None, "must be an integer of 64 bits, or a text"),
        ('{"a": "1"}', {"a": int}, r"a\.jsonl:1:7: the field 'a' must be an integer, got '1'"),
        ('{"a": true}', {"a": int}, "must be an integer, got True"),
        ('{"a": 1.0}', {"a": int}, "must be an integer, got 1.0"),
        ('{"a": null}', {"a": str}, "must be a text, got None"),
        ('{"b": 1}', {"a": str}, r"a\.jsonl:1: the field 'a' is missing; there are none"),
        ("", None, r"a\.jsonl must have at least one record, but has none"),
        ("\n \n", {"a": int}, "must have at least one record"),
        ("[" * 100_000, None, r"a\.jsonl:1 cannot be read"),
    ],
)
def test_what_is_wrong_with_a_record_and_where(text, fields, said, tmp_path):
    with pytest.raises(DataError, match=said):
        records(tmp_path, text, fields)


def test_a_column_is_found_behind_nested_values(tmp_path):
    text = '{"a": {"b": [1, {"}": 2}], "c":  "x"}}'
    with pytest.raises(DataError, match=r"a\.jsonl:1:34: the field 'a\.c' must be an integer"):
        records(tmp_path, text, {"a.c": int}, flatten=".")
    with pytest.raises(DataError, match=r"a\.jsonl:1:24: the field 'a\.b' is there twice"):
        records(tmp_path, '{"a": {"b": 1}, "a.b": 2}', flatten=".")


def test_types_that_a_field_cannot_have():
    for kind in (dict, str | int, None, "str"):
        with pytest.raises(ArgumentError, match="the type of 'a' must be str, int, float, bool or"):
            JsonLines("a.jsonl", {"a": kind})


@pytest.mark.slow
def test_a_file_is_read_anew_in_each_epoch_one_record_at_a_time(tmp_path):
    path = tmp_path / "large.jsonl.gz"
    with gzip.open(path, "wt") as file:
        for i in range(3000):
            file.write(f'{{"i": {i}, "text": "{"x" * 1000}"}}\n')
    stream = JsonLines(path, {"i": int})
    loader = DataLoader(stream, 1000)
    for _ in range(2):
        assert [batch["i"].tolist()[0] for batch in loader] == [0, 1000, 2000]
    tracemalloc.start()
    assert sum(record["i"] for record in stream) == 2999 * 1500
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 500_000  # of 3 MB
    assert repr(stream) == f"JsonLines({str(path)!r})"
