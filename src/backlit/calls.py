"""What is said of a call that does not fit: a word of another library, a misspelt or missing one.

A word of NumPy's or PyTorch's that means the same here is understood; of any other the error says
what the function takes and what to write instead.
"""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from .errors import CallError
from .spelling import near_name

Function = Callable[..., Any]
#: Of each function the one that explains: a function of two names is one.
_EXPLAINED: dict[Function, Function] = {}
_MARK = "__explains_calls__"
Parameters = Mapping[str, inspect.Parameter]

#: Words of two dialects for one thing: where a function knows another of a group, it is meant.
_SAME = (
    ("axis", "dim"),
    ("axis", "dims"),
    ("axes", "dims", "dim"),
    ("keepdims", "keepdim"),
    ("min", "a_min"),
    ("max", "a_max"),
    ("shape", "size"),
    ("correction", "ddof"),
    ("shift", "shifts"),
    ("k", "diagonal"),
    ("num", "steps"),
    ("x", "input", "self", "tensor", "a"),
    ("x1", "input"),
    ("x2", "other"),
    ("a", "input", "x1"),
    ("b", "other", "x2"),
    ("arrays", "tensors"),
)

#: Functions that do otherwise in the dialect of these words, and what to write instead.
_OTHERWISE = {
    "max": "backlit.max(x, axis=axis) for the values, x.max(dim=axis) for (values, indices)",
    "min": "backlit.min(x, axis=axis) for the values, x.min(dim=axis) for (values, indices)",
    "sort": "backlit.sort(x, axis=axis) for the values, x.sort(dim=axis) for (values, indices)",
    "std": "axis= and keepdims=, with correction=1 for PyTorch's divisor N - 1, 0 for NumPy's N",
    "var": "axis= and keepdims=, with correction=1 for PyTorch's divisor N - 1, 0 for NumPy's N",
}
_PYTORCHS = {"dim", "keepdim"}

#: Words that change nothing here with these values (None: with any), which are then passed over.
_IDLE: dict[str, Any] = {
    "device": ("cpu", None),
    "inplace": (False,),
    "layout": ("torch.strided",),
    "memory_format": None,
    "non_blocking": None,
    "order": ("C", "K", "A"),
    "out": (None,),
    "pin_memory": None,
    "requires_grad": (False,),
    "subok": (False,),
    "where": (True,),
}

#: Words of Keras and of NumPy for what has another name here.
_MEANT = {
    "beta_1": "betas",
    "beta_2": "betas",
    "decay": "weight_decay",
    "epsilon": "eps",
    "filters": "out_channels",
    "learning_rate": "lr",
    "pool_size": "kernel_size",
    "rate": "p",
    "strides": "stride",
    "units": "out_features",
    "use_bias": "bias",
}

#: What to do instead of a word that a function does not take; `{}` is the function's name.
_CURES = {
    "activation": "a layer after it, as nn.ReLU()",
    "device": "no device, because Backlit computes on the CPU",
    "dtype": "x.astype(dtype), of what goes in or of the result",
    "generator": "backlit.random.manual_seed(seed) before it",
    "initial": "+, or backlit.maximum, with the result",
    "inplace": "what it returns: x = {0}(x)",
    "input_shape": "a Lazy layer, which learns sizes from its first batch",
    "layout": "no layout, because all Tensors are dense",
    "name": "no name, because a module is named by the attribute that holds it",
    "order": "no order, because elements are always in that of C",
    "out": "y = {0}(...), or y.assign({0}(...)) for a Tensor y that is there",
    "random_state": "backlit.random.manual_seed(seed) before it",
    "requires_grad": "{0}(...).requires_grad_()",
    "rng": "backlit.random.manual_seed(seed) before it",
    "seed": "backlit.random.manual_seed(seed) before it",
    "where": "backlit.where(mask, x, value) before it",
}


