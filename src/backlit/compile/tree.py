"""Nested tuples, lists and dicts as a flat list of leaves and a structure."""

from __future__ import annotations

from typing import Any

Structure = Any


def flatten(tree: Any) -> tuple[list[Any], Structure]:
    """The leaves from left to right, and a hashable structure to put them back with."""
    leaves: list[Any] = []
    return leaves, _flatten(tree, leaves)


def _flatten(tree: Any, leaves: list[Any]) -> Structure:
    if isinstance(tree, tuple) and hasattr(tree, "_fields"):
        return (type(tree), "named", tuple(_flatten(t, leaves) for t in tree))
    if type(tree) in (tuple, list):
        return (type(tree), None, tuple(_flatten(t, leaves) for t in tree))
    if type(tree) is dict:
        return (dict, tuple(tree), tuple(_flatten(t, leaves) for t in tree.values()))
    leaves.append(tree)
    return None


def unflatten(structure: Structure, leaves: Any) -> Any:
    """The nested value with the leaves in their places."""
    return _unflatten(structure, iter(leaves))


def _unflatten(structure: Structure, leaves: Any) -> Any:
    if structure is None:
        return next(leaves)
    kind, keys, parts = structure
    values = [_unflatten(p, leaves) for p in parts]
    if kind is dict:
        return dict(zip(keys, values, strict=True))
    return kind(*values) if keys == "named" else kind(values)
