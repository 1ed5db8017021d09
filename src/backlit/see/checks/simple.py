"""The simplest mistakes: signs, constants, the upstream gradient, axes, rows."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator

import numpy as np

from .case import FIT, RANKS, Candidate, Case, Cause
from .experiment import Trial
from .sizes import ratios


def simple(case: Case) -> Iterator[Candidate]:
    """The mistakes that need no knowledge of the op."""
    k, name = case.position, case.name
    yield (
        Cause("zero", f"the gradient of {name} is zero: its path is missing", rank=RANKS["zero"]),
        lambda t: np.zeros_like(t.want(k)),
    )
    yield (
        Cause("sign", f"the sign of the gradient of {name} is wrong", rank=RANKS["sign"],
              fix=f"negate the gradient of {name}"),
        lambda t: -t.want(k),
    )  # fmt: skip
    yield from _constants(case)
    yield from _upstream(case)
    yield from _exchanged(case)
    yield from _rows(case)
    if case.complete:
        yield from _axes(case)
    yield from _jacobian(case)


def _constants(case: Case) -> Iterator[Candidate]:
    k = case.position
    want = np.concatenate([t.want(k)[t.smooth(k)] for t in case.trials])
    got = np.concatenate([g[t.smooth(k)] for g, t in zip(case.got, case.trials, strict=True)])
    power = float(want @ want)
    if power == 0:
        return
    c = float(got @ want) / power
    if c == 0 or not math.isfinite(c) or abs(c + 1) < FIT or abs(c - 1) < FIT:
        return
    names, folded = constant_names(case, abs(c), apart=True)
    text = ("−" if c < 0 else "") + (names[0] if names else f"{abs(c):.6g}")
    also = f" (or {', or '.join(names[1:])})" if len(names) > 1 else ""
    title = f"the gradient of {case.name} is {text} times what it should be{also}"
    if c < 0:
        title += "; its sign is wrong too"
    kind, rank = "constant", RANKS["constant"]
    if folded:
        kind = kind if names[0] in ("2", "1/2") else "mean or sum"
        title += f": {folded}" if kind == "mean or sum" else ""
    if not names:
        rank = RANKS["nameless constant"]
    yield (
        Cause(kind, title, rank=rank, detail={"factor": c},
              fix=f"multiply by {1 / c:.6g}" if abs(c) < 1 else f"divide by {c:.6g}"),
        lambda t: c * t.want(k),
    )  # fmt: skip


def counted(name: str, x: np.ndarray, y: np.ndarray, elementwise: bool) -> list[tuple[str, int]]:
    """The numbers of elements that a sum or a mean may run over, with what they are."""
    found: list[tuple[str, int]] = []
    if not elementwise:
        found += [(f"the size of axis {a} of {name}", n) for a, n in enumerate(x.shape)]
        found += [(f"the size of axis {a} of the output", n) for a, n in enumerate(y.shape)]
    found.append((f"the elements of {name}", x.size))
    found.append(("the elements of the output", y.size))
    for more, less in ((x, y), (y, x)):
        if less.size and more.size % less.size == 0:
            found.append(("the elements folded into one", more.size // less.size))
    if x.ndim > 2:
        found.append(("the elements of a sample", x.size // max(x.shape[0], 1)))
        found.append(("the elements of a channel", x.size // max(x.shape[1], 1)))
    return found


def _at_other_sizes(
    case: Case, listed: list[tuple[str, int]], c: float, elementwise: bool
) -> tuple[list[tuple[str, int]], bool]:
    """Of these numbers those that the factor is at inputs of other sizes, too, and whether it is
    the same number there; all of them if it is none there.
    """
    alike = [(text, n) for text, n in listed if n > 1 and _is(c, n)]
    told = ratios(case.experiment, case.op, case.position) if alike else []
    kept = list(alike)
    for trial, ratio in told:
        there = dict(counted(case.name, trial.inputs[case.position], trial.y, elementwise)[::-1])
        kept = [(text, n) for text, n in kept if _is(abs(ratio), there.get(text, 0))]
    same = all(abs(abs(ratio) / c - 1) < 1e-4 for _, ratio in told)
    if not told or not kept:
        return listed, True
    return [(text, n) for text, n in listed if (text, n) in kept or (text, n) not in alike], same


def _is(c: float, n: float) -> bool:
    """Whether a factor is a number, or one over it."""
    return n > 0 and min(abs(c / n - 1), abs(c * n - 1)) < 1e-4


def constant_names(case: Case, c: float, *, apart: bool = False) -> tuple[list[str], str]:
    """What a positive number may be, and whether it is the count of a sum or mean. Where sizes are
    equal, `apart`: the gradient is c times what it should be, others tell which it is.
    """
    x, y = case.trials[0].inputs[case.position], case.trials[0].y
    elementwise = x.shape == y.shape and case.diagonal
    listed, constant = counted(case.name, x, y, elementwise), True
    if apart:
        listed, constant = _at_other_sizes(case, listed, c, elementwise)
    counts: dict[float, str] = {}
    for what, size in listed:
        if size > 1:
            counts.setdefault(float(size), what)
    plain = {2.0: "2", 1.5: "3/2", 4 / 3: "4/3", math.pi: "π", math.sqrt(2): "√2", math.e: "e",
             math.log(2): "log 2", math.log(10): "log 10", math.sqrt(math.pi): "√π",
             2 / math.sqrt(math.pi): "2/√π", math.sqrt(2 * math.pi): "√2π"}  # fmt: skip
    for attribute in case.op.attributes:
        v = getattr(case.op, attribute)
        if isinstance(v, float | int) and not isinstance(v, bool) and math.isfinite(v):
            for value, text in ((v, attribute), (1 - v, f"(1 − {attribute})")):
                if value > 0:
                    plain.setdefault(float(value), text)
    more = {3.0: "3", 4.0: "4"}
    if not constant:
        plain, more = {}, {}
    names: list[str] = []
    folded = ""
    for value, text in (*plain.items(), *counts.items(), *more.items()):
        for inverse in (False, True):
            if value == 1 or abs(c * (value if inverse else 1 / value) - 1) > 1e-5:
                continue
            if counts.get(value) == text:
                over = "1/" if inverse else ""
                names.append(
                    f"{over}n with n = {value:.0f}, {text}" if names
                    else f"{over}{value:.0f} ({value:.0f} = {text})"
                )  # fmt: skip
                folded = (
                    f"a mean over {text} where a sum belongs" if inverse
                    else f"a sum where a mean over {text} belongs"
                )  # fmt: skip
            else:
                turned = "/".join(reversed(text.split("/"))) if "/" in text else f"1/{text}"
                names.append(turned if inverse else text)
    for (m, one), (n, two) in itertools.permutations(counts.items(), 2):
        if (
            len(names) < 2
            and 1 not in (m, n)
            and m != n
            and abs(c * n / m - 1) < 1e-6
            and m % n
            and n % m
        ):
            names.append(f"{m:.0f}/{n:.0f} ({one} over {two})")
    for value, text in () if names else counts.items():
        for ratio, form in ((value / (value - 1), "n/(n − 1)"), (1 - 1 / value, "(n − 1)/n")):
            if abs(c / ratio - 1) < 1e-6 and value > 2:
                names.append(f"{form}, n = {value:.0f}: {text}")
    return names, folded


def _upstream(case: Case) -> Iterator[Candidate]:
    k = case.position
    others: list[tuple[str, str, Callable[[np.ndarray], np.ndarray]]] = [
        ("upstream forgotten", "the upstream gradient is not used: ones take its place",
         np.ones_like),
        ("upstream twice", "the upstream gradient is multiplied in twice", lambda u: u * u),
    ]  # fmt: skip
    if case.trials[0].y.size > 1:
        others += [
            ("upstream summed", "the sum of the upstream gradient stands for each of its elements",
             lambda u: np.full_like(u, u.sum())),
            ("upstream summed", "the mean of the upstream gradient stands for each of its elements",
             lambda u: np.full_like(u, u.mean())),
        ]  # fmt: skip
    for kind, title, change in others:
        yield (
            Cause(kind, f"{title} (gradient of {case.name})", rank=RANKS["upstream"],
                  fix="multiply the local gradient by grad_y, element by element"),
            lambda t, change=change: t.columns[k].pull(change(t.upstream)),
        )  # fmt: skip


def _exchanged(case: Case) -> Iterator[Candidate]:
    k = case.position
    for j in case.experiment.positions:
        other = case.experiment.names[j]
        columns = case.trials[0].columns
        if j != k and len(columns[j].index) == len(columns[k].index) and case.complete:
            yield (
                Cause("inputs exchanged", f"{case.name} gets the gradient that belongs to {other}",
                      rank=RANKS["gradients exchanged"],
                      fix=f"exchange the entries of {case.name} and {other}"),
                lambda t, j=j: t.want(j),
            )  # fmt: skip


def _rows(case: Case) -> Iterator[Candidate]:
    """Only part of the outputs counts."""
    k = case.position
    shape = case.trials[0].y.shape
    for a, n in enumerate(shape):
        if n < 2:
            continue
        for index, kind, text in (
            (0, "sum missing", f"only index 0 of axis {a} of the output counts: the sum over it is "
                               "missing"),
            (n - 1, "overwritten", f"only the last index of axis {a} of the output counts: the "
                                   "rest was overwritten, not added to"),
        ):  # fmt: skip

            def only(t: Trial, a: int = a, index: int = index) -> np.ndarray:
                u = np.zeros_like(t.upstream)
                place = (slice(None),) * a + (index,)
                u[place] = t.upstream[place]
                return t.columns[k].pull(u)

            which = "first" if index == 0 else "last"
            yield (
                Cause("sum missing", f"the {which} index of axis {a} of the output is left out "
                      f"(gradient of {case.name})", rank=RANKS["one row"] + 0.05 + 0.01 * a,
                      detail={"axis": a}, fix="let the loop, or the slice, cover every index"),
                lambda t, only=only: t.want(k) - only(t),
            )  # fmt: skip
            yield (
                Cause(kind, f"{text} (gradient of {case.name})", rank=RANKS["one row"] + 0.01 * a,
                      detail={"axis": a}, fix="add up the contributions of every index (+=)"),
                only,
            )  # fmt: skip
    yield (
        Cause("overwritten", f"where {case.name} is used more than once only the last use counts: "
              "its gradient is overwritten, not accumulated", rank=RANKS["last use"],
              fix="add with +=, or scatter_add, instead of assigning"),
        lambda t: _one_use(t, k, last=True),
    )  # fmt: skip
    yield (
        Cause("sum missing", f"where {case.name} is used more than once only the first use counts",
              rank=RANKS["first use"], fix="add up the contributions of every use"),
        lambda t: _one_use(t, k, last=False),
    )  # fmt: skip


def _one_use(t: Trial, k: int, last: bool) -> np.ndarray | None:
    flat = t.columns[k].jacobian.reshape(len(t.columns[k].index), -1)
    used = np.abs(flat) > 1e-9
    if flat.size == 0 or not (used.sum(1) > 1).any():
        return None
    position = flat.shape[1] - 1 - np.argmax(used[:, ::-1], 1) if last else np.argmax(used, 1)
    chosen = np.take_along_axis(flat, position[:, None], 1)[:, 0]
    return chosen * t.upstream.reshape(-1)[position]


def _axes(case: Case) -> Iterator[Candidate]:
    """The right numbers in the wrong places."""
    k = case.position
    shape = case.trials[0].inputs[k].shape
    out = case.trials[0].y.shape
    for perm in permutations(shape):
        moved = tuple(shape[a] for a in perm)
        text = f"{case.name}'s gradient has its axes in the order {perm}"
        if len(perm) == 2:
            text = f"{case.name}'s gradient is transposed"
        if moved != shape:
            text += ", then reshaped: reshape where a transpose belongs"
        yield (
            Cause("transposed", text, rank=RANKS["transposed"], detail={"axes": perm},
                  fix="transpose it back (.mT, permute_dims)"),
            lambda t, p=perm: case.shaped(t, t.want(k)).transpose(p).reshape(-1),
        )  # fmt: skip
    for perm in permutations(out):
        if tuple(out[a] for a in perm) == out:
            yield (
                Cause("transposed", f"the upstream gradient is used with its axes in the order "
                      f"{perm} (gradient of {case.name})", rank=RANKS["upstream transposed"],
                      detail={"axes": perm}),
                lambda t, p=perm: t.columns[k].pull(t.upstream.transpose(p)),
            )  # fmt: skip
    for axes in subsets(shape):
        text = f"{case.name}'s gradient runs backwards along axis {', '.join(map(str, axes))}"
        yield (
            Cause(
                "flipped", text, rank=RANKS["flipped"], detail={"axes": axes}, fix="flip it back"
            ),
            lambda t, a=axes: np.flip(case.shaped(t, t.want(k)), a).reshape(-1),
        )
    for axes in subsets(out):
        yield (
            Cause("flipped", f"the upstream gradient is used backwards along axis "
                  f"{', '.join(map(str, axes))} (gradient of {case.name})",
                  rank=RANKS["upstream flipped"],
                  detail={"axes": axes}),
            lambda t, a=axes: t.columns[k].pull(np.flip(t.upstream, a)),
        )  # fmt: skip
    for a, n in enumerate(shape):
        if n < 2:
            continue
        for step in (1, -1):
            yield (
                Cause("shifted", f"{case.name}'s gradient is shifted by one along axis {a}",
                      rank=RANKS["shifted"], detail={"axis": a},
                      fix="check the index arithmetic: off by one"),
                lambda t, a=a, s=step: np.roll(case.shaped(t, t.want(k)), s, a).reshape(-1),
            )  # fmt: skip

        def summed(t: Trial, a: int = a, mean: bool = False) -> np.ndarray:
            full = case.shaped(t, t.want(k))
            fold = full.mean(a, keepdims=True) if mean else full.sum(a, keepdims=True)
            return np.broadcast_to(fold, full.shape).reshape(-1)

        for mean, fold in ((False, "sum"), (True, "mean")):
            yield (
                Cause("summed too much", f"{case.name}'s gradient is the {fold} over axis {a}, "
                      "spread over it: that axis must not be folded",
                      rank=RANKS["summed over an axis"],
                      detail={"axis": a}),
                lambda t, f=summed, m=mean: f(t, mean=m),
            )  # fmt: skip
    yield from _moved(case, shape)
    if len(shape) > 0:

        def total(t: Trial) -> np.ndarray:
            return np.full_like(t.want(k), t.want(k).sum())

        yield (
            Cause("summed too much", f"{case.name}'s gradient is the sum over all its elements, "
                  "spread over them", rank=RANKS["summed over all"]),
            total,
        )  # fmt: skip


def _moved(case: Case, shape: tuple[int, ...]) -> Iterator[Candidate]:
    """Windows that begin too early or too late, and the right numbers in any other order."""
    k = case.position
    large = [a for a, n in enumerate(shape) if n > 2]
    moves = [{a: s} for a in large for s in (1, -1, 2, -2)]
    moves += [{a: s, b: r} for a, b in itertools.combinations(large, 2)
              for s, r in itertools.product((1, -1), repeat=2)]  # fmt: skip
    for move in moves:
        by = " and ".join(f"{abs(s)} along axis {a}" for a, s in move.items())
        yield (
            Cause("shifted", f"{case.name}'s gradient is shifted by {by}",
                  rank=RANKS["shifted"] + 0.01 * len(move), detail={"moves": move},
                  fix="check where the window begins: the crop, the padding, the index"),
            lambda t, m=move: _shifted(case.shaped(t, t.want(k)), m),
        )  # fmt: skip
    order = _order(case)
    if order is not None:
        first = next(i for i, j in enumerate(order) if i != j)
        place, other = (
            [int(n) for n in np.unravel_index(i, shape)] for i in (first, int(order[first]))
        )
        yield (
            Cause("transposed", f"{case.name}'s gradient has the right numbers in another order: "
                  f"{case.name}{place} has what belongs to {case.name}{other}",
                  rank=RANKS["another order"],
                  fix="check the order of axes in reshape, transpose, tile and slices"),
            lambda t: t.want(k)[order],
        )  # fmt: skip


def _shifted(full: np.ndarray, moves: dict[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """The array moved along some axes, and for which elements that is known."""
    known = np.ones(full.shape, bool)
    for a, s in moves.items():
        full = np.roll(full, s, a)
        place = (slice(None),) * a + (slice(None, s) if s > 0 else slice(s, None),)
        known[place] = False
    return full.reshape(-1), known.reshape(-1)


def _order(case: Case) -> np.ndarray | None:
    """Of which element each has the gradient, if all are there and no two are alike."""
    t, got = case.trials[0], case.got[0]
    want = t.want(case.position)
    if len(want) < 3 or not np.isfinite(got).all():
        return None
    rank_want, rank_got = np.argsort(want), np.argsort(got)
    scale = float(np.max(np.abs(want)))
    ordered = want[rank_want]
    if np.diff(ordered).min() < 1e-4 * scale:
        return None
    if np.max(np.abs(ordered - got[rank_got])) > FIT * scale:
        return None
    order = np.empty(len(want), np.int64)
    order[rank_got] = rank_want
    return order if (order != np.arange(len(order))).any() else None


def permutations(shape: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
    """The orders of two to four axes in which some elements change their places."""
    n = len(shape)
    if not 2 <= n <= 4:
        return
    for perm in itertools.permutations(range(n)):
        long = [a for a in perm if shape[a] > 1]
        if long != sorted(long):
            yield perm


def subsets(shape: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
    """Every set of axes along which there is something to reverse."""
    long = [a for a, n in enumerate(shape) if n > 1][-4:]
    for count in range(1, len(long) + 1):
        yield from itertools.combinations(long, count)


def _jacobian(case: Case) -> Iterator[Candidate]:
    """The right Jacobian, used in the wrong way."""
    k = case.position
    t = case.trials[0]
    if t.y.size != t.inputs[k].size or not case.complete or t.y.size < 2:
        return

    def square(t: Trial) -> np.ndarray:
        return t.columns[k].jacobian.reshape(t.y.size, t.y.size)

    off = square(t) - np.diag(np.diag(square(t)))
    if not (np.abs(off) > 1e-6 * max(np.max(np.abs(square(t))), 1e-30)).any():
        return
    yield (
        Cause("diagonal only", "only the diagonal of the Jacobian is used: what the other elements "
              f"contribute to {case.name} is missing", rank=RANKS["diagonal only"],
              fix="add the off-diagonal part: for a softmax y (g − Σ g y), not g y (1 − y)"),
        lambda t: np.diag(square(t)) * t.upstream.reshape(-1),
    )  # fmt: skip
    yield (
        Cause("transposed", f"the Jacobian is not transposed: {case.name} gets J u instead of Jᵀ u",
              rank=RANKS["Jacobian transposed"], fix="run through it the other way round"),
        lambda t: square(t).T @ t.upstream.reshape(-1),
    )  # fmt: skip
