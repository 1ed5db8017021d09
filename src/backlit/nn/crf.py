"""A linear-chain conditional random field: the probability of a sequence of tags as a whole."""

from __future__ import annotations

from typing import Any

from ..array_api import (
    arange,
    argmax,
    concat,
    expand_dims,
    logical_and,
    logical_not,
    logical_or,
    logsumexp,
    max,
    mean,
    ones,
    permute_dims,
    sum,
    take_along_axis,
    where,
    zeros,
)
from ..autograd import enable_grad, grad, no_grad
from ..dtypes import FLOATING, INTEGER, bool_, int64
from ..errors import ArgumentError, DTypeError, IndexRangeError, ShapeError
from ..op import Requirement, describe
from ..random import Generator
from ..scanning import scan
from ..state import STATE, where_called
from ..tensor import Tensor, as_tensor
from . import init
from .linear import positive
from .module import Module
from .parameter import Parameter

#: The score of a forbidden step: e to its power is 0, and no difference of two is NaN, as for -∞.
_FORBIDDEN = -1e4
_REDUCTIONS = ("none", "sum", "mean", "token_mean")
_PADDING = "give padding a mask that is False there"
_EMPTY = "leave empty sequences out of the batch"
_EARLY = "put padding behind the sequences"
_BROKEN = "convert the tags to the scheme of the constraints, or leave the constraints out"