def explained(function: Function, name: str) -> Function:
    """The function; a call that it cannot take is made to fit, or explained by a CallError.

    >>> half = explained(lambda x, *, axis=None: (x, axis), "half")
    >>> half(4, dim=1)
    (4, 1)
    >>> half(4, axes=1)
    Traceback (most recent call last):
        ...
    backlit.errors.CallError: half: it has no argument axes; it takes x, axis=; did you mean axis?
    """

    @functools.wraps(function)
    def call(*args: Any, **named: Any) -> Any:
        try:
            return function(*args, **named)
        except TypeError:
            fit = fitted(_signature(function), name, args, named)
            if fit is None:  # it was not the call
                raise
        return function(*fit[0], **fit[1])

    return call


def explain(module: str, names: Iterable[str] | None = None) -> None:
    """Make the public functions of a module explained ones, and the making of its classes.

    Those are the ones that it names, or else that are written in it or below it.
    """
    space = vars(sys.modules[module])
    for name in list(space) if names is None else names:
        thing = space.get(name)
        below = f"{_home(thing)}.".startswith(f"{module}.")
        if name.startswith("_") or (names is None and not below):
            continue
        if inspect.isclass(thing):
            explain_class(thing)
        elif inspect.isfunction(thing) and not hasattr(thing, _MARK):
            made = _EXPLAINED.get(thing)
            if made is None:
                made = _EXPLAINED[thing] = marked(explained(thing, name), thing)
            space[name] = made
            home = vars(sys.modules[thing.__module__])
            if "." in module and home.get(name) is thing:  # the front's are ours to call, too
                home[name] = made
                # Whoever has the function itself can send it to another process all the same.
                setattr(thing, "__qualname__", f"{name}.__wrapped__")  # noqa: B010
            elif home.get(name) is not made:
                # Where it is found by its name, as pickle looks for it.
                made.__module__, made.__qualname__ = module, name


def marked(function: Function, origin: Function | None = None) -> Function:
    """The function, as one that explains its calls, of one that does not."""
    setattr(function, _MARK, (function, origin or function))
    return function


def origin(function: Function) -> Function:
    """The function that an explained one was made of; any other is its own."""
    itself, made_of = getattr(function, _MARK, (None, function))
    return made_of if itself is function else function  # what wraps one has its mark, too


def explain_class(cls: type) -> None:
    """Explain what a class of ours, and what it is made of, does not take when one is made."""
    for base in cls.__mro__:
        made = vars(base).get("__init__")
        ours = _home(base).startswith("backlit.") and inspect.isfunction(made)
        if ours and not hasattr(made, _MARK):
            base.__init__ = marked(_making(base, made), made)  # type: ignore


def explain_methods(cls: type) -> None:
    """Explain what the public methods of a class do not take."""
    for name, method in list(vars(cls).items()):
        if inspect.isfunction(method) and not name.startswith("_") and not hasattr(method, _MARK):
            setattr(cls, name, marked(explained(method, f"{cls.__name__}.{name}"), method))


_signature = functools.cache(inspect.signature)


def _home(thing: Any) -> str:
    return getattr(thing, "__module__", None) or ""


def _making(base: type, function: Function) -> Function:
    @functools.wraps(function)
    def making(self: Any, *args: Any, **named: Any) -> None:
        try:
            function(self, *args, **named)
            return
        except TypeError:
            kind = type(self)
            itself = kind.__init__ is making
            name = kind.__name__ if itself else f"{base.__name__}.__init__, of {kind.__name__}"
            fit = fitted(_signature(function), name, (self, *args), named)
            if fit is None:
                raise
        function(*fit[0], **fit[1])

    return making


def fitted(
    signature: inspect.Signature, name: str, args: tuple[Any, ...], named: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]] | None:
    """The arguments in a function's own words; None if they were its own already.

    Raises CallError for words that it does not know, and for arguments too many or missing.
    """
    try:
        signature.bind(*args, **named)
        return None
    except TypeError:
        pass
    known = signature.parameters
    open_ended = any(p.kind is p.VAR_KEYWORD for p in known.values())
    own = {n for n, p in known.items() if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)}
    given = dict(named)
    taken = set(list(known)[: len(args)])
    first = {n: p for n, p in known.items() if p.kind is p.POSITIONAL_ONLY and n not in taken}
    places: dict[str, Any] = {}
    for word, value in named.items():
        if word in own or (open_ended and word not in first):
            continue
        del given[word]
        if word in _IDLE and _is_idle(value, _IDLE[word]):
            continue
        meant = word if word in first else _meant(word, {*own, *first} - {*given, *taken})
        if meant is None or (name.rpartition(".")[2] in _OTHERWISE and word in _PYTORCHS):
            raise _unknown(name, word, known)
        (places if meant in first else given)[meant] = value
    for parameter in first:
        if parameter in places:
            args = (*args, places.pop(parameter))
    try:
        signature.bind(*args, **given)
    except TypeError:
        raise _uncallable(name, known, args, given) from None
    return args, given


