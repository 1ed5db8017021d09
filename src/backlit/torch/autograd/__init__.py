"""`torch.autograd`: gradients under PyTorch's names."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from ... import autograd as _ours
from ...array_api import zeros_like
from ...autograd import enable_grad, no_grad
from ...errors import ArgumentError, GradcheckError, NonFiniteError
from ...gradcheck import gradcheck as _gradcheck
from ...state import observing
from ...tape import Node, is_open
from ...tensor import Tensor
from ..function import Function, once_differentiable
from ..kinds import Variable
from ..mirror import files as _files
from ..mirror import mirrored as _mirrored
from ..mirror import names as _names
from ..settings import inference_mode, set_grad_enabled
from . import functional


def grad(
    outputs: Tensor | Sequence[Tensor],
    inputs: Tensor | Iterable[Tensor],
    grad_outputs: Any = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    only_inputs: bool = True,
    allow_unused: bool | None = None,
    is_grads_batched: bool = False,
    materialize_grads: bool = False,
) -> tuple[Tensor | None, ...]:
    """The gradients with respect to the inputs: a tuple, also of one."""
    if is_grads_batched:
        raise ArgumentError(
            "grad: is_grads_batched must be False, got True; use torch.func.jacrev, or vmap over "
            "the function that torch.func.vjp returns"
        )
    targets = [inputs] if isinstance(inputs, Tensor) else list(inputs)
    found = _ours.grad(
        outputs,
        targets,
        grad_outputs,
        retain_graph=retain_graph,
        create_graph=create_graph,
        allow_unused=materialize_grads or bool(allow_unused),
    )
    if materialize_grads:
        return tuple(zeros_like(t) if g is None else g for t, g in zip(targets, found, strict=True))
    return found


def backward(
    tensors: Tensor | Sequence[Tensor],
    grad_tensors: Any = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    grad_variables: Any = None,
    inputs: Any = None,
) -> None:
    """Add the gradients of the Tensors to the `grad` of the leaves, or to that of the inputs."""
    outputs = [tensors] if isinstance(tensors, Tensor) else list(tensors)
    given = grad_tensors if grad_tensors is not None else grad_variables
    if isinstance(given, Tensor) or given is None:
        given = [given] * len(outputs)
    if inputs is not None:
        targets = [inputs] if isinstance(inputs, Tensor) else list(inputs)
        found = grad(outputs, targets, given, retain_graph, create_graph, allow_unused=True)
        for target, gradient in zip(targets, found, strict=True):
            if gradient is not None:
                target.grad = gradient if target.grad is None else target.grad + gradient
        return
    for i, (output, gradient) in enumerate(zip(outputs, given, strict=True)):
        last = i == len(outputs) - 1
        output.backward(
            gradient, retain_graph=retain_graph if last else True, create_graph=create_graph
        )


def gradcheck(
    func: Any,
    inputs: Any,
    *,
    eps: float = 1e-6,
    atol: float = 1e-5,
    rtol: float = 1e-3,
    raise_exception: bool = True,
    nondet_tol: float = 0.0,
    check_undefined_grad: bool = True,
    check_grad_dtypes: bool = False,
    check_batched_grad: bool = False,
    check_batched_forward_grad: bool = False,
    check_forward_ad: bool = False,
    check_backward_ad: bool = True,
    fast_mode: bool = False,
    masked: bool | None = None,
) -> bool:
    """Whether the gradients of a function are those of small differences; float64 inputs."""
    return _checked(func, inputs, raise_exception, step=eps, atol=atol, rtol=rtol)


def gradgradcheck(
    func: Any,
    inputs: Any,
    grad_outputs: Any = None,
    *,
    eps: float = 1e-6,
    atol: float = 1e-5,
    rtol: float = 1e-3,
    gen_non_contig_grad_outputs: bool = False,
    raise_exception: bool = True,
    nondet_tol: float = 0.0,
    check_undefined_grad: bool = True,
    check_grad_dtypes: bool = False,
    check_batched_grad: bool = False,
    check_fwd_over_rev: bool = False,
    check_rev_over_rev: bool = True,
    fast_mode: bool = False,
    masked: bool = False,
) -> bool:
    """The same of the second derivative, of random upstream gradients."""
    return _checked(func, inputs, raise_exception, order=2, step=eps, atol=atol, rtol=rtol)


def _checked(func: Any, inputs: Any, raises: bool, **options: Any) -> bool:
    try:
        return _gradcheck(func, inputs, **options)
    except GradcheckError:
        if raises:
            raise
        return False


class detect_anomaly(observing):  # noqa: N801  (PyTorch's name)
    """A block in which `backward()` raises where a gradient is nan for the first time.

    Steps that are compiled are not looked at. `check_nan=False` looks for nothing: an error in a
    backward pass always names the line.
    """

    def __init__(self, check_nan: bool = True):
        super().__init__(backward=_require_numbers if check_nan else None)


class set_detect_anomaly:  # noqa: N801  (PyTorch's name)
    """`detect_anomaly` from now on, or no longer; as a block, until its end."""

    #: The block that was entered last by such a call, if any.
    _on: detect_anomaly | None = None

    def __init__(self, mode: bool = True, check_nan: bool = True):
        self._before = self._switch(detect_anomaly(check_nan) if mode else None)

    @classmethod
    def _switch(cls, block: detect_anomaly | None) -> detect_anomaly | None:
        before = set_detect_anomaly._on
        if before is not None:
            before.__exit__(None, None, None)
        if block is not None:
            block.__enter__()
        set_detect_anomaly._on = block
        return before

    def __enter__(self) -> None:
        pass

    def __exit__(self, *error: object) -> None:
        self._switch(self._before)


def _require_numbers(node: Node, upstream: Any, sent: list[tuple[int, Any]]) -> None:
    """Raise if a gate has made a gradient of which an element is nan."""
    for i, gradient in sent:
        if np.isnan(getattr(gradient, "array", gradient)).any():
            raise NonFiniteError(
                f"detect_anomaly: the backward of {node.op.name} gives nan for its input {i} "
                f"({node.location}); backlit.see.bad_numbers(loss) says why, and what to write"
            )


class AccumulateGrad:
    """The end of a path on the tape: a leaf, whose `grad` is added to there."""

    next_functions = ()

    def __init__(self, variable: Tensor):
        self.variable = variable

    def __repr__(self) -> str:
        return "<AccumulateGrad>"


def _next_functions(self: Node) -> tuple[tuple[Any, int], ...]:
    """What a gradient goes on to, each with 0; None where it goes on to nothing."""
    if self.saved is None:
        raise AttributeError(
            f"next_functions: the graph behind {self!r} was freed by backward(); ask before it, or "
            "use backward(retain_graph=True)"
        )
    return tuple((_function(edge) if is_open(edge) else None, 0) for edge in self.inputs)


def _function(edge: Node | Tensor) -> Any:
    return edge if isinstance(edge, Node) else AccumulateGrad(edge)


Node.next_functions = property(_next_functions)  # type: ignore[attr-defined]

globals().update(_files("torch.autograd", "anomaly_mode function grad_mode variable"))

__getattr__ = _mirrored("torch.autograd")


def __dir__() -> list[str]:
    return _names(__name__)