class CRF(Module):
    """A linear-chain conditional random field over C tags.

        score(y) = start[y₁] + Σₜ e[t, yₜ] + Σₜ transitions[yₜ₋₁, yₜ] + end[y_T]
        log p(y) = score(y) - log Σ_y' exp score(y')

        emissions e: (T, N, C), tags y: (T, N), mask: (T, N) -> log p summed over N

    With `batch_first` the batch is the first axis. The sum over all Cᵀ sequences is done by the
    forward algorithm in T steps of C² sums. `mask` is True for the steps that there are: the first
    ones of each sequence, at least one; tags elsewhere may be anything. Names, arguments and
    starting values (uniform in ±0.1) are those of the package pytorch-crf.

    `constraints` (see `data.text.tag_constraints`) forbid tags at the ends and pairs of
    neighbours: such sequences have no part in the sum, are never decoded, and cannot be learned.
    Source: Lafferty, McCallum & Pereira, ICML 2001; Collobert et al., JMLR 12 (2011), sec. 3.3.2.

    >>> layer = CRF(3, batch_first=True)
    >>> emissions = as_tensor([[[5.0, 0, 0], [0, 5.0, 0], [0, 0, 5.0]]])
    >>> layer.decode(emissions)
    [[0, 1, 2]]
    >>> layer(emissions, as_tensor([[0, 1, 2]])).item() > layer(emissions, [[0, 1, 1]]).item()
    True
    """

    allowed_start: Tensor | None
    allowed: Tensor | None
    allowed_end: Tensor | None

    def __init__(
        self,
        num_tags: int,
        batch_first: bool = False,
        *,
        constraints: tuple[Any, Any, Any] | None = None,
        dtype: Any = None,
        generator: Generator | None = None,
    ):
        super().__init__()
        positive(self, num_tags=num_tags)
        self.num_tags = num_tags
        self.batch_first = batch_first
        self.start_transitions = Parameter(zeros((num_tags,), dtype=dtype))
        self.end_transitions = Parameter(zeros((num_tags,), dtype=dtype))
        self.transitions = Parameter(zeros((num_tags, num_tags), dtype=dtype))
        names = ("allowed_start", "allowed", "allowed_end")
        shapes = ((num_tags,), (num_tags, num_tags), (num_tags,))
        given = (None, None, None) if constraints is None else constraints
        for name, shape, rule in zip(names, shapes, given, strict=True):
            rule = None if rule is None else as_tensor(rule)
            if rule is not None and (rule.shape != shape or rule.dtype != bool_):
                raise ShapeError(
                    f"CRF: constraints must be truth values of shapes ({num_tags},), "
                    f"({num_tags}, {num_tags}), ({num_tags},), got {describe(rule)}"
                )
            self.register_buffer(name, rule, persistent=False)
        self.reset_parameters(generator)

    def reset_parameters(self, generator: Generator | None = None) -> None:
        """New starting values, uniform in ±0.1."""
        for p in self.parameters():
            init.uniform_(p, -0.1, 0.1, generator)

    def forward(self, emissions: Any, tags: Any, mask: Any = None, reduction: str = "sum") -> Any:
        """log p(tags): its sum over the batch, the values (N,) for "none", or a mean.

        "mean" is that over the sequences, "token_mean" the sum divided by the number of steps.
        Raises where tags break the constraints: their probability is 0.
        """
        if reduction not in _REDUCTIONS:
            raise ArgumentError(
                f"CRF: reduction must be one of {', '.join(_REDUCTIONS)}, got {reduction!r}"
            )
        emissions, mask = self._read(emissions, mask)
        tags = as_tensor(tags)
        tags = permute_dims(tags, (1, 0)) if self.batch_first and tags.ndim == 2 else tags
        if tags.shape != mask.shape or tags.dtype not in INTEGER:
            raise ShapeError(
                f"CRF: tags must be integers {self._axes} as the emissions, (T, N) = {mask.shape}, "
                f"got (T, N) = {describe(tags)}{where_called()}"
            )
        tags = where(mask, tags.astype(int64), 0)
        self._check_tags(tags, mask)
        value = self._score(emissions, tags, mask) - self._normalizer(emissions, mask)
        if reduction == "none":
            return value
        if reduction == "mean":
            return mean(value)
        total = sum(value)
        return total / sum(mask.astype(value.dtype)) if reduction == "token_mean" else total

    def log_normalizer(self, emissions: Any, mask: Any = None) -> Tensor:
        """log Σ_y exp score(y) over all sequences that are allowed: (N,)."""
        return self._normalizer(*self._read(emissions, mask))

    def marginals(self, emissions: Any, mask: Any = None) -> Tensor:
        """p(yₜ = c), the gradient of the log normalizer: as the emissions, 0 where masked.

        >>> CRF(2).marginals(zeros((1, 1, 2))).sum().item() > 0.999
        True
        """
        with enable_grad():
            e = as_tensor(emissions).detach().requires_grad_()
            return grad(sum(self.log_normalizer(e, mask)), e)

    def viterbi(self, emissions: Any, mask: Any = None) -> tuple[Tensor, Tensor]:
        """The best tags, as the mask and 0 where it is False, and their scores (N,).

        Of equal scores the first tag wins. The tags have no gradient, and neither has the score.
        Source: Viterbi, IEEE Trans. Inf. Theory 13 (1967).
        """
        with no_grad():
            emissions, mask = self._read(emissions, mask)
            start, follow, end = self._transitions()
            stay = arange(self.num_tags)

            def forwards(best: Tensor, here: Any) -> tuple[Tensor, Tensor]:
                e, on = here
                paths = expand_dims(best, axis=2) + follow  # (N, from, to)
                pointers = where(on, argmax(paths, axis=1), stay)
                return where(on, max(paths, axis=1) + e, best), pointers

            def backwards(tag: Tensor, pointers: Tensor) -> tuple[Tensor, Tensor]:
                before = take_along_axis(pointers, tag, axis=1)
                return before, before

            best, pointers = start + emissions[0], None
            if len(emissions) > 1:
                best, pointers = scan(forwards, best, _after_first(emissions, mask))
            best = best + end
            last = argmax(best, axis=1, keepdims=True)
            tags = expand_dims(last, axis=0)
            if pointers is not None:
                tags = concat((scan(backwards, last, pointers, reverse=True)[1], tags))
            return self._turned(where(mask, tags[:, :, 0], 0)), max(best, axis=1)

    def decode(self, emissions: Any, mask: Any = None) -> list[list[int]]:
        """The best tags of each sequence, as long as it is."""
        tags, _ = self.viterbi(emissions, mask)
        rows = tags if self.batch_first else permute_dims(tags, (1, 0))
        if mask is None:
            return rows.tolist()
        mask = as_tensor(mask).numpy()
        lengths = mask.sum(axis=1 if self.batch_first else 0)
        return [row[:n] for row, n in zip(rows.tolist(), lengths.tolist(), strict=True)]

    # -- inside, everything is (T, N, ...) ------------------------------------------------------

    @property
    def _axes(self) -> str:
        return "(N, T)" if self.batch_first else "(T, N)"

    def _turned(self, x: Tensor) -> Tensor:
        return permute_dims(x, (1, 0, *range(2, x.ndim))) if self.batch_first else x

    def _read(self, emissions: Any, mask: Any) -> tuple[Tensor, Tensor]:
        """Emissions (T, N, C) and the mask (T, N), checked."""
        emissions = as_tensor(emissions)
        if (
            emissions.ndim != 3
            or 0 in emissions.shape
            or emissions.shape[2] != self.num_tags
            or emissions.dtype not in FLOATING
        ):
            raise ShapeError(
                f"CRF: emissions must be floating {self._axes[:-1]}, C) with T and N above 0 and "
                f"C = num_tags = {self.num_tags}, got {describe(emissions)}{where_called()}"
            )
        emissions = self._turned(emissions)
        if mask is None:
            return emissions, ones(emissions.shape[:2], dtype=bool_)
        mask = as_tensor(mask)
        if mask.dtype != bool_:
            raise DTypeError(
                f"CRF: mask must be truth values, got {describe(mask)}{where_called()}; "
                "for 0 and 1 use mask.astype(bool)"
            )
        mask = self._turned(mask) if mask.ndim == 2 else mask
        if mask.shape != emissions.shape[:2]:
            raise ShapeError(
                f"CRF: mask must be {self._axes} as the emissions, (T, N) = "
                f"{emissions.shape[:2]}, got (T, N) = {mask.shape}{where_called()}"
            )
        lengths = sum(mask.astype(int64), axis=0)
        _must(lengths > 0, lengths, ArgumentError, "every sequence must have a step", _EMPTY)
        what = "a mask must be True up to a sequence's end and False from there"
        _must(logical_or(mask[:-1], logical_not(mask[1:])), mask[1:], ArgumentError, what, _EARLY)
        return emissions, mask

    def _rules(self) -> tuple[Tensor, ...]:
        rules = (self.allowed_start, self.allowed, self.allowed_end)
        return tuple(rule for rule in rules if rule is not None)

    def _transitions(self) -> tuple[Tensor, ...]:
        scores = (self.start_transitions, self.transitions, self.end_transitions)
        rules = self._rules()
        if not rules:
            return scores
        return tuple(where(r, s, _FORBIDDEN) for r, s in zip(rules, scores, strict=True))

    def _check_tags(self, tags: Tensor, mask: Tensor) -> None:
        known = logical_and(tags >= 0, tags < self.num_tags)
        _must(known, tags, IndexRangeError, f"tags must lie in [0, {self.num_tags})", _PADDING)
        rules = self._rules()
        if not rules:
            return
        start, follow, end = rules
        last = _last(tags, mask)
        for holds, of, what in (
            (start[tags[0]], tags[0], "a sequence must begin with an allowed tag"),
            (
                follow[tags[:-1], tags[1:]],
                tags[1:],
                "a tag must be allowed after that before it",
            ),
            (end[last], last, "a sequence must end with an allowed tag"),
        ):
            if of.ndim == 2:
                holds = logical_or(holds, logical_not(mask[1:]))
            _must(holds, of, ArgumentError, what, _BROKEN)

    def _score(self, emissions: Tensor, tags: Tensor, mask: Tensor) -> Tensor:
        """score(tags): (N,)."""
        start, follow, end = self._transitions()
        on = mask.astype(emissions.dtype)
        chosen = take_along_axis(emissions, expand_dims(tags, axis=2), axis=2)[:, :, 0]
        total = start[tags[0]] + sum(where(mask, chosen, 0.0), axis=0) + end[_last(tags, mask)]
        return total + sum(follow[tags[:-1], tags[1:]] * on[1:], axis=0)

    def _normalizer(self, emissions: Tensor, mask: Tensor) -> Tensor:
        """The forward algorithm: αₜ[j] = log Σᵢ exp(αₜ₋₁[i] + transitions[i, j]) + e[t, j]."""
        start, follow, end = self._transitions()

        def step(alpha: Tensor, here: Any) -> tuple[Tensor, None]:
            e, on = here
            after = logsumexp(expand_dims(alpha, axis=2) + follow, axis=1) + e
            return where(on, after, alpha), None

        alpha = start + emissions[0]
        if len(emissions) > 1:
            alpha, _ = scan(step, alpha, _after_first(emissions, mask))
        return logsumexp(alpha + end, axis=1)

    def extra_repr(self) -> str:
        """The number of tags, and what is not usual."""
        text = f"num_tags={self.num_tags}"
        text += ", batch_first=True" if self.batch_first else ""
        return text + (", constrained" if self._rules() else "")


def _after_first(emissions: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Emissions and masks of all steps but the first: (T - 1, N, C), (T - 1, N, 1)."""
    return emissions[1:], expand_dims(mask[1:], axis=2)


def _last(tags: Tensor, mask: Tensor) -> Tensor:
    """The last tag of each sequence: (N,)."""
    return tags[sum(mask.astype(int64), axis=0) - 1, arange(tags.shape[1])]


def _must(holds: Tensor, of: Tensor, error: Any, condition: str, cure: str) -> None:
    """Raise unless all truth values hold, in compiled code when it runs."""
    STATE.execution.require(
        "CRF", lambda xp, ok, x: (Requirement(ok, x, error, condition, cure),), (holds, of)
    )


__all__ = ["CRF"]
