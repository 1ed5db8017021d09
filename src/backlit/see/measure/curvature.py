"""Second derivatives of a loss with respect to a model's parameters, without the matrix.

H is the Hessian of the batch's loss. G = Σᵢ Jᵢᵀ Lᵢ Jᵢ, the generalised Gauss-Newton matrix, leaves
out the model's own curvature: Jᵢ is the Jacobian of the model's output for sample i, Lᵢ the Hessian
of the loss with respect to that output, times the sample's share in the loss. For the usual losses
G has no negative eigenvalue (Schraudolph, Neural Computation 14, 2002).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...array_api import reshape, sum, take
from ...errors import ArgumentError
from ...nn.module import Module
from ...tensor import Tensor, as_tensor, wrap
from ...transforms import hessian
from ..problem import Fast, Problem, draws

#: Exact diagonals take a product for each parameter.
MOST_PARAMETERS = 20_000
#: Elements of one sample's output whose loss Hessian is built.
MOST_OUTPUTS = 1024

Named = dict[str, np.ndarray]


@dataclass
class Eigenvalue:
    """An eigenvalue of H with its eigenvector; `residual` is ‖H v - λ v‖ for a v of length 1."""

    value: float
    vector: Named
    residual: float
    steps: int

    def __repr__(self) -> str:
        return (
            f"Eigenvalue({self.value:.6g}, residual {self.residual:.1e} after {self.steps} steps)"
        )


class Curvature:
    """H and G at the parameters' present values, on one batch. See `curvature`."""

    def __init__(self, problem: Problem):
        self.problem = problem
        self._multiply = Fast(self._product)

    def __repr__(self) -> str:
        problem = self.problem
        return (
            f"Curvature({type(problem.model).__name__}, {problem.size} parameters; "
            "ask for diagonal(), gauss_newton_diagonal(), trace(), top_eigenvalue(), ...)"
        )

    # -- products -----------------------------------------------------------------------------

    def _product(self, *vectors: Tensor) -> list[Tensor]:
        """H v: the gradient of gᵀ v, where g is the gradient."""
        problem = self.problem
        first = problem.gradients(problem.loss(*problem.batch), create_graph=True)
        total: Any = 0.0
        for g, v in zip(first, vectors, strict=True):
            total = total + sum(g * v)
        return problem.gradients(total)

    def _apply(self, flat: np.ndarray) -> np.ndarray:
        """H times a vector of all parameters in a row."""
        parts = [
            wrap(np.asarray(v, p.dtype, order="C"))
            for v, p in zip(self._split(flat), self.problem.parameters, strict=True)
        ]
        with self.problem.kept():
            products = self._multiply(*parts)
        return np.concatenate([h.numpy().reshape(-1).astype(np.float64) for h in products])

    def _split(self, flat: np.ndarray) -> list[np.ndarray]:
        """One vector of all parameters as arrays of their shapes."""
        ends = np.cumsum([p.size for p in self.problem.parameters])[:-1]
        pieces = np.split(flat, ends)
        return [x.reshape(p.shape) for x, p in zip(pieces, self.problem.parameters, strict=True)]

    def _named(self, flat: np.ndarray) -> Named:
        """The same by the parameters' names."""
        return dict(zip(self.problem.names, self._split(flat), strict=True))

    def hvp(self, vectors: Mapping[str, Any] | Sequence[Any]) -> Named:
        """H v, in float64, by parameter name.

        `vectors` has an array in each parameter's shape: by name (what is not named is zero), or
        one for each trained parameter in order.
        """
        problem = self.problem
        if not isinstance(vectors, Mapping):
            if len(vectors) != len(problem.names):
                raise ArgumentError(
                    f"hvp: one vector for each of the {len(problem.names)} parameters is needed, "
                    f"got {len(vectors)}"
                )
            vectors = dict(zip(problem.names, vectors, strict=True))
        unknown = [n for n in vectors if n not in problem.names]
        if unknown:
            raise ArgumentError(
                f"hvp: no trained parameter is called {unknown[0]!r}; there are "
                f"{', '.join(problem.names)}"
            )
        flat = []
        for name, p in zip(problem.names, problem.parameters, strict=True):
            v = (
                np.asarray(as_tensor(vectors[name]).numpy())
                if name in vectors
                else np.zeros(p.shape)
            )
            if v.shape != p.shape:
                raise ArgumentError(
                    f"hvp: the vector for {name} must have its shape {p.shape}, got {v.shape}"
                )
            flat.append(v.reshape(-1))
        return self._named(self._apply(np.concatenate(flat)))

    # -- diagonals ----------------------------------------------------------------------------

    def diagonal(self, samples: int | None = None, seed: int = 0) -> Named:
        """The diagonal of H: exact, or estimated from `samples` random vectors.

        Exact: eᵢᵀ H eᵢ, a product for each parameter. Estimated: the mean of v ⊙ H v over
        vectors of random signs, unbiased (Bekas, Kokiopoulou & Saad 2007); the error falls as
        1/√samples.
        """
        if samples is not None:
            total = np.zeros(self.problem.size)
            for v in _signs(self.problem.size, samples, seed, "diagonal"):
                total += v * self._apply(v)
            return self._named(total / samples)
        self._require_few("diagonal")
        result = np.zeros(self.problem.size)
        v = np.zeros(self.problem.size)
        for i in range(self.problem.size):
            v[i] = 1.0
            result[i] = self._apply(v)[i]
            v[i] = 0.0
        return self._named(result)

    def trace(self, samples: int = 32, seed: int = 0) -> tuple[float, float]:
        """tr H and the standard error of the estimate: the mean of vᵀ H v (Hutchinson 1990)."""
        values = [v @ self._apply(v) for v in _signs(self.problem.size, samples, seed, "trace")]
        spread = np.std(values, ddof=1) if samples > 1 else math.nan
        return float(np.mean(values)), float(spread / math.sqrt(samples))

    def gauss_newton_diagonal(self, samples: int | None = None, seed: int = 0) -> Named:
        """The diagonal of G: exact, or from `samples` random vectors for each sample of the batch.

        Lᵢ = Σₛ λₛ uₛ uₛᵀ gives the diagonal Σᵢ Σₛ λₛ (Jᵢᵀ uₛ)², a backward pass for each i and s.
        The estimate takes terms at random, s with probability |λₛ| / Σ|λ|: unbiased, and `samples`
        passes for each i.
        """
        problem = self.problem
        problem.steady()
        rows = problem.rows
        if samples is not None and samples < 1:
            raise ArgumentError(f"gauss_newton_diagonal: samples must be at least 1, got {samples}")
        with problem.kept():
            outputs, share = self._outputs()
            vectors, weights, owners = [], [], []
            rng = np.random.default_rng(seed)
            for i in range(rows):
                values, basis = self._loss_hessian(outputs[i], i)
                chosen = np.arange(len(values))
                factors = values * share
                if samples is not None:
                    size = np.abs(values).sum()
                    if size == 0:
                        continue
                    chosen = rng.choice(len(values), samples, p=np.abs(values) / size)
                    factors = np.sign(values) * size * share / samples
                for s in chosen:
                    if factors[s] != 0:
                        vectors.append(basis[:, s])
                        weights.append(factors[s])
                        owners.append(i)
            return self._named(self._squares(owners, vectors, weights, outputs.dtype))

    def _outputs(self) -> tuple[np.ndarray, float]:
        """The model's output for each sample on its own, and a sample's share in the loss."""
        problem = self.problem

        def of_one(*row: Tensor) -> list[Tensor]:
            output = problem.model(*row[:-1])
            if not isinstance(output, Tensor):
                raise ArgumentError(
                    "gauss_newton_diagonal: the model must return one Tensor, got "
                    f"{type(output).__name__}"
                )
            return [output, *problem.gradients(problem.loss(*row))]

        outputs, *gradients = Fast(of_one).each(*problem.batch)
        share = problem.share([g.numpy().mean(axis=0, dtype=np.float64) for g in gradients])
        return outputs.numpy(), share

    def _loss_hessian(self, output: np.ndarray, row: int) -> tuple[np.ndarray, np.ndarray]:
        """Eigenvalues and eigenvectors (in columns) of one sample's loss by its output."""
        if output.size > MOST_OUTPUTS:
            raise ArgumentError(
                f"gauss_newton_diagonal: a sample's output may have {MOST_OUTPUTS} elements, got "
                f"{output.size} (shape {output.shape[1:]}); give shorter sequences, smaller images"
            )
        target = self.problem.batch[-1][row : row + 1]
        matrix = hessian(lambda z: self.problem.loss_fn(z, target), wrap(output)).numpy()
        n = output.size
        return np.linalg.eigh(matrix.reshape(n, n).astype(np.float64))

    def _squares(
        self, owners: list[int], vectors: list[np.ndarray], weights: list[float], dtype: Any
    ) -> np.ndarray:
        """Σ weight · (Jᵀ u)² over the rows."""
        problem = self.problem
        sums = [as_tensor(np.zeros(p.shape)) for p in problem.parameters]
        if not owners:
            return np.zeros(problem.size)

        def add(owner: Tensor, vector: Tensor, weight: Tensor) -> Tensor:
            inputs = [take(x, owner, axis=0) for x in problem.batch[:-1]]
            output = problem.model(*inputs)
            pulled = problem.gradients(sum(reshape(output, (-1,)) * reshape(vector, (-1,))))
            for total, g in zip(sums, pulled, strict=True):
                total.assign(total + sum(weight) * g * g)
            return sum(weight)

        each = Fast(add)
        arrays = [np.array(owners), np.array(vectors, dtype), np.array(weights, np.float64)]
        each.each(*map(as_tensor, arrays))
        return np.concatenate([t.numpy().reshape(-1) for t in sums])

    # -- eigenvalues --------------------------------------------------------------------------

    def top_eigenvalue(
        self, steps: int = 200, tolerance: float = 1e-4, seed: int = 0
    ) -> Eigenvalue:
        """The largest eigenvalue of H, by Lanczos iteration with full reorthogonalisation.

        Stops when the residual ‖H v - λ v‖ is at most `tolerance` · |λ|, or after `steps` products.
        2 / λ is the largest stable learning rate of plain gradient descent on this batch.
        """
        if steps < 1:
            raise ArgumentError(f"top_eigenvalue: steps must be at least 1, got {steps}")
        size = self.problem.size
        start = np.random.default_rng(seed).standard_normal(size)
        basis = [start / np.linalg.norm(start)]
        alphas: list[float] = []
        betas: list[float] = []
        while True:
            w = self._apply(basis[-1])
            alphas.append(float(basis[-1] @ w))
            for _ in range(2):
                for q in basis:
                    w = w - (q @ w) * q
            beta = float(np.linalg.norm(w))
            values, vectors = np.linalg.eigh(
                np.diag(alphas) + np.diag(betas, 1) + np.diag(betas, -1)
            )
            value, residual = float(values[-1]), beta * abs(float(vectors[-1, -1]))
            done = residual <= tolerance * abs(value) or beta <= 1e-14 * max(1.0, abs(value))
            if done or len(alphas) >= min(steps, size):
                break
            betas.append(beta)
            basis.append(w / beta)
        vector = np.array(basis).T @ vectors[:, -1]
        return Eigenvalue(value, self._named(vector), residual, len(alphas))

    def _require_few(self, who: str) -> None:
        """Raise if there are too many parameters for one product each."""
        if self.problem.size > MOST_PARAMETERS:
            raise ArgumentError(
                f"{who}: exactly, it takes a product for each of the {self.problem.size:,} "
                f"parameters, more than {MOST_PARAMETERS:,}; estimate it with samples=100"
            )


