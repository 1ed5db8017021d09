"""Pruning: parameters of which some numbers are held at 0 by a mask.

The parameter `weight` becomes `weight_orig`, which is learned, and a buffer `weight_mask` of ones
and zeros; `weight` is their product, computed each time it is read. Pruning again prunes among what
is left. An `amount` is a number of entries (or of channels), or a fraction of them.
"""

from __future__ import annotations

import abc
from collections.abc import Iterable
from typing import Any

import numpy as np

from ...autograd import no_grad
from ...calls import explain
from ...errors import ArgumentError, ShapeError
from ...random import default_generator
from ...tensor import Tensor, as_tensor
from ..module import Module
from ..parameter import Parameter
from .computed import Computed, compute, computed_of, restore


class _Masked:
    """A parameter times its mask."""

    def __init__(self, name: str):
        self.name = name

    def __call__(self, module: Any) -> Tensor:
        return getattr(module, f"{self.name}_orig") * getattr(module, f"{self.name}_mask")


class BasePruningMethod(abc.ABC):
    """A way to prune: subclass it and write `compute_mask`.

    `PRUNING_TYPE` says among what it chooses: single numbers that are left ("unstructured"),
    channels that are left ("structured", along `dim`), or all of the parameter ("global").
    """

    PRUNING_TYPE = "global"

    @abc.abstractmethod
    def compute_mask(self, t: Tensor, default_mask: Tensor) -> Tensor:
        """The new mask of t, whose mask so far is given."""

    @classmethod
    def apply(
        cls, module: Module, name: str, *args: Any, importance_scores: Any = None, **kwargs: Any
    ) -> BasePruningMethod:
        """Prune a parameter of a module with `cls(*args, **kwargs)`."""
        method = cls(*args, **kwargs)
        value = _value(module, name)
        scores = value if importance_scores is None else as_tensor(importance_scores)
        if scores.shape != value.shape:
            raise ShapeError(
                f"prune: importance_scores must have the parameter's shape {value.shape}, got "
                f"{scores.shape}"
            )
        before = _mask(module, name)
        _set_mask(module, name, method._combined(scores.detach().numpy(), before))
        return method

    def _combined(self, scores: np.ndarray, before: np.ndarray) -> np.ndarray:
        """The new mask, of what is left by the one before."""
        if self.PRUNING_TYPE == "unstructured":
            kept: Any = before == 1
        elif self.PRUNING_TYPE == "structured":
            axis = self.dim % before.ndim  # type: ignore[attr-defined]
            others = tuple(i for i in range(before.ndim) if i != axis)
            left = np.flatnonzero(before.sum(axis=others) != 0)
            kept = (*[slice(None)] * axis, left)
        else:
            kept = ...
        mask = before.copy()
        if scores[kept].size:
            part = self.compute_mask(as_tensor(scores[kept]), as_tensor(before[kept]))
            mask[kept] = as_tensor(part).numpy().astype(before.dtype)
        return mask


def _value(module: Module, name: str) -> Tensor:
    if not is_pruned_parameter(module, name) and module._parameters.get(name) is None:
        raise ArgumentError(
            f"prune: {type(module).__name__} has no parameter {name!r}; it has "
            f"{', '.join(module._parameters) or 'none'}"
        )
    return getattr(module, name)


def is_pruned_parameter(module: Module, name: str) -> bool:
    """Whether a parameter has a mask."""
    computed = computed_of(module).get(name)
    return computed is not None and isinstance(computed.get, _Masked)


def _mask(module: Module, name: str) -> np.ndarray:
    if is_pruned_parameter(module, name):
        return getattr(module, f"{name}_mask").numpy()
    return np.ones(_value(module, name).shape, _value(module, name).dtype)


@no_grad()
def _set_mask(module: Module, name: str, mask: np.ndarray) -> None:
    if is_pruned_parameter(module, name):
        getattr(module, f"{name}_mask").assign(mask)
        return
    original: Any = module._parameters[name]
    compute(module, name, Computed(_Masked(name)))
    module.register_parameter(f"{name}_orig", original)
    module.register_buffer(f"{name}_mask", as_tensor(mask))


