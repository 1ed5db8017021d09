"""`torch.autograd`: gradients under PyTorch's names."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from ... import autograd as _ours
from ...array_api import zeros_like
from ...autograd import enable_grad, no_grad
from ...errors import ArgumentError, GradcheckError
from ...gradcheck import gradcheck as _gradcheck
from ...state import STATE, Setting
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


def set_detect_anomaly(mode: bool = True, check_nan: bool = True) -> Any:
    """A context that changes nothing: an error in the backward pass always names the line."""
    return Setting(grad_enabled=STATE.grad_enabled)


detect_anomaly = set_detect_anomaly


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
