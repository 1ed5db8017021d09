"""`torch.autograd`: gradients under PyTorch's names."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from ... import autograd as _ours
from ...array_api import zeros_like
from ...autograd import enable_grad, no_grad
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
    """Add the gradients of the Tensors to the `grad` of the leaves."""
    outputs = [tensors] if isinstance(tensors, Tensor) else list(tensors)
    given = grad_tensors if grad_tensors is not None else grad_variables
    if isinstance(given, Tensor) or given is None:
        given = [given] * len(outputs)
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
    **options: Any,
) -> bool:
    """Whether the gradients of a function are those of small differences; float64 inputs."""
    return _gradcheck(func, inputs)


def gradgradcheck(func: Any, inputs: Any, grad_outputs: Any = None, **options: Any) -> bool:
    """The same of the second derivative."""
    return _gradcheck(func, inputs, order=2)


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