def _count(amount: float, n: int) -> int:
    """How many of n are pruned."""
    if isinstance(amount, bool) or not isinstance(amount, int | float):
        raise ArgumentError(f"prune: amount must be a number or a fraction, got {amount!r}")
    if isinstance(amount, int) and not 0 <= amount <= n:
        raise ArgumentError(f"prune: amount must lie in [0, {n}], what is left, got {amount}")
    if isinstance(amount, float) and not 0 <= amount <= 1:
        raise ArgumentError(f"prune: amount as a fraction must lie in [0, 1], got {amount}")
    return amount if isinstance(amount, int) else round(amount * n)


class Identity(BasePruningMethod):
    """A mask of ones."""

    PRUNING_TYPE = "unstructured"

    def compute_mask(self, t: Tensor, default_mask: Tensor) -> Tensor:
        """The mask as it is."""
        return default_mask


class _Smallest(BasePruningMethod):
    """The base of ways that prune where a score is smallest."""

    PRUNING_TYPE = "unstructured"

    def __init__(self, amount: float):
        _count(amount, 2**62)
        self.amount = amount

    def scores(self, t: np.ndarray) -> np.ndarray:
        """What is compared: one number for each that may be pruned."""
        raise NotImplementedError(f"{type(self).__name__}.scores")

    def compute_mask(self, t: Tensor, default_mask: Tensor) -> Tensor:
        """The mask with zeros where scores are smallest."""
        scores = self.scores(t.numpy())
        gone = np.argsort(scores, axis=None, kind="stable")[: _count(self.amount, scores.size)]
        kept = np.ones(scores.size, bool)
        kept[gone] = False
        return as_tensor(default_mask.numpy() * kept.reshape(scores.shape))


class L1Unstructured(_Smallest):
    """The numbers of the smallest absolute value."""

    def scores(self, t: np.ndarray) -> np.ndarray:
        """|t|."""
        return np.abs(t)


class RandomUnstructured(_Smallest):
    """Numbers drawn at random."""

    def scores(self, t: np.ndarray) -> np.ndarray:
        """Random numbers."""
        return default_generator().uniform(t.shape).numpy()


class RandomStructured(_Smallest):
    """Channels drawn at random."""

    PRUNING_TYPE = "structured"

    def __init__(self, amount: float, dim: int = -1):
        super().__init__(amount)
        self.dim = dim

    def channels(self, t: np.ndarray) -> np.ndarray:
        """One number for each channel."""
        return default_generator().uniform((t.shape[self.dim],)).numpy()

    def scores(self, t: np.ndarray) -> np.ndarray:
        """One number for each channel, in the shape (1, …, C, …, 1)."""
        shape = [1] * t.ndim
        shape[self.dim] = -1
        return self.channels(t).reshape(shape)


class LnStructured(RandomStructured):
    """The channels of the smallest norm of order n."""

    def __init__(self, amount: float, n: float, dim: int = -1):
        super().__init__(amount, dim)
        self.n = n

    def channels(self, t: np.ndarray) -> np.ndarray:
        """The norms."""
        rows = np.moveaxis(t, self.dim, 0).reshape(t.shape[self.dim], -1)
        return np.linalg.norm(rows, self.n, axis=1)


class CustomFromMask(BasePruningMethod):
    """A mask that is given."""

    def __init__(self, mask: Any):
        self.mask = as_tensor(mask)

    def compute_mask(self, t: Tensor, default_mask: Tensor) -> Tensor:
        """The given mask times the one so far."""
        if self.mask.shape != default_mask.shape:
            raise ShapeError(
                f"prune: the mask must have the parameter's shape {default_mask.shape}, got "
                f"{self.mask.shape}"
            )
        return default_mask * self.mask.astype(default_mask.dtype)


