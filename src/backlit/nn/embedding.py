"""Tables of vectors that are looked up by integers, and the adaptive softmax over many classes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

from ..array_api import argmax, concat, expand_dims, mean, take_along_axis, zeros
from ..array_api.arguments import whole
from ..errors import ArgumentError, IndexRangeError, ShapeError
from ..op import Requirement, describe
from ..random import Generator
from ..state import STATE, where_called
from ..tensor import Tensor, as_tensor
from . import functional, init
from .containers import ModuleList, Sequential
from .linear import Linear, positive
from .module import Module
from .parameter import Parameter


class Embedding(Module):
    """A table of vectors, looked up by integers: (...) -> (..., D).

    Rows start normally distributed; the row `padding_idx` starts at 0 and never learns. Rows longer
    than `max_norm` are shortened when they are looked up; see `functional.embedding`.

    >>> from backlit import tensor
    >>> Embedding(10, 4)(tensor([[1, 2, 3]])).shape
    (1, 3, 4)
    """

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        padding_idx: int | None = None,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        sparse: bool = False,
        _weight: Any = None,
        _freeze: bool = False,
        device: Any = None,
        dtype: Any = None,
        *,
        generator: Generator | None = None,
    ):
        super().__init__()
        name = type(self).__name__
        positive(self, num_embeddings=num_embeddings, embedding_dim=embedding_dim)
        if padding_idx is not None:
            padding_idx = whole(f"{name}: padding_idx", padding_idx, -math.inf)
            if not -num_embeddings <= padding_idx < num_embeddings:
                raise ArgumentError(
                    f"{name}: padding_idx must lie in [-{num_embeddings}, {num_embeddings}), "
                    f"got {padding_idx}"
                )
            padding_idx %= num_embeddings
        self.num_embeddings = num_embeddings
        self.embedding_dim = embedding_dim
        self.padding_idx = padding_idx
        self.max_norm = max_norm
        self.norm_type = norm_type
        self.scale_grad_by_freq = scale_grad_by_freq
        self.sparse = sparse
        shape = (num_embeddings, embedding_dim)
        if _weight is None:
            self.weight = Parameter(zeros(shape, dtype=dtype, device=device), not _freeze)
            self.reset_parameters(generator)
            return
        given = as_tensor(_weight)
        if given.shape != shape:
            raise ShapeError(f"{name}: the vectors must have shape {shape}, got {describe(given)}")
        self.weight = Parameter(given, not _freeze)

    @classmethod
    def from_pretrained(
        cls,
        embeddings: Any,
        freeze: bool = True,
        padding_idx: int | None = None,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        sparse: bool = False,
    ) -> Embedding:
        """A table of given vectors (V, D), which do not learn unless `freeze` is False.

        >>> layer = Embedding.from_pretrained([[1.0, 2.0], [3.0, 4.0]])
        >>> layer(as_tensor([1])).tolist(), layer.weight.requires_grad
        ([[3.0, 4.0]], False)
        """
        rows, width = _table(cls.__name__, embeddings)
        return cls(
            rows,
            width,
            padding_idx,
            max_norm,
            norm_type,
            scale_grad_by_freq,
            sparse,
            _weight=embeddings,
            _freeze=freeze,
        )

    def reset_parameters(self, generator: Generator | None = None) -> None:
        """New starting values."""
        init.normal_(self.weight, generator=generator)
        if self.padding_idx is not None:
            array = self.weight.numpy().copy()
            array[self.padding_idx] = 0
            self.weight.assign(array)

    def forward(self, indices: Tensor) -> Tensor:
        """(...) -> (..., D)."""
        return functional.embedding(
            indices,
            self.weight,
            self.padding_idx,
            self.max_norm,
            self.norm_type,
            self.scale_grad_by_freq,
        )

    def extra_repr(self) -> str:
        """Sizes, and what is not usual."""
        text = f"{self.num_embeddings}, {self.embedding_dim}"
        for name, usual in (("padding_idx", None), ("max_norm", None), ("norm_type", 2.0),
                            ("scale_grad_by_freq", False), ("sparse", False)):  # fmt: skip
            value = getattr(self, name)
            text += f", {name}={value}" if value != usual else ""
        return text


def _table(name: str, embeddings: Any) -> tuple[int, int]:
    """The sizes of given vectors."""
    table = as_tensor(embeddings)
    if table.ndim != 2:
        raise ShapeError(
            f"{name}.from_pretrained: the vectors must have shape (V, D), got {describe(table)}"
        )
    return table.shape[0], table.shape[1]


class EmbeddingBag(Embedding):
    """The sum, mean or maximum of the rows that each bag of indices names: (B, N) -> (B, D).

    See `functional.embedding_bag`; rows named by `padding_idx` do not count.

    >>> from backlit import tensor
    >>> EmbeddingBag(10, 4)(tensor([1, 2, 3]), tensor([0, 2])).shape
    (2, 4)
    """

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        mode: str = "mean",
        sparse: bool = False,
        _weight: Any = None,
        include_last_offset: bool = False,
        padding_idx: int | None = None,
        device: Any = None,
        dtype: Any = None,
        *,
        generator: Generator | None = None,
    ):
        super().__init__(
            num_embeddings,
            embedding_dim,
            padding_idx,
            max_norm,
            norm_type,
            scale_grad_by_freq,
            sparse,
            _weight,
            device=device,
            dtype=dtype,
            generator=generator,
        )
        if mode not in ("sum", "mean", "max"):
            raise ArgumentError(f"EmbeddingBag: mode must be 'sum', 'mean' or 'max', got {mode!r}")
        self.mode = mode
        self.include_last_offset = include_last_offset

    @classmethod
    def from_pretrained(  # type: ignore[override]
        cls,
        embeddings: Any,
        freeze: bool = True,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        mode: str = "mean",
        sparse: bool = False,
        include_last_offset: bool = False,
        padding_idx: int | None = None,
    ) -> EmbeddingBag:
        """A table of given vectors (V, D), which do not learn unless `freeze` is False."""
        rows, width = _table(cls.__name__, embeddings)
        layer = cls(
            rows,
            width,
            max_norm,
            norm_type,
            scale_grad_by_freq,
            mode,
            sparse,
            embeddings,
            include_last_offset,
            padding_idx,
        )
        layer.weight.requires_grad_(not freeze)
        return layer

    def forward(
        self, indices: Tensor, offsets: Any = None, per_sample_weights: Any = None
    ) -> Tensor:
        """(B, N), or (n) with offsets (B), -> (B, D)."""
        return functional.embedding_bag(
            indices,
            self.weight,
            offsets,
            self.max_norm,
            self.norm_type,
            self.scale_grad_by_freq,
            self.mode,
            self.sparse,
            per_sample_weights,
            self.include_last_offset,
            self.padding_idx,
        )

    def extra_repr(self) -> str:
        """Sizes, and what is not usual."""
        return f"{super().extra_repr()}, mode={self.mode!r}"


class AdaptiveOutput(NamedTuple):
    """What `AdaptiveLogSoftmaxWithLoss` returns: log p of each target, and the mean of -log p."""

    output: Tensor
    loss: Tensor


class AdaptiveLogSoftmaxWithLoss(Module):
    """A softmax over many classes in clusters, the rare ones through narrower layers.

        x: (N, I) or (I), target: (N) or () -> output (N) or (), loss ()

    Classes are ordered by frequency, and `cutoffs` are where clusters begin. The head has a score
    for each class of the first cluster and one for each other cluster; cluster i goes through
    ⌊I / div_valueⁱ⌋ features. log p of a class is that of its cluster plus that within it.

    All clusters are computed for all rows, so that the code does not depend on the targets: this
    saves parameters, and of time only what the narrow layers save.
    Source: Grave et al., "Efficient softmax approximation for GPUs", ICML 2017, sec. 4.

    >>> layer = AdaptiveLogSoftmaxWithLoss(16, 20, [5, 10])
    >>> layer.log_prob(zeros((3, 16))).shape
    (3, 20)
    """

    def __init__(
        self,
        in_features: int,
        n_classes: int,
        cutoffs: Sequence[int],
        div_value: float = 4.0,
        head_bias: bool = False,
        device: Any = None,
        dtype: Any = None,
        *,
        generator: Generator | None = None,
    ):
        super().__init__()
        positive(self, in_features=in_features, n_classes=n_classes)
        ends = [whole("AdaptiveLogSoftmaxWithLoss: cutoffs", c) for c in cutoffs]
        if not ends or ends != sorted(set(ends)) or ends[-1] >= n_classes:
            raise ArgumentError(
                f"AdaptiveLogSoftmaxWithLoss: cutoffs must rise, from 1 on and below n_classes = "
                f"{n_classes}, got {list(cutoffs)}"
            )
        self.in_features = in_features
        self.n_classes = n_classes
        self.cutoffs = [*ends, n_classes]
        self.div_value = div_value
        self.head_bias = head_bias
        self.shortlist_size = self.cutoffs[0]
        self.n_clusters = len(self.cutoffs) - 1
        self.head_size = self.shortlist_size + self.n_clusters
        how: dict[str, Any] = {"dtype": dtype, "device": device, "generator": generator}
        self.head = Linear(in_features, self.head_size, head_bias, **how)
        self.tail = ModuleList()
        for i in range(self.n_clusters):
            width = int(in_features // div_value ** (i + 1))
            if width < 1:
                raise ArgumentError(
                    f"AdaptiveLogSoftmaxWithLoss: in_features / div_value^{i + 1} must be at least "
                    f"1, got {in_features} and {div_value}; give fewer cutoffs or a smaller "
                    "div_value"
                )
            size = self.cutoffs[i + 1] - self.cutoffs[i]
            self.tail.append(
                Sequential(
                    Linear(in_features, width, False, **how), Linear(width, size, False, **how)
                )
            )

    def reset_parameters(self, generator: Generator | None = None) -> None:
        """New starting values."""
        for module in self.modules():
            if isinstance(module, Linear):
                module.reset_parameters(generator)

    def log_prob(self, x: Tensor) -> Tensor:
        """The log-probabilities of all classes: (N, I) -> (N, n_classes)."""
        head = functional.log_softmax(self.head(x), 1)
        size = self.shortlist_size
        parts = [head[:, :size]]
        for i in range(self.n_clusters):
            inside = functional.log_softmax(self.tail[i](x), 1)
            parts.append(inside + head[:, size + i : size + i + 1])
        return concat(parts, axis=1)

    def predict(self, x: Tensor) -> Tensor:
        """The likeliest class of each row: (N)."""
        return argmax(self.log_prob(x), axis=1)

    def forward(self, x: Tensor, target: Tensor) -> AdaptiveOutput:
        """The log-probabilities of the targets, and their negative mean."""
        x, target = as_tensor(x), as_tensor(target)
        lone = x.ndim == 1 and target.ndim == 0
        if lone:
            x, target = expand_dims(x, axis=0), expand_dims(target, axis=0)
        name = type(self).__name__
        if x.ndim != 2 or target.shape != x.shape[:1]:
            raise ShapeError(
                f"{name}: x must have shape (N, {self.in_features}) and target (N), or "
                f"({self.in_features}) and (), got {describe(x)} and {describe(target)}"
                f"{where_called()}"
            )
        classes = self.n_classes

        def known(xp: Any, t: Any) -> tuple[Requirement, ...]:
            inside = xp.logical_and(t >= 0, t < classes)
            condition = f"target must lie in [0, {classes})"
            return (
                Requirement(inside, t, IndexRangeError, condition, "n_classes is their number"),
            )

        STATE.execution.require(name, known, (target,))
        output = take_along_axis(self.log_prob(x), expand_dims(target, axis=1), axis=1)[:, 0]
        return AdaptiveOutput(output[0] if lone else output, -mean(output))

    def extra_repr(self) -> str:
        """Sizes."""
        return f"{self.in_features}, {self.n_classes}, cutoffs={self.cutoffs[:-1]}"