def misfit(
    function: Function, name: str, args: tuple[Any, ...], named: dict[str, Any]
) -> CallError | None:
    """The error for a call that a function cannot take as it stands; None if it can.

    >>> print(misfit(lambda x, mask=None: x, "layer", (1,), {"maks": 2}))
    layer: it has no argument maks; it takes x, mask; did you mean mask?
    """
    try:
        if fitted(inspect.signature(function), name, args, named) is None:
            return None
    except CallError as error:
        return error
    known = inspect.signature(function).parameters
    return next(
        (_unknown(name, word, known) for word in named if word not in known),
        None,
    )


def _meant(word: str, free: set[str]) -> str | None:
    """What a function calls what another dialect calls so."""
    return next(
        (w for group in _SAME if word in group for w in group if w in free and w != word), None
    )


def _is_idle(value: Any, idle: Any) -> bool:
    return idle is None or any(value is v or (isinstance(value, str) and value == v) for v in idle)


def _unknown(name: str, word: str, known: Parameters) -> CallError:
    alone = name.rpartition(".")[2]
    meant = _MEANT.get(word)
    near = meant if meant in known else near_name(word, known, 0.7)
    if near is None:  # a misspelt word of another dialect
        others = near_name(word, {w for group in _SAME for w in group}, 0.7)
        near = _meant(others, set(known)) if others else None
    if word in _PYTORCHS and alone in _OTHERWISE:
        hint = f"; use {_OTHERWISE[alone]}"
    elif word in _CURES:
        hint = f"; use {_CURES[word].format(name)}"
    else:
        hint = f"; did you mean {near}?" if near else ""
    return CallError(f"{name}: it has no argument {word}; it takes {_taken(known)}{hint}")


def _uncallable(
    name: str, known: Parameters, args: tuple[Any, ...], given: dict[str, Any]
) -> CallError:
    """The error for arguments that are missing, or too many."""
    by_place = [
        n for n, p in known.items() if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)
    ]
    twice = [n for n in by_place[: len(args)] if n in given]
    told = f"it takes {_taken(known)}"
    itself = by_place[:1] == ["self"]
    if twice:
        return CallError(f"{name}: {twice[0]} was given twice, by place and by name; {told}")
    if len(args) > len(by_place):
        rest = [n for n, p in known.items() if p.kind is p.KEYWORD_ONLY and n not in given]
        values = args[len(by_place) :]
        cure = f"; write {rest[0]}={values[0]!r:.40}" if rest and len(values) == 1 else ""
        if cure and name in _OTHERWISE:
            cure = f"; use {_OTHERWISE[name]}"
        return CallError(f"{name}: {told}, got {len(args) - itself} by place{cure}")
    missing = [
        n
        for n, p in known.items()
        if p.default is p.empty
        and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)
        and n not in given
        and n not in by_place[: len(args)]
    ]
    verb = "is" if len(missing) == 1 else "are"
    return CallError(f"{name}: {' and '.join(missing)} {verb} missing; {told}")


def _taken(known: Parameters) -> str:
    """What a function takes, in a line: `x, axis=, keepdims=` (by name only where `=`)."""
    words = []
    for name, p in known.items():
        if name == "self" or name.startswith("_"):
            continue
        star = "*" if p.kind is p.VAR_POSITIONAL else "**" if p.kind is p.VAR_KEYWORD else ""
        words.append(f"{star}{name}{'=' if p.kind is p.KEYWORD_ONLY else ''}")
    return ", ".join(words) or "no arguments"


__all__ = [
    "explain",
    "explain_class",
    "explain_methods",
    "explained",
    "fitted",
    "marked",
    "misfit",
    "origin",
]
