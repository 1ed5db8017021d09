"""The Tensor, and `apply`, which runs an op and puts it on the tape.

A Tensor holds an array. If it was computed from something that needs a gradient it also holds a
Node, which remembers how.
"""

from __future__ import annotations

import copy
import math
import weakref
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from . import dtypes
from .backend import eager
from .changes import CHANGES
from .conversion import CPU, NESTING, Device, as_array, check_device, is_device
from .dtypes import DType, as_dtype
from .errors import ArgumentError, DTypeError, GradientError, ShapeError
from .execution import AT_ONCE, check, explained
from .foreign import words
from .op import Op, Shape, describe
from .ops import elementwise
from .spelling import instead_of_numpy, method
from .state import STATE, where_called
from .tape import Node, arose, make_node, user_site

if TYPE_CHECKING:
    from .attached import Methods
else:
    Methods = object

KEEP = "use the Tensor itself, or t.detach() if none is wanted"
_RETURN_IT = "use backlit.where instead of a branch, and return the Tensor to print it"

EAGER = eager.EAGER

#: How `repr` writes elements, in the words of `numpy.array2string`.
PRINTING: dict[str, Any] = {"threshold": 100, "edgeitems": 3, "precision": 4}


class Parts:
    """Whether any Tensor is a part that writes through to another: see `array_api.parts`."""

    made = False


def apply(op: Op, *inputs: Any) -> Tensor:
    """Apply an op to Tensors (and Python numbers): run it and put it on the tape.

    Errors name the op, the arguments, the condition and the module.
    """
    state = STATE
    try:
        if state.execution is AT_ONCE:
            found = []
            narrow = False
            for x in inputs:
                if isinstance(x, Tensor):
                    x = x.array
                    if x.itemsize == 2:  # perhaps a 16-bit float, which is computed in float32
                        narrow = True
                found.append(x)
            arrays = tuple(found)
            try:
                if op.checked:
                    check(op, arrays)
                if narrow:
                    array = eager.forward(op, arrays)
                elif op.whole:
                    array = eager.value(op, arrays)
                else:
                    array = op.forward(EAGER, *arrays)
            except (ValueError, TypeError, IndexError, OverflowError) as error:
                raise explained(op, arrays, error) from None
            if type(array) is not np.ndarray:
                array = np.asarray(array)
        else:
            arrays, array = state.execution.run(op, inputs)
        y = _new(Tensor)
        y.array = array
        y.node = y._grad = y._hooks = y.name = y._part = None
        y._requires_grad = False
        if op.differentiable:
            for x in inputs:
                if isinstance(x, Tensor) and x._requires_grad:
                    if state.grad_enabled:
                        y.node = make_node(op, inputs, arrays, array)
                        y._requires_grad = True
                    break
        if state.observer is not None:
            state.observer(op, inputs, y)
        return y
    except BaseException as error:
        arose(error, op=op, inputs=inputs, scope=state.scope, site=user_site())
        raise


class Count(int):
    """A number of elements, as NumPy's `x.size`, which answers PyTorch's `x.size(0)`, too."""

    _shape: Shape
    #: What a shape is: a tuple, and where PyTorch is spoken one of its Sizes.
    kind: Any = tuple

    def __new__(cls, shape: Shape) -> Count:
        self = int.__new__(cls, math.prod(shape))
        self._shape = shape
        return self

    def __call__(self, dim: int | None = None) -> Any:
        """The shape, or the size of one axis."""
        if dim is None:
            return self.kind(self._shape)
        ndim = len(self._shape)
        if not -ndim <= dim < ndim:
            raise ShapeError(f"size: dim must lie in [-{ndim}, {ndim}), got {dim}")
        return self._shape[dim]

    def __reduce__(self) -> Any:
        return int, (int(self),)


class Removal:
    """What takes a hook away again: `handle.remove()`, or a call."""

    __slots__ = ("_remove",)

    def __init__(self, remove: Callable[[], None]):
        self._remove = remove

    def remove(self) -> None:
        """Take the hook away; once more does nothing."""
        self._remove()

    __call__ = remove


