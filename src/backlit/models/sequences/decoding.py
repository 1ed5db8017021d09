"""From a network's scores of the next token to tokens: sampling, beam search, the loop of both."""

from __future__ import annotations

import functools
import math
from collections.abc import Collection, Sequence
from typing import Any

import numpy as np

from ... import nn, random
from ...array_api import argmax, cumulative_sum, min, sort, take, topk, where
from ...array_api.arguments import number, whole
from ...autograd import no_grad
from ...compiler import compile
from ...dtypes import FLOATING, INTEGER
from ...errors import ArgumentError, NonFiniteError, ShapeError
from ...foreign import words
from ...nn.functional import log_softmax, softmax
from ...op import describe
from ...tensor import Tensor, as_tensor


def next_tokens(
    logits: Any,
    *,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    generator: random.Generator | None = None,
) -> Tensor:
    """Draw a token for each row of logits: (N, V) -> (N,).

        p = softmax(logits / temperature)

    `top_k` keeps the k tokens with the largest logits; then `top_p` keeps of what is left the
    fewest most probable tokens whose probabilities sum to at least that. Tokens that tie with the
    last one kept are kept, too. Temperature 0 takes the largest logit, the first of equals.
    Numbers come from the generator, without one from the thread's.
    Source: Fan, Lewis & Dauphin, ACL 2018, sec. 5.4 (top-k); Holtzman et al., ICLR 2020 (top-p).

    >>> next_tokens(as_tensor([[0.0, 2.0, 1.0]]), temperature=0).tolist()
    [1]
    """
    logits = as_tensor(logits).detach()
    if logits.ndim != 2 or 0 in logits.shape or logits.dtype not in FLOATING:
        raise ShapeError(f"next_tokens: logits must be floating (N, V), got {describe(logits)}")
    check_sampling("next_tokens", temperature, top_k, top_p)
    if temperature == 0:
        return argmax(logits, axis=1)
    logits = logits / temperature
    if top_k is not None and top_k < logits.shape[1]:
        last = topk(logits, top_k).values[:, -1:]
        logits = where(logits < last, -math.inf, logits)
    if top_p is not None and top_p < 1:
        ordered = sort(logits, axis=1, descending=True)
        p = softmax(ordered, 1)
        needed = cumulative_sum(p, axis=1) - p < top_p  # those before it do not reach top_p
        last = min(where(needed, ordered, math.inf), axis=1, keepdims=True)
        logits = where(logits < last, -math.inf, logits)
    generator = random.default_generator() if generator is None else generator
    return generator.multinomial(softmax(logits, 1), 1)[:, 0]


def check_sampling(name: str, temperature: float, top_k: int | None, top_p: float | None) -> None:
    """Raise unless the arguments of `next_tokens` mean something."""
    if not 0 <= number(f"{name}: temperature", temperature) < math.inf:
        raise ArgumentError(
            f"{name}: temperature must be finite and not negative, got {temperature}"
        )
    if top_k is not None:
        whole(f"{name}: top_k", top_k)
    if top_p is not None and not 0 < number(f"{name}: top_p", top_p) <= 1:
        raise ArgumentError(f"{name}: top_p must lie in (0, 1], got {top_p}")


