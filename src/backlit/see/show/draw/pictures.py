"""The arrays of a record for the page's pictures: few bytes of each, and what was left out.

A picture is a list `[code, shape, kept, cuts, low, high, data, counts]`. `kept` is the shape of
what is there, `cuts` says for each axis how it came from `shape`: "a" all, "f" the first ones, "e"
every so-manyth of an image, "c" cells of neighbours, of which the element of largest size stands
there. `code` names the elements in `data` (base64, row-major, little-endian): "f" float32, "i"
int32, "u" bytes between `low` and `high` (see `cells.coded`). `low` and `high` are
the true least and largest number of the whole array, `counts` the histogram of an array that is not
there in full.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ....dtypes import FLOATING
from ....errors import ArgumentError
from ...records.model import Record
from ...records.parts import NodeRecord
from ...records.value import Value, encode, rounded
from ..cells import bars, coded, pooled
from .bodies import Opened

#: Fewer elements are read as text.
LEAST = 4
#: Up to so many floats are kept as they are, others as bytes.
EXACT = 512
#: The elements of one array that a page has at most; where there are many arrays each has fewer.
LARGEST = 2**16  # of images
CAPS = (2**14, 2**13, 2**12, 2**11, 2**10, 2**9, 2**8, 2**7)
#: The bytes of all pictures in one page.
TOTAL = 3 * 2**20
#: Cells of a map on a side, alone and where there are several.
SIDE, SIDE_OF_MANY = 128, 64
#: So many maps are kept before each is larger.
MAPS = 16
#: Bars of a histogram.
BARS = 32
#: About how many bytes of text a picture has, and how many more its histogram.
SAID, COUNTED = 90, 150
#: Rows of so many numbers may be square pictures.
SQUARES = (49, 1024)
#: Tokens are looked for behind so many ops that move a value.
FAR = 8

Packed = list[Any]


def pictures(
    record: Record, wanted: bool | Sequence[Any] = True, total: int = TOTAL
) -> dict[str, Any]:
    """The pictures of a record within `total` bytes; `wanted` may name the only nodes that have
    some.

    Arrays that are one have one picture: `list` has them, and `value`, `upstream` (of nodes),
    `local` and `downstream` (of edges) their numbers there by the number of the node or edge.
    """
    chosen = _chosen(record, wanted)
    places = list(_places(record, chosen))
    distinct: dict[int, _Place] = {}
    for p in places:
        first = distinct.setdefault(id(p.value.array), p)
        first.tier = min(first.tier, p.tier)
    caps = _caps(distinct.values(), total)
    found: dict[str, Any] = {"value": {}, "upstream": {}, "local": {}, "downstream": {}}
    numbers = {key: i for i, key in enumerate(distinct)}
    for p in places:
        found[p.what][p.number] = numbers[id(p.value.array)]
    made = [packed(p.value, caps[p.tier], p.tier == _PHOTO) for p in distinct.values()]
    return {**found, "list": made, "cap": caps[_OWN], "some": chosen is not None}


#: Who comes first where there is little room, and how much of what is left they get: images, what
#: the computation has, what is inside of ops and local gradients.
_PHOTO, _OWN, _REST = range(3)
_PARTS = (0.15, 0.7, 1.0)


@dataclass(slots=True)
class _Place:
    """Where an array of a size to look at stands: of what, of which node or edge."""

    what: str
    number: int
    value: Value
    tier: int


def _chosen(record: Record, wanted: bool | Sequence[Any]) -> set[int] | None:
    """The numbers of the nodes that have pictures; None: all."""
    if isinstance(wanted, bool):
        return None if wanted else set()
    if isinstance(wanted, str) or not isinstance(wanted, Iterable):
        raise ArgumentError(
            f"draw: pictures must be True, False or a list of nodes (names, numbers or Tensors), "
            f"got {wanted!r:.60}"
        )
    return {record.find(node).id for node in wanted}


def _places(record: Record, chosen: set[int] | None) -> Iterator[_Place]:
    own = len(record.closed.nodes) if isinstance(record, Opened) else len(record.nodes)
    for n in record.nodes:
        if chosen is None or n.id in chosen:
            tier = _PHOTO if is_photo(n) else _OWN if n.id < own else _REST
            yield from _place("value", n.id, n.value, tier)
            yield from _place("upstream", n.id, n.upstream, tier)
    for e in record.edges:
        if chosen is None or {e.source, e.target} & chosen:
            yield from _place("downstream", e.id, e.gradient, _OWN if e.target < own else _REST)
            if e.local is not None and e.local.kind in ("diagonal", "row"):
                yield from _place("local", e.id, e.local.value, _REST)


def _place(what: str, number: int, v: Value | None, tier: int) -> Iterator[_Place]:
    if v is None or v.array is None:
        return
    words = v.dtype.kind in "iu" and v.shape != ()  # a sentence may be short
    if v.size >= (2 if words else LEAST):
        yield _Place(what, number, v, tier)


def is_photo(n: NodeRecord) -> bool:
    """Whether a node's value looks like images: an input of 1 or 3 channels, (N, C, H, W)."""
    if n.kind in ("op", "parameter") or len(n.shape) not in (3, 4):
        return False
    channels, height, width = n.shape[-3:]
    return channels in (1, 3) and min(height, width) >= 8


