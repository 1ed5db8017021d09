"""The Module: parameters, buffers and submodules under names, and the calls that use them."""

from __future__ import annotations

import inspect
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, ClassVar

from ..array_api import zeros, zeros_like
from ..calls import misfit
from ..changes import CHANGES, Announcing, WatchedDict
from ..conversion import check_device, is_device
from ..dtypes import FLOATING, as_dtype
from ..errors import ArgumentError, BacklitError, DTypeError
from ..foreign import require_function, words
from ..op import describe
from ..state import STATE
from ..table import quantity
from ..tape import Scope, arose
from ..tensor import Tensor
from . import hooks, saved_state
from .hooks import RemovableHandle
from .parameter import Buffer, Parameter, is_known


class Module(Announcing):
    """The base of all layers and networks: subclass it, set attributes, define `forward`.

    Attributes that are Parameters, Modules or (through `register_buffer`) Tensors are found by
    their names.
    """

    guarded: ClassVar = ("training", "_parameters", "_buffers", "_modules", "_hooks")
    called: ClassVar = ("forward",)
    #: Buffers that a state to be loaded may lack, as files from before they were there.
    may_be_missing: ClassVar[tuple[str, ...]] = ()
    #: Whether the result depends on chance in training, and whether on the other samples.
    _draws: ClassVar[bool] = False
    _mixes: ClassVar[bool] = False
    #: Whether it stays in evaluation mode (see `models.freeze`).
    _frozen: bool = False

    training: bool
    _parameters: dict[str, Any]
    _buffers: dict[str, Any]
    _modules: dict[str, Any]
    _not_saved: set[str]
    _hooks: dict[int, hooks.Hook]

    def __new__(cls, *args: Any, **options: Any) -> Any:
        """An empty module: also where a subclass's `__init__` (or a dataclass's) forgets ours."""
        self = super().__new__(cls)
        self.__dict__.update(
            _parameters=WatchedDict(),
            _buffers=WatchedDict(),
            _modules=WatchedDict(),
            _not_saved=set(),
            _hooks=WatchedDict(),
            training=True,
        )
        return self

    def __init__(self) -> None:
        pass

    # -- attributes ---------------------------------------------------------------------------

    def __setattr__(self, name: str, value: Any) -> None:
        STATE.execution.wrote(self, name, value)
        if self.__dict__.get(name, STATE) is value:
            return  # nothing to announce, as in `model.train()` before every step
        place = self._registry(name)
        if isinstance(value, Parameter):
            self._set(name, value, self._parameters)
        elif isinstance(value, Module):
            self._set(name, value, self._modules)
        elif isinstance(value, Buffer) and place is None:
            self.register_buffer(name, value, value.persistent)
        elif place is not None:
            self._require_kind(name, value, place)
            self._set(name, value, place)
        else:
            self.__dict__[name] = value
        CHANGES.mark = object()

    def _registry(self, name: str) -> dict[str, Any] | None:
        """The dict in which a name is registered: of parameters, buffers or modules."""
        for kind in ("_parameters", "_buffers", "_modules"):
            place = self.__dict__.get(kind, {})
            if name in place:
                return place
        return None

    def _require_kind(self, name: str, value: Any, place: dict[str, Any]) -> None:
        """Raise unless a value is of the kind that was registered under a name."""
        if place is self._parameters:
            kind: type[Any] = Parameter
            what = "a Parameter"
            cure = (
                f"write nn.Parameter(value), or to change its value {name}.assign(value); "
                "del it first to put something else there"
            )
        elif place is self._modules:
            kind, what = Module, "a Module"
            cure = "del it first to put something else there"
        else:
            kind, what = Tensor, "a Tensor"
            cure = "write backlit.tensor(value), or del it first to put something else there"
        if value is not None and not isinstance(value, kind):
            got = describe(value) if isinstance(value, Tensor) else f"{value!r:.60}"
            raise DTypeError(
                f"{type(self).__name__}.{name}: it was registered as {what}, so its value must be "
                f"one or None, got {got} ({type(value).__name__}); {cure}"
            )

    def _register(self, name: str, value: Any, place: dict[str, Any]) -> None:
        """Put a value under a new name, or replace one of its kind."""
        usable = isinstance(name, str) and name and "." not in name
        if not usable or (name not in place and hasattr(self, name)):
            raise ArgumentError(
                f"{type(self).__name__}: a name must be a text without dots that is no attribute "
                f"of another kind, got {name!r}"
            )
        self._require_kind(name, value, place)
        STATE.execution.wrote(self, name, value)
        self._set(name, value, place)

    def _set(self, name: str, value: Any, where: dict[str, Any]) -> None:
        for kind in (self._parameters, self._buffers, self._modules):
            if kind is not where:
                kind.pop(name, None)
        where[name] = value
        self.__dict__[name] = value
        CHANGES.mark = object()

    def __delattr__(self, name: str) -> None:
        for kind in (self._parameters, self._buffers, self._modules):
            kind.pop(name, None)
        object.__delattr__(self, name)
        CHANGES.mark = object()

    def register_buffer(self, name: str, tensor: Tensor | None, persistent: bool = True) -> None:
        """Add a Tensor that is state but not learned; it is saved unless `persistent` is False."""
        self._register(name, tensor, self._buffers)
        (self._not_saved.discard if persistent else self._not_saved.add)(name)

    def register_parameter(self, name: str, param: Parameter | None) -> None:
        """Add a Parameter, or None for one that is switched off (a layer without bias)."""
        self._register(name, param, self._parameters)

    def add_module(self, name: str, module: Module | None) -> None:
        """Add a submodule under a name."""
        self._register(name, module, self._modules)

    def register_module(self, name: str, module: Module | None) -> None:
        """Add a submodule under a name, as `add_module`."""
        self._register(name, module, self._modules)

    # -- the call -----------------------------------------------------------------------------

    def forward(self, *inputs: Any) -> Any:
        """The module's function; every subclass defines it."""
        raise NotImplementedError(f"{type(self).__name__} must define forward()")

    def __call__(self, *inputs: Any, **options: Any) -> Any:
        """The result of `forward`; what happens inside belongs to this module."""
        state = STATE
        outer = state.scope
        try:
            state.scope = Scope(self, outer)
            state.execution.called(self)
            if options and not inputs:
                inputs, options = _by_place(self, options)
            if self._hooks:
                return hooks.call(self, inputs, options)
            return self.forward(*inputs, **options)
        except BaseException as error:
            told = None
            if isinstance(error, TypeError) and not isinstance(error, BacklitError):
                told = misfit(self.forward, type(self).__name__, inputs, options)
            arose(told or error, scope=state.scope)
            if told is not None:
                raise told from None
            raise
        finally:
            state.scope = outer

    def register_forward_pre_hook(
        self,
        hook: Callable[..., Any],
        *,
        prepend: bool = False,
        with_kwargs: bool = False,
    ) -> RemovableHandle:
        """Call `hook(module, args)` before each call; what it returns replaces the arguments.

        With `with_kwargs` it is `hook(module, args, kwargs)`, and returns None or both anew. In a
        captured function a hook runs while it is captured, like everything else in it.
        """
        return self._hook(hooks.BEFORE, hook, prepend, with_kwargs)

    def register_forward_hook(
        self,
        hook: Callable[..., Any],
        *,
        prepend: bool = False,
        with_kwargs: bool = False,
        always_call: bool = False,
    ) -> RemovableHandle:
        """Call `hook(module, args, result)` after each call; what it returns replaces the result.

        With `with_kwargs` it is `hook(module, args, kwargs, result)`. With `always_call` it is
        called with None where the module raises, too. `prepend` puts it before the hooks that are
        there; `remove()` of the handle that is returned takes it away.

        >>> from backlit import nn, zeros
        >>> seen = {}
        >>> def keep(module, args, y):
        ...     seen["tanh"] = y
        >>> model = nn.Sequential(nn.Linear(2, 3), nn.Tanh())
        >>> handle = model[1].register_forward_hook(keep)
        >>> _ = model(zeros((4, 2)))
        >>> handle.remove()
        >>> seen["tanh"].shape
        (4, 3)
        """
        return self._hook(hooks.AFTER, hook, prepend, with_kwargs, always_call)

    def register_full_backward_pre_hook(
        self, hook: Callable[..., Any], prepend: bool = False
    ) -> RemovableHandle:
        """Call `hook(module, grad_output)` when the gradients of the module's results are known.

        What it returns replaces them. See `register_full_backward_hook`.
        """
        return self._hook(hooks.GRADIENT_BEFORE, hook, prepend)

    def register_full_backward_hook(
        self, hook: Callable[..., Any], prepend: bool = False
    ) -> RemovableHandle:
        """Call `hook(module, grad_input, grad_output)` when the module's gradients are known.

        Both are tuples, of the positional arguments and of the results, with None for those that
        have no gradient; what the hook returns replaces `grad_input`. A result that nothing uses
        has a gradient of 0 here (None in PyTorch) if another one is used.
        """
        return self._hook(hooks.GRADIENT, hook, prepend)

    def register_backward_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Raises: this old way sees the gradients of the last op in the module only."""
        raise ArgumentError(
            f"{type(self).__name__}.register_backward_hook: it saw the gradients of the last op, "
            "not those of the module; use register_full_backward_hook"
        )

    @property
    def _forward_hooks(self) -> Mapping[int, Callable[..., Any]]:
        """The functions that are called after each call, as courses look them up."""
        return self._hooked(hooks.AFTER)

    @property
    def _forward_pre_hooks(self) -> Mapping[int, Callable[..., Any]]:
        """The functions that are called before each call."""
        return self._hooked(hooks.BEFORE)

    @property
    def _backward_hooks(self) -> Mapping[int, Callable[..., Any]]:
        """The functions that are called with the module's gradients."""
        return self._hooked(hooks.GRADIENT)

    def _hooked(self, kind: str) -> Mapping[int, Callable[..., Any]]:
        """The functions of a kind, to be read: handles take them away."""
        found = {number: h.function for number, h in self._hooks.items() if h.kind == kind}
        return MappingProxyType(found)

    def _hook(
        self,
        kind: str,
        function: Callable[..., Any],
        prepend: bool,
        with_kwargs: bool = False,
        always_call: bool = False,
    ) -> RemovableHandle:
        require_function(f"{type(self).__name__}: a hook", function)
        handle = RemovableHandle(self._hooks)
        self._hooks[handle.id] = hooks.Hook(kind, function, with_kwargs, always_call)
        if prepend:
            self._hooks.move_to_end(handle.id, last=False)  # type: ignore[attr-defined]
        return handle

    # -- what is inside -----------------------------------------------------------------------

    def named_modules(
        self, memo: set[Any] | None = None, prefix: str = "", remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Module]]:
        """This module (its name is the prefix) and all inside it with dotted names.

        Each is there once, or with `remove_duplicate=False` under each of its names; those in
        `memo` are left out.
        """
        seen: set[Any] = set() if memo is None else memo
        stack: list[tuple[str, Module, tuple[int, ...]]] = [(prefix, self, ())]
        while stack:
            name, module, outer = stack.pop()
            if (module in seen) if remove_duplicate else (id(module) in outer):
                continue
            seen.add(module)
            yield name, module
            outer = () if remove_duplicate else (*outer, id(module))
            inner = [(f"{name}.{n}" if name else n, m) for n, m in module._modules.items()]
            stack.extend((n, m, outer) for n, m in reversed(inner) if m is not None)

    def modules(self, remove_duplicate: bool = True) -> Iterator[Module]:
        """This module and all inside it, each once."""
        return (m for _, m in self.named_modules(remove_duplicate=remove_duplicate))

    def named_children(self) -> Iterator[tuple[str, Module]]:
        """The modules directly inside, each once."""
        seen: set[Module] = set()
        for name, module in self._modules.items():
            if module is not None and module not in seen:
                seen.add(module)
                yield name, module

    def children(self) -> Iterator[Module]:
        """The modules directly inside, without names."""
        return (m for _, m in self.named_children())

    def _named(
        self, kind: str, prefix: str, recurse: bool, remove_duplicate: bool
    ) -> Iterator[tuple[str, Any]]:
        seen: set[int] = set()
        places: Iterable[tuple[str, Module]] = [(prefix, self)]
        if recurse:
            places = self.named_modules(prefix=prefix, remove_duplicate=remove_duplicate)
        for path, module in places:
            for name, value in getattr(module, kind).items():
                if value is None or (remove_duplicate and id(value) in seen):
                    continue
                seen.add(id(value))
                yield f"{path}.{name}" if path else name, value

    def named_parameters(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Parameter]]:
        """All parameters with dotted names, each once, also if it is shared.

        Without `recurse` the module's own; without `remove_duplicate` under each name.
        """
        return self._named("_parameters", prefix, recurse, remove_duplicate)

    def parameters(self, recurse: bool = True) -> Iterator[Parameter]:
        """All parameters, each once; without `recurse` the module's own."""
        return (p for _, p in self.named_parameters(recurse=recurse))

    def named_buffers(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Tensor]]:
        """All buffers with dotted names, as `named_parameters`."""
        return self._named("_buffers", prefix, recurse, remove_duplicate)

    def buffers(self, recurse: bool = True) -> Iterator[Tensor]:
        """All buffers, each once; without `recurse` the module's own."""
        return (b for _, b in self.named_buffers(recurse=recurse))

    def get_submodule(self, target: str) -> Module:
        """The module at a dotted path; an empty path is this module."""
        module = self
        if not isinstance(target, str):
            raise ArgumentError(
                f"get_submodule: the path must be a text, got {words(target)[0]}; as 'layers.0'"
            )
        for name in target.split(".") if target else ():
            if name not in module._modules:
                raise ArgumentError(
                    f"get_submodule: {type(module).__name__} has no module {name!r} (of "
                    f"{target!r}); it has {', '.join(module._modules) or 'none'}"
                )
            module = module._modules[name]
        return module

    def get_parameter(self, target: str) -> Parameter:
        """The parameter at a dotted path."""
        return self._at("parameter", "_parameters", target)

    def get_buffer(self, target: str) -> Tensor:
        """The buffer at a dotted path."""
        return self._at("buffer", "_buffers", target)

    def _at(self, what: str, kind: str, target: str) -> Any:
        if not isinstance(target, str):
            raise ArgumentError(
                f"get_{what}: the path must be a text, got {words(target)[0]}; as 'layers.0.name'"
            )
        place, _, name = target.rpartition(".")
        module = self.get_submodule(place)
        there = getattr(module, kind)
        if there.get(name) is None:
            raise ArgumentError(
                f"get_{what}: {type(module).__name__} has no {what} {name!r} (of {target!r}); "
                f"it has {', '.join(n for n, v in there.items() if v is not None) or 'none'}"
            )
        return there[name]

    # -- modes --------------------------------------------------------------------------------

    def train(self, mode: bool = True) -> Module:
        """Set training mode here and inside: dropout drops, batch-norm learns statistics."""
        for module in self.modules():
            module.training = mode and not module._frozen
        return self

    def eval(self) -> Module:
        """Set evaluation mode here and inside."""
        return self.train(False)

    def requires_grad_(self, requires_grad: bool = True) -> Module:
        """Ask for the gradients of all parameters, or freeze them."""
        for p in self.parameters():
            p.requires_grad_(requires_grad)
        return self

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients of all parameters, or with `set_to_none=False` make them zeros."""
        for p in self.parameters():
            p.grad = None if set_to_none or p.grad is None else zeros_like(p.grad)

    def apply(self, fn: Callable[[Module], None]) -> Module:
        """Call a function with the modules inside, in their order, then this one; returns it."""
        require_function("apply: function", fn)
        for module in list(self.children()):
            module.apply(fn)
        fn(self)
        return self

    def to(
        self,
        *args: Any,
        dtype: Any = None,
        device: Any = None,
        non_blocking: bool = False,
        memory_format: Any = None,
    ) -> Module:
        """Cast all floating parameters and buffers to a dtype, or that of a Tensor.

        Gradients are cast along. The device is the CPU, so `non_blocking` changes nothing, nor does
        `memory_format`, as the order in memory is never seen.
        """
        for arg in args:
            if isinstance(arg, str) and is_device(arg):
                device = arg
            elif isinstance(arg, Tensor):
                dtype = arg.dtype
            elif arg is not None and type(arg) is not bool:  # non_blocking, by place
                dtype = arg
        check_device(device)
        if dtype is not None:
            target = as_dtype(dtype)
            if target not in FLOATING:
                raise DTypeError(f"Module.to: dtype must be floating, got {target}")
            for _, t in (*self.named_parameters(), *self.named_buffers()):
                if t.dtype in FLOATING and t.dtype != target:
                    if not is_known(t):
                        t.array = t.array.astype(target)
                        continue
                    gradient, t.grad = t.grad, None
                    t.data = t.detach().astype(target)
                    t.grad = None if gradient is None else gradient.detach().astype(target)
        return self

    def float(self) -> Module:
        """Cast all floating parameters and buffers to float32."""
        return self.to("float32")

    def double(self) -> Module:
        """Cast all floating parameters and buffers to float64."""
        return self.to("float64")

    def half(self) -> Module:
        """Cast all floating parameters and buffers to float16."""
        return self.to("float16")

    def bfloat16(self) -> Module:
        """Cast all floating parameters and buffers to bfloat16."""
        return self.to("bfloat16")

    def type(self, dst_type: Any) -> Module:
        """Cast all floating parameters and buffers to a dtype, or that of PyTorch's class."""
        return self.to(dtype=zeros(()).type(dst_type).dtype)

    def cpu(self) -> Module:
        """The module itself: it is on the CPU."""
        return self

    def cuda(self, device: Any = None) -> Module:
        """Raises: Backlit computes on the CPU."""
        return self.to(device="cuda" if device is None else f"cuda:{device}")

    # -- saving -------------------------------------------------------------------------------

    def state_dict(
        self,
        *,
        destination: dict[str, Tensor] | None = None,
        prefix: str = "",
        keep_vars: bool = False,
    ) -> dict[str, Tensor]:
        """All parameters and saved buffers by name, with their values as they are now.

        A shared Tensor stands under each of its names. `prefix` is put before all names; with
        `keep_vars` the Tensors are the model's own. A `destination` is filled and returned.
        """
        state: dict[str, Tensor] = OrderedDict() if destination is None else destination
        for name, t in saved_state.saved(self, prefix):
            state[name] = t if keep_vars or not is_known(t) else t.detach()
        return state

    def load_state_dict(
        self, state_dict: dict[str, Any], strict: bool = True, assign: bool = False
    ) -> saved_state.IncompatibleKeys:
        """Take over values by name. Nothing changes if a name or a shape does not fit.

        A shared Tensor may stand in the state under any of its names, or under several with the
        same values. With `strict=False` missing and unexpected names are passed over; shapes must
        still fit. Both are returned, as `missing_keys` and `unexpected_keys`. With `assign` the
        state's Tensors become the parameters, also in another dtype; an optimizer is made anew.

        >>> from backlit import nn
        >>> nn.Linear(2, 1).load_state_dict(nn.Linear(2, 1).state_dict())
        <All keys matched successfully>
        """
        return saved_state.load(self, state_dict, strict, assign)

    # -- printing -----------------------------------------------------------------------------

    def extra_repr(self) -> str:
        """What the module prints of itself in parentheses."""
        return ""

    def __repr__(self) -> str:
        return "\n".join(self._tree("", ""))

    def _tree(self, name: str, indent: str) -> Iterator[str]:
        count = sum(p.size for p in self.parameters() if is_known(p))
        own = ", ".join(
            f"{n}: {describe(p) if is_known(p) else 'not known yet'}"
            for n, p in self._parameters.items()
            if p is not None
        )
        label = f"({name}): " if name else ""
        total = f"  # {quantity(count, 'parameter')}" if count else ""
        if own and not self._modules:
            total = f"  # {own}; {quantity(count, 'parameter')}"
        line = f"{indent}{label}{type(self).__name__}({self.extra_repr()}"
        if not self._modules:
            yield f"{line}){total}"
            return
        yield f"{line}{total}"
        for inner_name, module in self._modules.items():
            if module is None:
                continue
            if type(module).__repr__ is Module.__repr__:
                yield from module._tree(inner_name, indent + "  ")
            else:  # the user's own words
                lines = repr(module).splitlines() or [""]
                yield f"{indent}  ({inner_name}): {lines[0]}"
                yield from (f"{indent}  {line}" for line in lines[1:])
        yield f"{indent})"


def _by_place(module: Module, options: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """`layer(input=x)`: PyTorch's name for the first argument, which layers call x."""
    if "input" not in options or "input" in inspect.signature(module.forward).parameters:
        return (), options
    others = dict(options)
    return (others.pop("input"),), others