class Generative(nn.Module):
    """Base of the networks that produce tokens one after another.

    A network says how it starts (`begin`), how it goes on (`step`), and gets `generate` and
    `beam_search`. What it remembers between steps is a tuple of Tensors: rows of the batch on the
    first axis, or no axis at all.
    """

    #: Most tokens of a text, the prompt included; None: any number.
    context: int | None = None

    def begin(self, prompts: list[list[int]], count: int) -> tuple[Tensor, tuple[Tensor, ...]]:
        """The logits (N, V) after each prompt, and what is remembered; room for `count` more."""
        raise NotImplementedError(f"{type(self).__name__}.begin")

    def step(self, tokens: Tensor, *state: Tensor) -> Tensor:
        """The logits (N, V) after one more token (N,) in each row. The state is changed in place.

        All shapes are those of the step before, so one capture does for all steps.
        """
        raise NotImplementedError(f"{type(self).__name__}.step")

    @functools.cached_property
    def compiled_step(self) -> Any:
        """`step` in native code."""
        return compile(self.step)

    def generate(
        self,
        prompts: Any,
        count: int,
        *,
        temperature: float = 1.0,
        top_k: int | None = None,
        top_p: float | None = None,
        stop: int | Collection[int] = (),
        generator: random.Generator | None = None,
        compiled: bool = False,
    ) -> list[list[int]]:
        """Up to `count` tokens after each prompt, drawn as `next_tokens` says.

        Prompts are lists of tokens, of any lengths above 0. A row ends before a token of `stop`.
        The network is run in eval mode, and left in the mode that it was in. With `compiled` a step
        is native code, made at the first call for each size of batch and room. What is drawn for a
        row depends on the generator and on the rows before it.
        """
        name = f"{type(self).__name__}.generate"
        rows = self._prompts(name, prompts, count)
        check_sampling(name, temperature, top_k, top_p)
        stop = _stops(name, stop)
        result: list[list[int]] = [[] for _ in rows]
        if not count:
            return result
        going = set(range(len(rows)))
        with no_grad(), _evaluating(self):
            logits, state = self.begin(rows, count)
            step = self.compiled_step if compiled else self.step
            for left in reversed(range(count)):
                tokens = next_tokens(
                    logits, temperature=temperature, top_k=top_k, top_p=top_p, generator=generator
                )
                for row, token in enumerate(tokens.tolist()):
                    if token in stop:
                        going.discard(row)
                    elif row in going:
                        result[row].append(token)
                if not going:
                    break
                if left:
                    logits = step(tokens, *state)
        return result

    def beam_search(
        self,
        prompts: Any,
        count: int,
        *,
        beams: int = 4,
        stop: int | Collection[int] = (),
        length_penalty: float = 1.0,
        compiled: bool = False,
    ) -> list[list[int]]:
        """The best continuation of each prompt among those that `beams` beams meet.

            score(y) = Σ log p(yₜ) / |y| ** length_penalty

        A continuation ends at a token of `stop`, which counts in |y| and is left out of the result,
        or after `count` tokens. The search ends when no beam can become better than the best end.
        Source: Graves, arXiv:1211.3711 (2012), algorithm 1.
        """
        name = f"{type(self).__name__}.beam_search"
        rows = self._prompts(name, prompts, count)
        whole(f"{name}: beams", beams)
        if number(f"{name}: length_penalty", length_penalty) < 0:
            raise ArgumentError(
                f"{name}: length_penalty must not be negative, got {length_penalty}"
            )
        stop = _stops(name, stop)
        if not count:
            return [[] for _ in rows]
        search = _Beams(len(rows), beams, count, stop, length_penalty)
        with no_grad(), _evaluating(self):
            logits, state = self.begin([row for row in rows for _ in range(beams)], count)
            step = self.compiled_step if compiled else self.step
            while not search.advance(_finite(name, log_softmax(logits, 1).numpy())):
                kept = as_tensor(search.origin)
                for part in state:
                    if part.ndim:
                        part.assign(take(part, kept, axis=0))
                logits = step(as_tensor(search.tokens), *state)
        return search.best()

    def _prompts(self, name: str, prompts: Any, count: int) -> list[list[int]]:
        """The prompts as lists of tokens, and whether they and `count` more fit."""
        whole(f"{name}: count", count, 0)
        if isinstance(prompts, Tensor):
            if prompts.ndim != 2 or prompts.dtype not in INTEGER:
                raise ShapeError(
                    f"{name}: prompts must be lists of tokens or integers (N, T), got "
                    f"{describe(prompts)}"
                )
            prompts = prompts.tolist()
        if isinstance(prompts, str | bytes) or not isinstance(prompts, Sequence):
            raise ArgumentError(
                f"{name}: prompts must be lists of tokens, got {words(prompts)[0]}; encode a text "
                "with its tokenizer, and put it into a list: [tokens]"
            )
        if not prompts:
            raise ArgumentError(f"{name}: at least one prompt is needed, got none")
        rows = []
        for i, prompt in enumerate(prompts):
            if isinstance(prompt, Tensor | np.ndarray):
                prompt = prompt.tolist()
            if not isinstance(prompt, Sequence) or isinstance(prompt, str | bytes):
                raise ArgumentError(
                    f"{name}: prompt {i} must be a list of tokens, got {words(prompt)[0]}; put a "
                    "single prompt into a list: [tokens]"
                )
            if not prompt:
                raise ArgumentError(
                    f"{name}: every prompt must have at least one token, but prompt {i} has none; "
                    "begin with the token that starts or ends a text"
                )
            self._check_length(name, i, len(prompt), count)
            rows.append([whole(f"{name}: a token of prompt {i}", token, 0) for token in prompt])
        return rows

    def _check_length(self, name: str, i: int, length: int, count: int) -> None:
        """Raise unless a prompt and `count` more tokens fit into the context."""
        if self.context is None or length + count <= self.context:
            return
        left = self.context - count
        cure = "ask for fewer" if left < 1 else f"give its last ones, prompt[-{left}:]"
        raise ShapeError(
            f"{name}: a prompt and the count={count} tokens after it must fit into context="
            f"{self.context}, but prompt {i} has {length} tokens; {cure}"
        )


