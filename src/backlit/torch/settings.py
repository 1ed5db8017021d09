"""PyTorch's switches: gradients, seeds, threads, and those that have no meaning on one CPU."""

from __future__ import annotations

import contextlib
import secrets
import sys
from typing import Any

from .. import compiler, dtypes
from .. import random as draws
from ..autograd import no_grad
from ..conversion import CPU, check_device
from ..dialect.methods import CLASSES
from ..dialect.translate import as_dtype
from ..dtypes import FLOATING
from ..errors import ArgumentError, DTypeError
from ..state import STATE, Setting, restoring
from ..tensor import PRINTING, Tensor


class set_grad_enabled(contextlib.ContextDecorator):  # noqa: N801  (PyTorch's name)
    """Whether ops are put on the tape: from the call on, or in a block, until its end."""

    def __init__(self, mode: bool):
        self._mode = bool(mode)
        self._before = STATE.grad_enabled
        self._entered: list[bool] = []
        STATE.grad_enabled = self._mode

    def __call__(self, function: Any) -> Any:
        """As a decorator it sets the mode in the function alone."""
        STATE.grad_enabled = self._before
        return Setting(grad_enabled=self._mode)(function)

    def __enter__(self) -> None:
        self._entered.append(self._before)
        STATE.grad_enabled = self._mode

    @restoring
    def __exit__(self, *error: object) -> None:
        STATE.grad_enabled = self._entered[-1]
        del self._entered[-1]


def inference_mode(mode: Any = True) -> Any:
    """A context (or decorator) in which nothing is put on the tape, as `no_grad`."""
    if callable(mode):
        return no_grad(mode)
    return Setting(grad_enabled=False) if mode else Setting(grad_enabled=STATE.grad_enabled)


class Generator(draws.Generator):
    """A stream of random numbers that its seed determines, as PyTorch names its parts."""

    def __init__(self, device: Any = None):
        check_device(device)
        super().__init__(0)

    def seed(self) -> int:
        """Start from a seed that nobody chose, and say it."""
        number = secrets.randbits(63)
        self.manual_seed(number)
        return number

    def initial_seed(self) -> int:
        """The seed."""
        return int(self.key)

    def get_state(self) -> dict[str, Tensor]:
        """Where the stream stands."""
        return self.state_dict()

    def set_state(self, state: dict[str, Tensor]) -> Generator:
        """Go on from there."""
        self.load_state_dict(state)
        return self


def seed() -> int:
    """Seed this thread's generator with a number that nobody chose, and say it."""
    number = Generator().seed()
    draws.manual_seed(number)
    return number


def initial_seed() -> int:
    """The seed of this thread's generator."""
    return int(draws.default_generator().key)


def get_rng_state() -> dict[str, Tensor]:
    """Where this thread's generator stands."""
    return draws.default_generator().state_dict()


def set_rng_state(new_state: dict[str, Tensor]) -> None:
    """Go on from there."""
    draws.default_generator().load_state_dict(new_state)


def get_default_dtype() -> Any:
    """The dtype of Tensors that are made of Python's floats."""
    return dtypes.DEFAULT_FLOAT


def set_default_dtype(d: Any) -> None:
    """Let Tensors that are made of Python's floats, and new layers, have a floating dtype."""
    STATE.execution.forbid("set_default_dtype: a captured function cannot set it; set it outside")
    dtype = dtypes.as_dtype(as_dtype(d))
    if dtype not in FLOATING:
        raise DTypeError(f"set_default_dtype: d must be a floating dtype, got {dtype}")
    dtypes.set_default_float(dtype)


def set_default_device(device: Any) -> None:
    """The CPU is the only one."""
    check_device(device)


def get_default_device() -> Any:
    """The CPU."""
    return CPU


def set_default_tensor_type(t: Any) -> None:
    """Let Tensors that are made of Python's floats be of a class of Tensors, or of one's name."""
    name = t if isinstance(t, str) else t.__name__
    found = [d for d in FLOATING if CLASSES[d] == name.rpartition(".")[2] and "cuda" not in name]
    if not found:
        raise ArgumentError(
            "set_default_tensor_type: t must be a class of floating Tensors on the CPU, got "
            f"{name}; use torch.set_default_dtype(dtype)"
        )
    set_default_dtype(found[0])


def set_num_threads(n: int) -> None:
    """How many cores compiled code runs on."""
    compiler.set_threads(n)


def get_num_threads() -> int:
    """How many cores compiled code runs on."""
    return compiler.get_threads()


#: What `set_printoptions` takes as `profile`.
_PROFILES: dict[str, dict[str, Any]] = {
    "default": {"precision": 4, "threshold": 100, "edgeitems": 3},
    "short": {"precision": 2, "threshold": 100, "edgeitems": 2},
    "full": {"precision": 4, "threshold": sys.maxsize, "edgeitems": 3},
}


def set_printoptions(
    precision: int | None = None,
    threshold: float | None = None,
    edgeitems: int | None = None,
    linewidth: int | None = None,
    profile: str | None = None,
    sci_mode: bool | None = None,
) -> None:
    """How Tensors are printed: decimals, from how many elements on in short, and with exponents.

    Unlike in PyTorch `"default"` is in short from 100 elements on.
    """
    if profile is not None and profile not in _PROFILES:
        raise ArgumentError(
            f"set_printoptions: profile must be {', '.join(_PROFILES)}, got {profile!r:.60}"
        )
    if profile is not None:
        PRINTING.clear()
        PRINTING.update(_PROFILES[profile])
    given: dict[str, Any] = {"precision": precision, "edgeitems": edgeitems}
    given |= {"max_line_width": linewidth, "suppress_small": None if sci_mode is None else True}
    if threshold is not None:
        given["threshold"] = int(min(threshold, sys.maxsize))
    PRINTING.update({name: value for name, value in given.items() if value is not None})
    if sci_mode is not None:
        PRINTING.pop("formatter", None)
    if sci_mode:
        digits = PRINTING["precision"]
        PRINTING["formatter"] = {"float_kind": lambda x: f"{x:.{digits}e}"}


def no_effect(*args: Any, **options: Any) -> None:
    """Nothing: what it switches in PyTorch is not there, or always so."""


def is_tensor(obj: Any) -> bool:
    """Whether something is a Tensor."""
    return isinstance(obj, Tensor)


def is_floating_point(input: Tensor) -> bool:
    """Whether a Tensor's dtype is floating."""
    return input.dtype in FLOATING


def is_complex(input: Tensor) -> bool:
    """False: there are no complex numbers."""
    return False


def numel(input: Tensor) -> int:
    """The number of elements."""
    return int(input.size)


def typename(obj: Any) -> str:
    """The name of PyTorch's class of such Tensors, or of the class of anything else."""
    return f"torch.{CLASSES[obj.dtype]}" if isinstance(obj, Tensor) else type(obj).__name__