def curvature(model: Module, batch: Any, loss_fn: Callable[..., Tensor]) -> Curvature:
    """Products, diagonals and eigenvalues of the loss's Hessian and Gauss-Newton matrix.

    `batch` is the model's inputs, then the target. Everything is at the parameters' present values
    and in the model's present mode; model and random numbers stay as they are.

    >>> from backlit import nn, see, tensor
    >>> net = nn.Linear(2, 1, bias=False)
    >>> batch = tensor([[1.0, 0.0], [0.0, 3.0]]), tensor([[0.0], [0.0]])
    >>> see.curvature(net, batch, nn.MSELoss()).diagonal()["weight"]  # (2/N) Σ x²
    array([[1., 9.]])
    >>> see.curvature(net, batch, nn.MSELoss()).top_eigenvalue()
    Eigenvalue(9, residual ... after 2 steps)
    """
    problem = Problem("curvature", model, batch, loss_fn)
    if any(map(draws, model.modules())):
        problem.steady()
    return Curvature(problem)


def _signs(size: int, samples: int, seed: int, who: str) -> Any:
    """Random vectors of 1 and −1: E[v vᵀ] = I, with the least variance of vᵀ H v."""
    if samples < 1:
        raise ArgumentError(f"{who}: samples must be at least 1, got {samples}")
    rng = np.random.default_rng(seed)
    for _ in range(samples):
        yield rng.integers(0, 2, size) * 2.0 - 1.0