class _evaluating:  # noqa: N801  (used like a function)
    """A block in which a network is in eval mode."""

    def __init__(self, model: nn.Module):
        self.modes = [(m, m.training) for m in model.modules()]
        self.model = model

    def __enter__(self) -> None:
        self.model.eval()

    def __exit__(self, *error: object) -> None:
        for module, mode in self.modes:
            module.training = mode


def _finite(name: str, log_p: np.ndarray) -> np.ndarray:
    if np.isnan(log_p).any():
        raise NonFiniteError(
            f"{name}: the logits must not be NaN, but some are; see.bad_numbers finds where they "
            "come from"
        )
    return log_p


def _stops(name: str, stop: Any) -> frozenset[int]:
    tokens = [stop] if isinstance(stop, int) else list(stop)
    return frozenset(whole(f"{name}: a token of stop", token, 0) for token in tokens)


class _Beams:
    """The beams of N prompts: B each, side by side in the batch."""

    def __init__(self, rows: int, beams: int, count: int, stop: frozenset[int], penalty: float):
        self.rows, self.beams, self.count = rows, beams, count
        self.stop, self.penalty = stop, penalty
        #: log p of each beam; at first all are the same, so one of them goes on.
        self.scores = np.full((rows, beams), -math.inf)
        self.scores[:, 0] = 0.0
        self.texts: list[list[list[int]]] = [[[] for _ in range(beams)] for _ in range(rows)]
        self.ended: list[tuple[float, list[int]]] = [(-math.inf, [])] * rows
        self.length = 0
        self.tokens = np.zeros(rows * beams, np.int64)
        self.origin = np.arange(rows * beams)

    def advance(self, log_p: np.ndarray) -> bool:
        """Go on with each beam's best next tokens; whether the search is at its end."""
        self.length += 1
        vocabulary = log_p.shape[1]
        total = self.scores[:, :, None] + log_p.reshape(self.rows, self.beams, vocabulary)
        total = total.astype(np.float64).reshape(self.rows, -1)
        # So many are enough, if each beam's best ones were to end.
        most = np.minimum(self.beams * (1 + len(self.stop)), total.shape[1])
        best = np.argsort(-total, axis=1, kind="stable")[:, :most]
        scores = np.full_like(self.scores, -math.inf)
        for row in range(self.rows):
            alive = 0
            texts: list[list[int]] = []
            for place in best[row].tolist():
                beam, token = divmod(place, vocabulary)
                score = total[row, place]
                if alive == self.beams or score == -math.inf:
                    break
                if token in self.stop:
                    self._end(row, score, self.texts[row][beam])
                    continue
                scores[row, alive] = score
                self.tokens[row * self.beams + alive] = token
                self.origin[row * self.beams + alive] = row * self.beams + beam
                texts.append([*self.texts[row][beam], token])
                alive += 1
            self.texts[row] = texts + [[]] * (self.beams - alive)
        self.scores = scores
        if self.length == self.count:
            for row in range(self.rows):
                for score, text in zip(self.scores[row], self.texts[row], strict=True):
                    self._end(row, score, text)
            return True
        attainable = self.scores.max(axis=1) / self.count**self.penalty
        return all(a <= ended for a, (ended, _) in zip(attainable, self.ended, strict=True))

    def _end(self, row: int, score: float, text: list[int]) -> None:
        score = float(score) / self.length**self.penalty
        if score > self.ended[row][0]:
            self.ended[row] = score, text

    def best(self) -> list[list[int]]:
        """The best end of each prompt."""
        return [text for _, text in self.ended]


def padded(rows: Sequence[Sequence[int]], *, left: bool = False) -> tuple[Tensor, Tensor]:
    """Lists of tokens as (N, T), padded with 0, and their lengths (N,)."""
    steps = 0
    for row in rows:
        steps = steps if steps > len(row) else len(row)
    table = np.zeros((len(rows), steps), np.int64)
    for i, row in enumerate(rows):
        table[i, steps - len(row) if left else 0 : steps if left else len(row)] = row
    return as_tensor(table), as_tensor(np.array([len(row) for row in rows], np.int64))