class Tensor(Methods):
    """An array whose computation can be differentiated.

        tensor([1., 2.], requires_grad=True)

    It has the operators and methods of the Array API standard, and PyTorch's `backward`, `grad`,
    `requires_grad` and `detach`. What changes it in place (`+=`, item assignment, `assign`)
    replaces its value and overwrites nothing: the tape keeps what it has used.
    """

    __slots__ = (
        "__weakref__",
        "_grad",
        "_hooks",
        "_part",
        "_requires_grad",
        "array",
        "name",
        "node",
    )
    __array_priority__ = 1000  # NumPy arrays leave mixed operators to Tensor

    array: Any
    #: Of which Tensor it is a part, and writes through to it.
    _part: Any
    node: Node | None
    name: str | None
    _requires_grad: bool
    _grad: Tensor | None
    _hooks: list[Callable[[Tensor], Tensor | None]] | None

    def __init__(self, data: Any, dtype: Any = None, requires_grad: bool = False):
        execution = STATE.execution
        known = execution.stand_in(data)
        if known is None:
            self.array = _as_array(data, dtype, copy=True)
            execution.claim(self)
        else:
            self.array = execution.read(known if dtype is None else known.astype(dtype))
        self.node = self._grad = self._hooks = self.name = self._part = None
        self._requires_grad = False
        if requires_grad:
            self.requires_grad_()

    if not TYPE_CHECKING:

        def __getattr__(self, name):
            if not name.startswith("__"):
                method(name)
            return object.__getattribute__(self, name)

    # -- what it is ---------------------------------------------------------------------------

    @property
    def shape(self) -> Shape:
        """The number of elements along each axis."""
        return self.array.shape

    @property
    def dtype(self) -> DType:
        """The element type."""
        return self.array.dtype

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return len(self.array.shape)

    @property
    def size(self) -> Count:
        """The number of elements; called, the shape or one size of it.

        >>> x = tensor([[1.0, 2.0, 3.0]])
        >>> x.size, x.size(), x.size(1)
        (3, (1, 3), 3)
        """
        return Count(self.array.shape)

    @property
    def device(self) -> Device:
        """Where the elements are: `"cpu"`."""
        return CPU

    @property
    def is_leaf(self) -> bool:
        """Whether it was made by the user, not computed from something that needs a gradient."""
        return self.node is None

    @property
    def op(self) -> str | None:
        """The name of the op that computed it, if that is on the tape."""
        return self.node.op.name if self.node is not None else None

    def __len__(self) -> int:
        if not self.shape:
            raise ShapeError("len: a Tensor of no axes has no length")
        return self.shape[0]

    def __repr__(self) -> str:
        op = f", op={self.op}" if self.node is not None else ""
        grad = ", requires_grad=True" if self.requires_grad and self.node is None else ""
        kind = f"shape={self.shape}, dtype={self.dtype.name}{op}{grad}"
        if type(self.array) is not np.ndarray:
            return f"Tensor(abstract, {kind})"
        values = np.array2string(self.array, separator=", ", prefix="Tensor(", **PRINTING)
        return f"Tensor({values}, {kind}{_count_bad(self.array)})"

    def __str__(self) -> str:
        self._concrete("print()")
        return repr(self)

    # -- its values ---------------------------------------------------------------------------

    def numpy(self, *, force: bool = False) -> np.ndarray:
        """The elements as a NumPy array that shares memory and cannot be written to.

        No gradient goes through it. Unlike `numpy.asarray(t)`, which raises, and unlike in PyTorch
        this is no error for a Tensor that requires a gradient: whoever calls it wants the numbers,
        with `force`, PyTorch's word for that, or without.

        >>> tensor([1.0, 2.0]).numpy()
        array([1., 2.], dtype=float32)
        """
        view = self._concrete("numpy()").view()
        view.flags.writeable = False
        return view

    def _concrete(self, what: str, cure: str = _RETURN_IT) -> np.ndarray:
        execution = STATE.execution
        if execution.captures or type(self.array) is not np.ndarray:
            raise execution.no_value(self.array, what, cure)
        if STATE.reader is not None:
            STATE.reader(self, what)
        return self.array

    def item(self) -> bool | int | float:
        """The only element, as a Python number."""
        array = self._concrete("item()")
        if array.size != 1:
            raise ShapeError(
                f"item: the Tensor must have exactly one element, got shape {self.shape}; "
                "use tolist() or an index"
            )
        return array.item() if array.dtype != dtypes.bfloat16 else float(array.reshape(())[()])

    def tolist(self) -> Any:
        """The elements as nested lists of Python numbers."""
        return self._concrete("tolist()").tolist()

    def _scalar(self, what: str) -> Any:
        array = self._concrete(what)
        if array.size != 1:
            raise ShapeError(
                f"{what}: the truth or number of a Tensor of shape {self.shape} is ambiguous; "
                "use any(), all() or an index, and `is` to look for a Tensor in a list"
            )
        return array.reshape(())[()]

    def __bool__(self) -> bool:
        return bool(self._scalar("bool()"))

    def __float__(self) -> float:
        return float(self._scalar("float()"))

    def __int__(self) -> int:
        return int(self._scalar("int()"))

    def __index__(self) -> int:
        value = self._scalar("index()")
        if self.dtype not in dtypes.INTEGER:
            raise DTypeError(f"index: only integer Tensors can be an index, got {self.dtype}")
        return int(value)

    def __format__(self, spec: str) -> str:
        number = self.array.size == 1 if spec else not self.shape
        return format(self.item() if number else str(self), spec)

    def __iter__(self) -> Iterator[Tensor]:
        if not self.shape:
            raise ShapeError("iteration: a Tensor of no axes cannot be iterated")
        return (self[i] for i in range(self.shape[0]))

    def __reversed__(self) -> Iterator[Tensor]:
        return (self[i] for i in reversed(range(len(self))))

    def _require_cut(self, what: str, cure: str) -> None:
        """Raise if the way of a gradient would end here: in something that only takes numbers."""
        if self._requires_grad and STATE.grad_enabled:
            op = f", computed by {self.op}" if self.node is not None else ""
            raise GradientError(
                f"{what}: a Tensor that requires a gradient ({describe(self.array)}{op}) would "
                f"lose it here{where_called()}; {cure}"
            )

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        """NumPy's functions compute with the elements, as NumPy does with any array."""

        def plain(x: Any) -> Any:
            if isinstance(x, Tensor):
                x._require_cut(f"{function.__module__}.{name}", instead_of_numpy(name))
                x._concrete(f"{function.__module__}.{name}", instead_of_numpy(name))
                return x.numpy()
            return type(x)(map(plain, x)) if type(x) in (list, tuple) else x

        name = function.__name__
        if name in ("shape", "ndim", "size"):
            return function._implementation(*args, **kwargs)
        return function(*plain(args), **{key: plain(x) for key, x in kwargs.items()})

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        if not STATE.execution.captures:  # in a capture there are no elements at all
            self._require_cut("numpy", instead_of_numpy(""))
        array = self._concrete("numpy.asarray()")
        if dtype is not None and array.dtype != dtype:
            if copy is False:
                raise ArgumentError(f"__array__: {array.dtype} to {np.dtype(dtype)} needs a copy")
            return array.astype(dtype)
        return array.copy() if copy else self.numpy()

    def __dlpack__(
        self,
        *,
        stream: Any = None,
        max_version: tuple[int, int] | None = None,
        dl_device: tuple[Any, int] | None = None,
        copy: bool | None = None,
    ) -> Any:
        if self.requires_grad:
            raise GradientError("__dlpack__: gradients do not cross DLPack; export t.detach()")
        # Not every consumer heeds "read only": a copy of its own keeps this Tensor safe.
        array = self.numpy() if copy is False else self._concrete("__dlpack__()").copy()
        return array.__dlpack__(stream=stream, max_version=max_version, dl_device=dl_device)

    def __dlpack_device__(self) -> tuple[int, int]:
        return (1, 0)  # kDLCPU

    def __copy__(self) -> Tensor:
        return self.__deepcopy__({})

    def __deepcopy__(self, memo: dict[int, Any]) -> Tensor:
        if self.node is not None:
            raise GradientError("copy: only leaf Tensors are copied; use t.detach() first")
        memo[id(self)] = twin = self._twin(self._concrete("copy").copy())
        for name, value in getattr(self, "__dict__", {}).items():  # of a class of the user's
            setattr(twin, name, copy.deepcopy(value, memo))
        return twin

    def _twin(self, array: Any) -> Tensor:
        """A leaf of the same kind and name around another array."""
        return _leaf(type(self), array, self._requires_grad, self.name)

    def __reduce_ex__(self, protocol: Any) -> Any:
        if self.node is not None:
            raise GradientError(
                f"pickle: only leaf Tensors are pickled, because the tape stays behind, and this "
                f"one ({describe(self.array)}) was computed by {self.op}; use t.detach()"
            )
        twin = self._twin(self._concrete("pickle"))  # it has what a copy keeps
        state: Any = object.__getstate__(twin)
        own = {name: value for name, value in state[1].items() if name not in Tensor.__slots__}
        own.update(getattr(self, "__dict__", {}))
        made = type(twin), twin.array, twin._requires_grad, twin.name
        return _leaf, made, (None, own) if own else None

    # -- the same elements, otherwise ---------------------------------------------------------

    def detach(self) -> Tensor:
        """The same values, cut off from the tape."""
        return wrap(STATE.execution.read(self))

    def assign(self, value: Any) -> Tensor:
        """Replace all values; shape and dtype stay. The tape keeps the values it has used.

        >>> t = tensor([1.0, 2.0])
        >>> t.assign([3.0, 4.0])
        Tensor([3., 4.], shape=(2,), dtype=float32)
        """
        if self.node is not None:
            raise GradientError(
                f"assign: only leaf Tensors take new values, this one was computed by {self.op}; "
                "assign to t.detach() or make a new Tensor"
            )
        if isinstance(value, Tensor):
            new = value
        else:
            known = STATE.execution.stand_in(value)
            new = wrap(_as_array(value, self.dtype, copy=True)) if known is None else known
        if new.shape != self.shape:
            raise ShapeError(f"assign: the value must have shape {self.shape}, got {describe(new)}")
        if new.dtype != self.dtype:
            new = new.detach().astype(self.dtype)
        STATE.execution.assign(self, new)
        return self

    def to(
        self,
        *args: Any,
        dtype: Any = None,
        device: Any = None,
        non_blocking: bool = False,
        copy: bool = False,
        memory_format: Any = None,
    ) -> Tensor:
        """The Tensor as another dtype, as that of another Tensor, or on a device: the CPU.

        With `copy` it is always a Tensor of its own. `non_blocking` and `memory_format` are
        PyTorch's and have no meaning here.

        >>> tensor([1.0]).to("float64")
        Tensor([1.], shape=(1,), dtype=float64)
        """
        for arg in args:
            if isinstance(arg, Tensor):
                dtype = arg.dtype
            elif isinstance(arg, str) and is_device(arg):
                device = arg
            elif type(arg) is not bool:  # non_blocking or copy, by place
                dtype = arg
        check_device(device)
        y = self if dtype is None else self.astype(dtype)
        return copied(y) if copy and y is self else y

    def to_device(self, device: str, /, *, stream: Any = None) -> Tensor:
        """The Tensor on a device: `"cpu"` is the only one."""
        check_device(device)
        return self

    def astype(self, dtype: Any) -> Tensor:
        """The elements as another type; the gradient is cast back.

        A float becomes an integer without its fraction. One that the integer type does not hold
        becomes what NumPy and PyTorch make of it on x86-64, on every processor, compiled or not:
        8 and 16 bits and uint32 start again (300 is 44 as uint8, -1 is 255), int32 and int64 are
        their lowest number. NaN and what is too large even for int32 (for uint32 and 64 bits:
        int64) are that type's lowest number, of which small types have the last bits, 0.

        >>> tensor([1.7, -1.7]).astype("int32")
        Tensor([ 1, -1], shape=(2,), dtype=int32)
        """
        dtype = as_dtype(dtype)
        if dtype == self.dtype:
            return self
        if dtype in dtypes.FLOATING and self.dtype in dtypes.FLOATING:
            return apply(elementwise.Astype(dtype=dtype), self)
        return apply(elementwise.Convert(dtype=dtype), self)

    def become(self, what: str, new: Tensor, *, reshaped: bool = False) -> Tensor:
        """Take over a Tensor's value and its place on the tape: the end of each change in place.

        Nothing is overwritten: whoever has used the old value keeps it. A leaf that requires a
        gradient takes new values under `no_grad` only, and stays a leaf. The shape stays, too,
        unless it is the elements in another shape that are taken over: `reshaped`.
        """
        leaf = self._requires_grad and self.node is None
        if leaf and STATE.grad_enabled:
            raise GradientError(
                f"{what}: a leaf that requires a gradient ({describe(self)}) cannot change in "
                f"place{where_called()}, because the tape could not say of which value its "
                "gradient is; change it under backlit.no_grad(), or make a new Tensor"
            )
        if new.shape != self.shape and not reshaped:
            raise ShapeError(
                f"{what}: the result must have the shape of the Tensor that it replaces, "
                f"{self.shape}, got {new.shape}{where_called()}; make a new Tensor"
            )
        if new.dtype != self.dtype:
            if not dtypes.same_kind(new.dtype, self.dtype):
                raise DTypeError(
                    f"{what}: {self.dtype} cannot hold the result, which is {new.dtype}"
                    f"{where_called()}; make a new Tensor, or cast with astype({self.dtype.name!r})"
                )
            new = new.astype(self.dtype)
        array = self.array
        execution = STATE.execution
        if new.node is not None and not leaf:
            execution.require_inside(self)
        execution.assign(self, new)
        if new.node is not None and not leaf:
            if self.node is None:  # a node that refers to its own Tensor would keep both alive
                new.node.inputs = tuple(
                    [wrap(array) if edge is self else edge for edge in new.node.inputs]
                )
            keeping = _keeping(self)
            for keep in keeping:
                self.node.hooks.remove(keep)  # type: ignore[union-attr]
            self.node, self._requires_grad = new.node, True
            for keep in keeping:
                self.register_hook(keep)
        if STATE.observer is not None and not leaf:
            STATE.observer(_POSITIVE, (new,), self)
        if Parts.made:
            part = self._part
            if reshaped:
                self._part = None
            elif part is not None:
                part.write(what, self, array)
        return self

    # -- gradients ----------------------------------------------------------------------------

    @property
    def grad(self) -> Tensor | None:
        """The gradient that `backward` has added up for this leaf, or None if there is none."""
        return STATE.execution.get_grad(self)

    @grad.setter
    def grad(self, value: Tensor | None) -> None:
        if value is not None and not isinstance(value, Tensor):
            raise DTypeError(
                f"grad: a gradient must be a Tensor or None, got {words(value)[0]}; "
                "use backlit.tensor(value)"
            )
        if value is not None and (value.shape != self.shape or value.dtype != self.dtype):
            raise ShapeError(
                f"grad: a gradient has the type of its Tensor, {describe(self)}, "
                f"got {describe(value)}"
            )
        STATE.execution.set_grad(self, value)

    @property
    def requires_grad(self) -> bool:
        """Whether `backward` is asked for its gradient, or that of what it was computed from."""
        return self._requires_grad

    @requires_grad.setter
    def requires_grad(self, value: bool) -> None:
        if not (value and self._requires_grad):
            self.requires_grad_(value)

    def requires_grad_(self, requires_grad: bool = True) -> Tensor:
        """Ask `backward` for the gradient of this leaf, or stop asking; returns the Tensor."""
        if self.node is not None:
            raise GradientError(
                f"requires_grad_: this Tensor was computed by {self.op}; only leaves are asked"
            )
        if requires_grad and self.dtype not in dtypes.FLOATING:
            raise DTypeError(
                f"requires_grad: only floating Tensors have gradients, got {self.dtype}; "
                "use t.astype(backlit.float32)"
            )
        self._requires_grad = requires_grad
        return self

    def register_hook(self, hook: Callable[[Tensor], Tensor | None]) -> Removal:
        """Call `hook` with the gradient of this Tensor whenever it is computed.

        A Tensor that the hook returns takes the gradient's place. What is returned takes the hook
        away: `handle.remove()`, or a call of it.
        """
        if not self.requires_grad:
            raise GradientError("register_hook: this Tensor does not require a gradient")
        holder: Any = self if self.node is None else self.node
        name = "_hooks" if self.node is None else "hooks"
        hooks = getattr(holder, name)
        if hooks is None:
            hooks = []
            setattr(holder, name, hooks)
        hooks.append(hook)
        CHANGES.mark = object()

        def remove() -> None:
            if hook in hooks:
                hooks.remove(hook)
                CHANGES.mark = object()

        return Removal(remove)

    def retain_grad(self) -> None:
        """Keep the gradient of this computed Tensor in its `grad`, as leaves do."""
        if self.node is not None and not _keeping(self):
            self.register_hook(_Keep(self))

    # -- operators and methods that `array_api.methods` and `autograd` attach --------------------
    # What is PyTorch's alone, and what may be either's, is declared in `attached`.

    if TYPE_CHECKING:

        def _unary(self) -> Tensor: ...
        def _binary(self, other: Any) -> Tensor: ...
        def _fold(
            self,
            axis: Any = None,
            keepdim: bool | None = None,
            *,
            keepdims: bool = False,
            dim: Any = None,
        ) -> Tensor: ...
        def _accumulation(
            self,
            axis: Any = None,
            keepdim: bool | None = None,
            *,
            dtype: Any = None,
            keepdims: bool = False,
            dim: Any = None,
        ) -> Tensor: ...

        T: Tensor
        mT: Tensor  # noqa: N815
        __neg__ = __pos__ = __abs__ = __invert__ = _unary
        __add__ = __radd__ = __iadd__ = __sub__ = __rsub__ = __isub__ = _binary
        __mul__ = __rmul__ = __imul__ = __truediv__ = __rtruediv__ = __itruediv__ = _binary
        __floordiv__ = __rfloordiv__ = __ifloordiv__ = __mod__ = __rmod__ = __imod__ = _binary
        __pow__ = __rpow__ = __ipow__ = __matmul__ = __rmatmul__ = __imatmul__ = _binary
        __and__ = __rand__ = __iand__ = __or__ = __ror__ = __ior__ = _binary
        __xor__ = __rxor__ = __ixor__ = _binary
        __lshift__ = __rlshift__ = __ilshift__ = __rshift__ = __rrshift__ = __irshift__ = _binary
        __lt__ = __le__ = __gt__ = __ge__ = _binary
        __eq__ = __ne__ = _binary  # type: ignore[assignment]
        mean = argmax = argmin = all = any = _fold
        sum = prod = _accumulation

        def __array_namespace__(self, *, api_version: str | None = None) -> Any: ...
        def __getitem__(self, key: Any) -> Tensor: ...
        def __setitem__(self, key: Any, value: Any) -> None: ...
        def __contains__(self, value: Any) -> bool: ...
        def __round__(self, digits: int | None = None) -> Tensor: ...
        def reshape(self, *shape: Any) -> Tensor: ...  # noqa: D102
        def backward(  # noqa: D102
            self,
            gradient: Any = None,
            *,
            retain_graph: bool | None = None,
            create_graph: bool = False,
        ) -> None: ...