def identity(module: Module, name: str) -> Module:
    """Give a parameter a mask of ones."""
    Identity.apply(module, name)
    return module


def random_unstructured(module: Module, name: str, amount: float) -> Module:
    """Prune numbers at random."""
    RandomUnstructured.apply(module, name, amount)
    return module


def l1_unstructured(
    module: Module, name: str, amount: float, importance_scores: Any = None
) -> Module:
    """Prune the numbers with the smallest absolute value (or of the given scores).

    >>> from backlit import nn, tensor
    >>> layer = nn.Linear(4, 1, bias=False)
    >>> _ = layer.weight.assign([[3.0, -1.0, 2.0, -4.0]])
    >>> l1_unstructured(layer, "weight", amount=0.5).weight.tolist()
    [[3.0, -0.0, 0.0, -4.0]]
    """
    L1Unstructured.apply(module, name, amount, importance_scores=importance_scores)
    return module


def random_structured(module: Module, name: str, amount: float, dim: int) -> Module:
    """Prune channels along an axis at random."""
    RandomStructured.apply(module, name, amount, dim)
    return module


def ln_structured(
    module: Module, name: str, amount: float, n: float, dim: int, importance_scores: Any = None
) -> Module:
    """Prune the channels along an axis with the smallest norm of order n."""
    LnStructured.apply(module, name, amount, n, dim, importance_scores=importance_scores)
    return module


def custom_from_mask(module: Module, name: str, mask: Any) -> Module:
    """Prune where a mask is 0."""
    CustomFromMask.apply(module, name, mask)
    return module


def global_unstructured(
    parameters: Iterable[tuple[Module, str]],
    pruning_method: Any,
    importance_scores: dict[tuple[Module, str], Any] | None = None,
    **kwargs: Any,
) -> None:
    """Prune several parameters, given as (module, name), as if they were one."""
    pairs = list(parameters)
    scores = importance_scores or {}
    parts = [as_tensor(scores.get((m, n), _value(m, n))).detach().numpy() for m, n in pairs]
    masks = [_mask(m, n) for m, n in pairs]
    method = pruning_method(**kwargs)
    if method.PRUNING_TYPE != "unstructured":
        raise ArgumentError(
            f"global_unstructured: the method must choose single numbers, got "
            f"{pruning_method.__name__} of type {method.PRUNING_TYPE!r}"
        )
    flat = [np.concatenate([a.ravel() for a in arrays]) for arrays in (parts, masks)]
    ends = np.cumsum([mask.size for mask in masks])
    pieces = np.split(method._combined(*flat), ends[:-1])
    for (module, name), mask, piece in zip(pairs, masks, pieces, strict=True):
        _set_mask(module, name, piece.reshape(mask.shape).astype(mask.dtype))


@no_grad()
def remove(module: Module, name: str) -> Module:
    """Make a pruned parameter an ordinary one, with the zeros that it has."""
    if not is_pruned_parameter(module, name):
        raise ArgumentError(f"prune.remove: {type(module).__name__}.{name} is not pruned")
    value = getattr(module, name).detach()
    original: Parameter = getattr(module, f"{name}_orig")
    delattr(module, f"{name}_orig")
    delattr(module, f"{name}_mask")
    original.assign(value)
    restore(module, name, original)
    return module


def is_pruned(module: Module) -> bool:
    """Whether a parameter of a module, or inside it, is pruned."""
    return any(is_pruned_parameter(m, n) for m in module.modules() for n in computed_of(m))


__all__ = [
    "BasePruningMethod",
    "CustomFromMask",
    "Identity",
    "L1Unstructured",
    "LnStructured",
    "RandomStructured",
    "RandomUnstructured",
    "custom_from_mask",
    "global_unstructured",
    "identity",
    "is_pruned",
    "l1_unstructured",
    "ln_structured",
    "random_structured",
    "random_unstructured",
    "remove",
]

explain(__name__, __all__)
