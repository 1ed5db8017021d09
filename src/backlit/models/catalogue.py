"""Which networks there are: by name, with what each takes and costs."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, TypeVar

from ..errors import ArgumentError
from ..nn.module import Module
from ..table import quantity

Maker = TypeVar("Maker", bound=Callable[..., Module])


@dataclass(frozen=True)
class Network:
    """A network of the catalogue, as it is made without options.

    `input` is the shape of one sample, of numbers or (`dtype` int64) of tokens. `multiply_adds` are
    those of the products in one forward pass of it, as `see.operations` counts them.
    """

    name: str
    make: Callable[..., Module]
    input: tuple[int, ...]
    parameters: int
    multiply_adds: int
    dtype: str = "float32"

    @property
    def bytes(self) -> int:
        """The memory of the parameters in float32. A gradient takes as much, and Adam twice."""
        return 4 * self.parameters

    @property
    def about(self) -> str:
        """What it is: the first sentence of its documentation."""
        return (self.make.__doc__ or "").partition("\n\n")[0].replace("\n", " ")


_CATALOGUE: dict[str, Network] = {}


def network(
    *,
    input: tuple[int, ...],
    parameters: int,
    multiply_adds: int,
    dtype: str = "float32",
    name: str | None = None,
) -> Callable[[Maker], Maker]:
    """Put a class or a function that makes a network into the catalogue, with its numbers.

    They are added to its documentation, and a test measures them.
    """

    def enter(make: Maker) -> Maker:
        made: Any = make
        known = (name or made.__name__).lower()
        before = _CATALOGUE.get(known)
        if before is not None and _place(before.make) != _place(made):
            raise ArgumentError(
                f"network: the catalogue has {known!r} already, {'.'.join(_place(before.make))}; "
                "give another name="
            )
        _CATALOGUE[known] = Network(known, make, input, parameters, multiply_adds, dtype)
        size = "×".join(map(str, input))
        what = f"{size} tokens" if dtype == "int64" and len(input) == 1 else f"an input of {size}"
        made.__doc__ = (
            f"{inspect.getdoc(made) or ''}\n\nAs it is: {quantity(parameters, 'parameter')}; "
            f"{multiply_adds:,} multiply-adds for {what}."
        )
        return make

    return enter


def _place(make: Any) -> tuple[str, str]:
    """Where something is defined: the same for a notebook's cell that is run again."""
    return make.__module__, make.__qualname__


def names() -> list[str]:
    """The names of all networks that `create` makes.

    >>> from backlit import models
    >>> [name for name in models.names() if name.startswith("resnet")][:3]
    ['resnet101', 'resnet152', 'resnet18']
    """
    return sorted(_CATALOGUE)


def about(name: str) -> Network:
    """What is known of a network of the catalogue.

    >>> from backlit import models
    >>> models.about("lenet").parameters
    1663370

    Raises ArgumentError if there is none of that name.
    """
    found = _CATALOGUE.get(name.lower() if isinstance(name, str) else name)
    if found is None:
        close = get_close_matches(str(name).lower(), list(_CATALOGUE), 3, 0.5)
        hint = f"did you mean {' or '.join(close)}?" if close else "models.names() lists them"
        raise ArgumentError(f"models: there is no network {name!r}; {hint}")
    return found


def create(name: str, **options: Any) -> Module:
    """The network of a name, in any case, with the options of the function that makes it.

    >>> from backlit import models
    >>> type(models.create("LeNet", num_classes=3)).__name__
    'LeNet'
    """
    return about(name).make(**options)


def require_no_weights(name: str, weights: Any) -> None:
    """Raise if a constructor is asked for trained weights, which are not part of Backlit."""
    if weights is not None:
        raise ArgumentError(
            f"{name}: weights must be None, as none come with Backlit and nothing is downloaded, "
            f"got {weights!r:.80}; load a file: models.load_weights(models.{name}(), "
            "'weights.safetensors'), or a .pth file that PyTorch wrote"
        )
