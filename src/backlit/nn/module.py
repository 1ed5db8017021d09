"""The Module: parameters, buffers and submodules under names, and the calls that use them."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import Any, ClassVar

import numpy as np

from ..changes import CHANGES, Announcing, WatchedDict
from ..conversion import check_device
from ..dtypes import FLOATING, as_dtype
from ..errors import ArgumentError, DTypeError, ShapeError
from ..foreign import require_dict, require_function, words
from ..op import describe
from ..state import STATE
from ..tape import Scope, arose
from ..tensor import Tensor, as_tensor


class Parameter(Tensor):
    """A Tensor that a module learns: it requires a gradient and is listed by `parameters()`.

    It is a leaf with a copy of the values of `data`, also where that was itself computed.
    """

    __slots__ = ()

    def __init__(self, data: Any, requires_grad: bool = True):
        super().__init__(data.detach() if isinstance(data, Tensor) else data)
        self.requires_grad_(requires_grad)


class Module(Announcing):
    """The base of all layers and networks: subclass it, set attributes, define `forward`.

    Attributes that are Parameters, Modules or (through `register_buffer`) Tensors are found by
    their names.
    """

    guarded: ClassVar = ("training", "_parameters", "_buffers", "_modules")
    called: ClassVar = ("forward",)

    training: bool
    _parameters: dict[str, Any]
    _buffers: dict[str, Any]
    _modules: dict[str, Any]
    _not_saved: set[str]

    def __new__(cls, *args: Any, **options: Any) -> Any:
        """An empty module: also where a subclass's `__init__` (or a dataclass's) forgets ours."""
        self = super().__new__(cls)
        self.__dict__.update(
            _parameters=WatchedDict(),
            _buffers=WatchedDict(),
            _modules=WatchedDict(),
            _not_saved=set(),
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
            words = "a Parameter"
            cure = (
                f"write nn.Parameter(value), or to change its value {name}.assign(value); "
                "del it first to put something else there"
            )
        elif place is self._modules:
            kind, words = Module, "a Module"
            cure = "del it first to put something else there"
        else:
            kind, words = Tensor, "a Tensor"
            cure = "write backlit.tensor(value), or del it first to put something else there"
        if value is not None and not isinstance(value, kind):
            got = describe(value) if isinstance(value, Tensor) else f"{value!r:.60}"
            raise DTypeError(
                f"{type(self).__name__}.{name}: it was registered as {words}, so its value must be "
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

    def register_buffer(self, name: str, value: Tensor | None, persistent: bool = True) -> None:
        """Add a Tensor that is state but not learned; it is saved unless `persistent` is False."""
        self._register(name, value, self._buffers)
        (self._not_saved.discard if persistent else self._not_saved.add)(name)

    def register_parameter(self, name: str, value: Parameter | None) -> None:
        """Add a Parameter, or None for one that is switched off (a layer without bias)."""
        self._register(name, value, self._parameters)

    def add_module(self, name: str, module: Module) -> None:
        """Add a submodule under a name."""
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
            return self.forward(*inputs, **options)
        except BaseException as error:
            arose(error, scope=state.scope)
            raise
        finally:
            state.scope = outer

    # -- what is inside -----------------------------------------------------------------------

    def named_modules(self, prefix: str = "") -> Iterator[tuple[str, Module]]:
        """This module (its name is the prefix) and all inside it, each once, with dotted names."""
        seen: set[int] = set()
        stack: list[tuple[str, Module]] = [(prefix, self)]
        while stack:
            name, module = stack.pop()
            if id(module) in seen:
                continue
            seen.add(id(module))
            yield name, module
            inner = [(f"{name}.{n}" if name else n, m) for n, m in module._modules.items()]
            stack.extend((n, m) for n, m in reversed(inner) if m is not None)

    def modules(self) -> Iterator[Module]:
        """This module and all inside it, each once."""
        return (module for _, module in self.named_modules())

    def named_children(self) -> Iterator[tuple[str, Module]]:
        """The modules directly inside."""
        return ((n, m) for n, m in self._modules.items() if m is not None)

    def children(self) -> Iterator[Module]:
        """The modules directly inside, without names."""
        return (m for _, m in self.named_children())

    def _named(self, kind: str, prefix: str) -> Iterator[tuple[str, Any]]:
        seen: set[int] = set()
        for path, module in self.named_modules(prefix):
            for name, value in getattr(module, kind).items():
                if value is not None and id(value) not in seen:
                    seen.add(id(value))
                    yield f"{path}.{name}" if path else name, value

    def named_parameters(self, prefix: str = "") -> Iterator[tuple[str, Parameter]]:
        """All parameters with dotted names, each once, also if it is shared."""
        return self._named("_parameters", prefix)

    def parameters(self) -> Iterator[Parameter]:
        """All parameters, each once."""
        return (p for _, p in self.named_parameters())

    def named_buffers(self, prefix: str = "") -> Iterator[tuple[str, Tensor]]:
        """All buffers with dotted names, each once."""
        return self._named("_buffers", prefix)

    def buffers(self) -> Iterator[Tensor]:
        """All buffers, each once."""
        return (b for _, b in self.named_buffers())

    def get_submodule(self, path: str) -> Module:
        """The module at a dotted path; an empty path is this module."""
        module = self
        if not isinstance(path, str):
            raise ArgumentError(
                f"get_submodule: the path must be a text, got {words(path)[0]}; as 'layers.0'"
            )
        for name in path.split(".") if path else ():
            if name not in module._modules:
                raise ArgumentError(
                    f"get_submodule: {type(module).__name__} has no module {name!r} (of {path!r}); "
                    f"it has {', '.join(module._modules) or 'none'}"
                )
            module = module._modules[name]
        return module

    # -- modes --------------------------------------------------------------------------------

    def train(self, mode: bool = True) -> Module:
        """Set training mode here and inside: dropout drops, batch-norm learns statistics."""
        for module in self.modules():
            module.training = mode
        return self

    def eval(self) -> Module:
        """Set evaluation mode here and inside."""
        return self.train(False)

    def requires_grad_(self, requires_grad: bool = True) -> Module:
        """Ask for the gradients of all parameters, or freeze them."""
        for p in self.parameters():
            p.requires_grad_(requires_grad)
        return self

    def zero_grad(self) -> None:
        """Forget the gradients of all parameters."""
        for p in self.parameters():
            p.grad = None

    def apply(self, function: Callable[[Module], None]) -> Module:
        """Call a function with every module, inner ones first; returns this module."""
        require_function("apply: function", function)
        for module in reversed(list(self.modules())):
            function(module)
        return self

    def to(self, *args: Any, dtype: Any = None, device: Any = None) -> Module:
        """Cast all floating parameters and buffers to a dtype; the device is the CPU."""
        for arg in args:
            if isinstance(arg, str) and (arg in ("cpu", "cuda", "mps") or ":" in arg):
                device = arg
            else:
                dtype = arg
        check_device(device)
        if dtype is not None:
            target = as_dtype(dtype)
            if target not in FLOATING:
                raise DTypeError(f"Module.to: dtype must be floating, got {target}")
            for _, t in (*self.named_parameters(), *self.named_buffers()):
                if t.dtype in FLOATING:
                    t.array = t.array.astype(target)
                    t.grad = None
        return self

    # -- saving -------------------------------------------------------------------------------

    def _saved(self) -> Iterator[tuple[str, Tensor]]:
        """Everything that is saved: a shared parameter once, under its first name."""
        yield from self.named_parameters()
        for path, module in self.named_modules():
            for name, value in module._buffers.items():
                if value is not None and name not in module._not_saved:
                    yield f"{path}.{name}" if path else name, value

    def _all_names(self) -> Iterator[tuple[str, Tensor]]:
        """Everything that is saved, under every name it has through shared modules and Tensors."""
        stack: list[tuple[str, Module, tuple[int, ...]]] = [("", self, ())]
        while stack:
            prefix, module, outer = stack.pop()
            for name, value in (*module._parameters.items(), *module._buffers.items()):
                if value is not None and name not in module._not_saved:
                    yield prefix + name, value
            outer = (*outer, id(module))
            for name, inner in module._modules.items():
                if inner is not None and id(inner) not in outer:
                    stack.append((f"{prefix}{name}.", inner, outer))

    def state_dict(self) -> dict[str, Tensor]:
        """All parameters and saved buffers by name, with their values as they are now."""
        return OrderedDict((name, t.detach()) for name, t in self._saved())

    def load_state_dict(self, state: dict[str, Any], strict: bool = True) -> None:
        """Take over values by name. Nothing changes if a name or a shape does not fit.

        A shared Tensor may stand in the state under any of its names, or under several with the
        same values. With `strict=False` missing and unexpected names are passed over; shapes must
        still fit.
        """
        require_dict(f"{type(self).__name__}.load_state_dict", state)
        own = dict(self._saved())
        aliases: dict[int, list[str]] = {}
        for name, t in self._all_names():
            aliases.setdefault(id(t), []).append(name)
        names = {n: [a for a in (n, *aliases[id(t)]) if a in state] for n, t in own.items()}
        missing = [n for n, given in names.items() if not given]
        known = {a for given in names.values() for a in given}
        unexpected = [n for n in state if n not in known]
        if strict and (missing or unexpected):
            raise ArgumentError(
                f"load_state_dict: names must agree with {type(self).__name__}; "
                f"missing: {', '.join(missing) or 'none'}; "
                f"unexpected: {', '.join(unexpected) or 'none'}; strict=False passes over them"
            )
        fitting: dict[str, np.ndarray] = {}
        for name, given in names.items():
            for alias in given:
                value = as_tensor(state[alias])
                if value.shape != own[name].shape:
                    raise ShapeError(
                        f"load_state_dict: {alias} must be {describe(own[name])}, "
                        f"got {describe(value)}"
                    )
                array = np.array(value.numpy(), own[name].dtype)
                if array.tobytes() != fitting.setdefault(name, array).tobytes():
                    raise ArgumentError(
                        f"load_state_dict: {given[0]} and {alias} are one shared Tensor in this "
                        f"{type(self).__name__}, but the state has different values for them; "
                        "give one of them, or load into a model that does not share it"
                    )
        for name, array in fitting.items():
            own[name].assign(array)

    # -- printing -----------------------------------------------------------------------------

    def extra_repr(self) -> str:
        """What the module prints of itself in parentheses."""
        return ""

    def __repr__(self) -> str:
        return "\n".join(self._tree("", ""))

    def _tree(self, name: str, indent: str) -> Iterator[str]:
        count = sum(p.size for p in self.parameters())
        own = ", ".join(f"{n}: {describe(p)}" for n, p in self._parameters.items() if p is not None)
        label = f"({name}): " if name else ""
        total = f"  # {count:,} parameters" if count else ""
        if own and not self._modules:
            total = f"  # {own}; {count:,} parameters"
        line = f"{indent}{label}{type(self).__name__}({self.extra_repr()}"
        if not self._modules:
            yield f"{line}){total}"
            return
        yield f"{line}{total}"
        for inner_name, module in self.named_children():
            yield from module._tree(inner_name, indent + "  ")
        yield f"{indent})"
