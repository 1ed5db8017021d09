"""Nested tuples, lists, dicts and dataclasses as a flat list of leaves and a structure."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

from .changes import Announcing

Structure = Any


def flatten(tree: Any) -> tuple[list[Any], Structure]:
    """The leaves from left to right, and a hashable structure to put them back with."""
    leaves: list[Any] = []
    return leaves, _flatten(tree, leaves)


def _flatten(tree: Any, leaves: list[Any]) -> Structure:
    kind = type(tree)
    if isinstance(tree, tuple) and hasattr(tree, "_fields"):
        return (kind, "named", tuple(_flatten(t, leaves) for t in tree))
    if kind in (tuple, list):
        return (kind, None, tuple(_flatten(t, leaves) for t in tree))
    if kind in (dict, OrderedDict):
        # 1, 1.0 and True are one key but not one value.
        keys = tuple((type(k), k) for k in tree)
        return (kind, keys, tuple(_flatten(t, leaves) for t in tree.values()))
    if _is_dataclass(tree):
        names = [*kind.__dataclass_fields__]
        names += [n for n in getattr(tree, "__dict__", ()) if n not in names]
        names = [n for n in names if hasattr(tree, n)]
        parts = tuple(_flatten(getattr(tree, n), leaves) for n in names)
        return (kind, ("fields", *names), parts)
    leaves.append(tree)
    return None


def _is_dataclass(tree: Any) -> bool:
    return hasattr(type(tree), "__dataclass_fields__") and not isinstance(tree, Announcing)


def unflatten(structure: Structure, leaves: Any) -> Any:
    """The nested value with the leaves in their places."""
    return _unflatten(structure, iter(leaves))


def _unflatten(structure: Structure, leaves: Any) -> Any:
    if structure is None:
        return next(leaves)
    kind, keys, parts = structure
    values = [_unflatten(p, leaves) for p in parts]
    if kind in (dict, OrderedDict):
        return kind(zip([k for _, k in keys], values, strict=True))
    if keys is None:
        return kind(values)
    if keys == "named":
        return kind(*values)
    twin = object.__new__(kind)  # neither __init__ nor __post_init__ runs again
    for name, value in zip(keys[1:], values, strict=True):
        object.__setattr__(twin, name, value)
    return twin


def paths(structure: Structure, name: str) -> list[str]:
    """What each leaf is called in a value of a name.

    >>> paths(flatten({"a": [1, 2], "b": 3})[1], "x")
    ["x['a'][0]", "x['a'][1]", "x['b']"]
    """
    if structure is None:
        return [name]
    kind, keys, parts = structure
    if kind in (dict, OrderedDict):
        names = [f"{name}[{key!r}]" for _, key in keys]
    elif keys is None:
        names = [f"{name}[{i}]" for i in range(len(parts))]
    else:
        fields = kind._fields if keys == "named" else keys[1:]
        names = [f"{name}.{field}" for field in fields]
    return [path for part, inner in zip(parts, names, strict=True) for path in paths(part, inner)]
