"""What can be said of an op beside its mathematics: what its gate does, how it is written, where it
breaks. The facts themselves stand on the ops, as class attributes; these are their words and types.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple


class Role(NamedTuple):
    """What a gate does to the gradient that arrives at it, as a verb and in a sentence."""

    verb: str
    meaning: str


#: What an op's gate can be. The first name that is true of an op is its role.
ROLES: dict[str, Role] = {
    "blocker": Role("blocks", "no gradient goes on: the slope is 0 wherever there is one"),
    "mover": Role("moves", "every gradient goes back to where its value came from"),
    "distributor": Role("distributes", "every input gets the upstream gradient unchanged"),
    "sharer": Role("shares", "every element gets an equal share of the upstream gradient"),
    "router": Role("routes", "the winner gets the upstream gradient, the others 0; ties share"),
    "switcher": Role("switches", "each input gets upstream times the other input"),
    "scaler": Role("scales", "each input gets upstream times the slope there"),
    "mixer": Role("mixes", "each input element gets a mix of the upstream gradients"),
}

#: A value that is used more than once is no op, but its uses meet there like at a gate.
COPY = Role("adds", "a value used more than once adds up what its uses send")


class Border(NamedTuple):
    """Where a function of finite numbers has no finite value, or no finite slope.

    `reached` says of one number for each input whether they lie there or beyond. `slope` is the
    input for which the derivative breaks; empty if the value itself does. In `rule` and in `shown`,
    how the numbers are told, `{0}` is the first of them.
    """

    rule: str
    reached: Callable[..., bool]
    slope: str = ""
    shown: str = ""


class _Operand(str):
    """A part of a formula; where a notation says `{:-}`, one that starts with a minus is put in
    brackets.
    """

    def __format__(self, how: str) -> str:
        return f"({self})" if how and self.startswith("−") else str(self)


def written(notation: str, operands: list[str]) -> str:
    """A formula: the notation of an op with its inputs filled in.

    >>> written("{} × {:-}", ["a", "−2"])
    'a × (−2)'
    """
    return notation.format(*map(_Operand, operands))