def _caps(places: Iterable[_Place], total: int) -> list[int]:
    """How many elements of each array fit into so many bytes, for each tier."""
    sizes: list[list[int]] = [[], [], []]
    for p in places:
        sizes[p.tier].append(p.value.size)
    caps, left = [], float(total)
    for tier, part in enumerate(_PARTS):
        cap = _cap(sizes[tier], part * left, (LARGEST, *CAPS) if tier == _PHOTO else CAPS)
        left -= _bytes(sizes[tier], cap)
        caps.append(cap)
    return caps


def _cap(sizes: Sequence[int], room: float, caps: Sequence[int] = CAPS) -> int:
    fitting = (cap for cap in caps if _bytes(sizes, cap) <= room)
    return next(fitting, max(int(room) // (2 * max(len(sizes), 1)), LEAST))


def _bytes(sizes: Sequence[int], cap: int) -> float:
    """About how many bytes arrays take if so many elements of each are kept."""
    elements = sum(4 * s if s <= min(EXACT, cap) else min(s, cap) for s in sizes)
    return elements * 4 / 3 + sum(SAID if s <= cap else SAID + COUNTED for s in sizes)


def packed(v: Value, cap: int, photo: bool = False) -> Packed:
    """An array's picture, of at most about `cap` elements."""
    array = v.array
    assert array is not None
    if array.dtype.kind == "b":
        array = array.astype(np.uint8)
    kept, cuts = _cut(array, cap, photo)
    low, high = v.statistics["min"], v.statistics["max"]
    if v.dtype not in FLOATING:
        code, data = "i", np.clip(kept, -(2**31), 2**31 - 1).astype("<i4")
    elif array.size <= min(EXACT, cap) or low is None or high is None:
        code, data = "f", _as_float32(kept)
    else:
        code, data = "u", coded(kept.astype(np.float64), low, high)
    counts = None if kept.size == array.size else _counts(array)
    ends = [x if x is None else encode(rounded(x)) for x in (low, high)]
    text = base64.b64encode(np.ascontiguousarray(data).tobytes()).decode()
    return [code, list(array.shape), list(kept.shape), cuts, *ends, text, counts]


def _as_float32(kept: np.ndarray) -> np.ndarray:
    with np.errstate(all="ignore"):
        return kept.astype("<f4")


def _cut(array: np.ndarray, cap: int, photo: bool) -> tuple[np.ndarray, str]:
    """The part of an array that is kept, and how each axis was cut."""
    shape = array.shape
    cuts = ["a"] * len(shape)
    if array.size <= cap:
        return array, "".join(cuts)
    if array.dtype.kind in "iu":  # whole numbers may be names: none stands for others
        return _first(array, cuts, max(cap // 4, LEAST))
    if len(shape) == 2 and _is_square(shape[1]) and shape[1] <= cap:
        rows = min(shape[0], cap // shape[1])
        cuts[0] = "a" if rows == shape[0] else "f"
        return array[:rows], "".join(cuts)
    # all channels of an image, or it is none; of others rather many small maps than few large ones
    maps = math.prod(shape[:-2])
    room = cap // (shape[-3] if photo else max(min(maps, MAPS), 1))
    side = min(SIDE if len(shape) <= 2 or photo else SIDE_OF_MANY, max(math.isqrt(room), 2))
    most = [min(n, side) for n in shape[-2:]] if len(shape) > 1 else [min(shape[0], cap)]
    room = max(cap // math.prod(most), 1)
    index: list[slice] = []
    for axis in range(len(shape) - 3, -1, -1):
        n = min(shape[axis], room)
        room //= n
        cuts[axis] = "a" if n == shape[axis] else "f"
        index.insert(0, slice(n))
    array = array[tuple(index)]
    for axis, n in zip(range(len(index), len(shape)), most, strict=True):
        if n < shape[axis]:  # the largest of neighbours would no longer look like a photograph
            cuts[axis] = "e" if photo else "c"
            array = _every(array, axis, n) if photo else pooled(_plain(array), axis, n)
    return array, "".join(cuts)


def _first(array: np.ndarray, cuts: list[str], room: int) -> tuple[np.ndarray, str]:
    """The first elements along each axis, the last axis before the others."""
    for axis in range(array.ndim - 1, -1, -1):
        n = max(min(array.shape[axis], room), 1)
        room //= n
        if n < array.shape[axis]:
            cuts[axis] = "f"
            array = array[(slice(None),) * axis + (slice(n),)]
    return array, "".join(cuts)


def _every(array: np.ndarray, axis: int, most: int) -> np.ndarray:
    n = array.shape[axis]
    return np.take(array, [i * n // most for i in range(most)], axis)


def _plain(array: np.ndarray) -> np.ndarray:
    return array.astype(np.float32) if array.dtype.itemsize <= 2 else array


def _is_square(n: int) -> bool:
    return SQUARES[0] <= n <= SQUARES[1] and math.isqrt(n) ** 2 == n


def _counts(array: np.ndarray) -> list[Any] | None:
    found = bars(array, BARS)
    if found is None:
        return None
    counts, low, high = found
    return [counts.tolist(), rounded(low), rounded(high)]


# -- tokens ---------------------------------------------------------------------------------------


def tokens_of(record: Record, tokens: Any) -> dict[str, Any] | None:
    """What numbers are called where they are tokens: `{"nodes": [...], "words": {number: word}}`.

    `tokens` is a vocabulary or tokenizer with `token` or `tokens`, a list of words, a dict from
    numbers to words, or a function. Whole numbers are tokens if they meet an axis that is as long
    as the vocabulary (of embeddings, of logits), and are no positions beside tokens.
    """
    if tokens is None:
        return None
    name, count = _names(tokens)
    met = {n.id: _met(record, n, count) for n in record.nodes if _may_be_tokens(n, count)}
    tables = {i: table for i, table in met.items() if table is not None}
    nodes = [record.nodes[i] for i in tables if not _is_position(record, i, tables)]
    numbers = {int(i) for n in nodes for i in np.unique(n.value.array)}  # type: ignore[union-attr,arg-type]
    return {"nodes": [n.id for n in nodes], "words": {i: str(name(i)) for i in sorted(numbers)}}


def _names(tokens: Any) -> tuple[Any, int | None]:
    """The function from a number to its word, and how many there are."""
    listed = getattr(tokens, "tokens", tokens)
    if hasattr(tokens, "token"):
        return tokens.token, len(tokens)
    if isinstance(listed, dict):
        return lambda i: listed.get(i, f"{i}?"), len(listed)
    if isinstance(listed, Sequence) and not isinstance(listed, str):
        return lambda i: listed[i] if 0 <= i < len(listed) else f"{i}?", len(listed)
    if callable(tokens):
        return tokens, None
    raise ArgumentError(
        "draw: tokens must be a vocabulary, a tokenizer, a list of words, a dict from numbers to "
        f"words or a function, got {type(tokens).__name__}"
    )


def _may_be_tokens(n: NodeRecord, count: int | None) -> bool:
    if n.dtype.kind not in "iu" or n.value is None or n.value.array is None or not n.value.size:
        return False
    array = n.value.array
    return int(array.min()) >= 0 and (count is None or int(array.max()) < count)


def _met(record: Record, n: NodeRecord, count: int | None) -> int | None:
    """The first node with an axis of `count` (None: of any length) that whole numbers meet in an
    op, directly or after ops that move them: a table of embeddings, logits."""
    front, seen = [n.id], {n.id}
    for _ in range(FAR):
        edges = [e for number in front for e in record.outgoing[number]]
        for e in edges:
            for beside in record.incoming[e.target]:
                other = record.nodes[beside.source]
                if other.id not in seen and (count in other.shape if count else other.shape):
                    return other.id
        front = []
        for e in edges:
            moves = record.nodes[e.target].op_class.role == "mover"
            if moves and record.nodes[e.target].dtype == n.dtype and e.target not in seen:
                front.append(e.target)
                seen.add(e.target)
    return None


def _is_position(record: Record, number: int, tables: dict[int, int]) -> bool:
    """Whether numbers count 0, 1, 2, … and index a table of their own beside one of tokens.

    A sentence may count, too: it is one if nothing else that has a table does not count or has
    more axes.
    """
    mine = _array(record, number)
    if not _counts_up(mine) or record.nodes[tables[number]].kind == "op":
        return False
    others = [
        _array(record, i)
        for i, table in tables.items()
        if table != tables[number] and record.nodes[table].kind != "op"
    ]
    return any(not _counts_up(other) or other.ndim > mine.ndim for other in others)


def _array(record: Record, number: int) -> np.ndarray:
    value = record.nodes[number].value
    assert value is not None
    assert value.array is not None
    return value.array


def _counts_up(array: np.ndarray) -> bool:
    """Whether every row is 0, 1, 2, …"""
    return array.ndim > 0 and bool((array == np.arange(array.shape[-1])).all())
