"""What was written as JSON, as the types that a dataclass says; nothing is taken on trust."""

from __future__ import annotations

import types
from collections.abc import Mapping
from dataclasses import MISSING, fields
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

T = TypeVar("T")


def made(cls: type[T], values: Any, **given: Any) -> T:
    """An object of a dataclass of these values. Raises ValueError if one is of another type."""
    if not isinstance(values, Mapping):
        raise ValueError(f"{cls.__name__} must have names, got {type(values).__name__}")
    names = [f.name for f in fields(cls) if f.name not in given]  # type: ignore[arg-type]
    needed = {f.name for f in fields(cls) if f.default is MISSING and f.default_factory is MISSING}  # type: ignore[arg-type]
    if not needed.intersection(names) <= set(values) <= set(names):
        raise ValueError(f"{cls.__name__} has {', '.join(names)}, got {', '.join(values)}")
    hints = get_type_hints(cls)
    return cls(**given, **{name: fitted(hints[name], values[name], name) for name in values})


def fitted(hint: Any, value: Any, name: str) -> Any:
    """A value as a type: lists become tuples where it says so."""
    origin, inner = get_origin(hint), get_args(hint)
    if hint is Any:
        return value
    if origin in (Union, types.UnionType):
        for one in inner:
            try:
                return fitted(one, value, name)
            except ValueError:
                continue
    elif origin is tuple and isinstance(value, list | tuple):
        if inner[-1] is Ellipsis:
            return tuple(fitted(inner[0], v, name) for v in value)
        if len(value) == len(inner):
            return tuple(fitted(h, v, name) for h, v in zip(inner, value, strict=True))
    elif origin is dict and isinstance(value, dict):
        return {k: fitted(inner[1], v, f"{name}.{k}") for k, v in value.items()}
    elif hint is type(None) and value is None:
        return None
    elif hint is float and type(value) in (int, float):
        return float(value)
    elif isinstance(hint, type) and type(value) is hint:
        return value
    elif isinstance(hint, type) and hasattr(hint, "__dataclass_fields__"):
        return made(hint, value)
    raise ValueError(f"{name} is {value!r:.60}")