_new = object.__new__
_POSITIVE = elementwise.Positive()
_OR = elementwise.LogicalOr()


class _Keep:
    """The hook that leaves a gradient in the `grad` of a computed Tensor."""

    def __init__(self, tensor: Tensor):
        self.tensor = weakref.ref(tensor)

    def __call__(self, gradient: Tensor) -> None:
        tensor = self.tensor()
        if tensor is not None:
            old = tensor.grad
            tensor.grad = gradient if old is None else old + gradient


def _keeping(tensor: Tensor) -> list[_Keep]:
    """The hook by which a computed Tensor keeps its gradient, if it does."""
    hooks = tensor.node.hooks if tensor.node is not None else None
    return [h for h in hooks or () if isinstance(h, _Keep) and h.tensor() is tensor]


def wrap(array: Any, node: Node | None = None) -> Tensor:
    """A Tensor around an array as it is, computed by `node` if given."""
    t = _new(Tensor)
    t.array = array
    t.node = node
    t._requires_grad = node is not None
    t._grad = t._hooks = t.name = t._part = None
    return t


def _leaf(kind: type[Tensor], array: Any, requires_grad: bool, name: str | None) -> Tensor:
    """A leaf of a kind around an array as it is: what a copy and a pickle make again."""
    t = _new(kind)
    t.array = array
    t.node = t._grad = t._hooks = t._part = None
    t._requires_grad, t.name = requires_grad, name
    return t


def copied(x: Tensor) -> Tensor:
    """The same values in an array of their own; gradients go through."""
    return apply(_OR, x, x) if x.dtype == dtypes.bool_ else apply(_POSITIVE, x)


def constant(array: Any) -> Tensor:
    """A Tensor around a new array. A captured function that changes it changes its own."""
    t = wrap(array)
    STATE.execution.claim(t)
    return t


def _count_bad(array: np.ndarray) -> str:
    if array.dtype not in dtypes.FLOATING:
        return ""
    nan, inf = int(np.isnan(array).sum()), int(np.isinf(array).sum())
    return (f", nan={nan}" if nan else "") + (f", inf={inf}" if inf else "")


def as_tensor(x: Any) -> Tensor:
    """The Tensor itself, or one around an array or number."""
    if isinstance(x, Tensor):
        return x
    known = STATE.execution.stand_in(x)
    return wrap(_as_array(x)) if known is None else known


def _as_array(data: Any, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
    """The array that data becomes; it may be a Tensor or hold some, if no gradient is wanted."""
    if isinstance(data, Tensor):
        data._require_cut("tensor", KEEP)
        data = data._concrete("asarray()")
    return as_array(data, dtype, copy, _without_tensors)


def _without_tensors(data: Any) -> Any:
    if isinstance(data, Tensor):
        data._require_cut(
            "a list of Tensors",
            "use backlit.stack, or t.detach() (of one number item()) in the list if none is wanted",
        )
        return data._concrete("a list of Tensors", "use backlit.stack, which needs no values")
    if isinstance(data, NESTING):
        return [d if type(d) is float or type(d) is int else _without_tensors(d) for d in data]
    return data


def tensor(data: Any, dtype: Any = None, requires_grad: bool = False) -> Tensor:
    """A Tensor with a copy of the data: numbers, nested lists, arrays.

    Python floats become float32 and ints int64; arrays keep their dtype.

    >>> tensor([[1.0, 2.0], [3.0, 4.0]])
    Tensor([[1., 2.],
            [3., 4.]], shape=(2, 2), dtype=float32)
    """
    return Tensor(data, dtype, requires_grad)


__all__ = ["Tensor", "apply", "as_tensor", "tensor", "wrap"]
