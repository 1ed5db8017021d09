"""What each layer of a network makes, holds, computes and keeps: its summary."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ...errors import ArgumentError
from ...nn import Module
from ...nn.keeping import kept
from ...table import Table, Tabular, quantity
from ...tensor import Tensor
from ...tree import flatten
from .operations import operations
from .saved import saved


@dataclass(frozen=True)
class Layer:
    """What is known of a layer, without what is inside of the layers that it has itself.

    `bytes` are those that backward needs, parameters left out.
    """

    path: str
    kind: str
    result: str
    parameters: int
    multiply_adds: int
    operations: int
    bytes: int


class Summary(Tabular):
    """The layers of a network in the order in which they compute."""

    def __init__(self, layers: list[Layer], kinds: dict[str, str], trainable: int, batch: int):
        self.layers = layers
        #: The class of each module, by its path; the network's own has none.
        self.kinds = kinds
        #: Parameters that need gradients.
        self.trainable = trainable
        #: Samples of the input.
        self.batch = batch

    def __len__(self) -> int:
        return len(self.layers)

    def __iter__(self) -> Any:
        return iter(self.layers)

    def _sum(self, what: str) -> int:
        total = 0
        for layer in self.layers:
            total += getattr(layer, what)
        return total

    parameters = property(lambda self: self._sum("parameters"), doc="All numbers to learn.")
    multiply_adds = property(lambda self: self._sum("multiply_adds"), doc="Those of products.")
    operations = property(lambda self: self._sum("operations"), doc="All, a multiply-add is two.")
    bytes = property(lambda self: self._sum("bytes"), doc="Kept for backward.")

    def to_depth(self, depth: int) -> Summary:
        """With the layers below a depth counted to the one that they are in."""
        merged: dict[str, Layer] = {}
        for layer in self.layers:
            inside = "" if layer.path == self.kinds[""] else layer.path
            path = ".".join(inside.split(".")[:depth])
            numbers = _numbers(layer)
            if path in merged:
                known = _numbers(merged[path])
                numbers = tuple(a + b for a, b in zip(known, numbers, strict=True))
            merged[path] = Layer(
                path or self.kinds[""], self.kinds.get(path, ""), layer.result, *numbers
            )
        return Summary(list(merged.values()), self.kinds, self.trainable, self.batch)

    def table(self) -> Table:
        """A row for each layer."""
        rows = [
            [x.path, x.kind, x.result, x.parameters, x.multiply_adds, x.bytes] for x in self.layers
        ]
        learned = 4 * self.trainable
        foot = (
            f"{quantity(self.parameters, 'parameter')}, {self.trainable:,} of them trained; "
            f"{self.multiply_adds:,} multiply-adds, {self.operations:,} operations in all; "
            f"{quantity(self.bytes, 'byte')} kept for backward\n"
            f"for a batch of {self.batch}; training with Adam takes about "
            f"{(4 * (self.parameters + 3 * self.trainable) + self.bytes) / 2**20:,.1f} MiB: "
            f"parameters, gradients of {learned / 2**20:,.1f} MiB, twice that for the optimizer, "
            "and what is kept"
        )
        heads = ["layer", "kind", "result", "parameters", "multiply-adds", "bytes kept"]
        return Table(heads, rows, foot)


def _numbers(layer: Layer) -> tuple[int, ...]:
    return layer.parameters, layer.multiply_adds, layer.operations, layer.bytes


def summary(model: Module, *inputs: Any) -> Summary:
    """What each layer of a network makes of inputs, holds, computes, and keeps for backward.

    The network is applied once as it is (`model.train()` or `model.eval()`), and is then as before.
    A layer that is used twice is listed once, with what both uses compute.

    >>> from backlit import nn, see, zeros
    >>> model = nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 2))
    >>> [(x.path, x.result, x.parameters) for x in see.summary(model, zeros((5, 3)))]
    [('0', 'float32[5,8]', 32), ('1', 'float32[5,8]', 0), ('2', 'float32[5,2]', 18)]
    """
    if not isinstance(model, Module):
        raise ArgumentError(f"summary: model must be a Module, got {type(model).__name__}")
    name = type(model).__name__

    def own(path: str) -> str:
        return path.removeprefix(name).removeprefix(".")

    with kept(model):
        counted = operations(model, *inputs)
        output = model(*inputs)
        made = [t for t in flatten(output)[0] if isinstance(t, Tensor) and t.node is not None]
        held: dict[str, int] = {}
        if made:
            total = made[0].sum()
            for t in made[1:]:
                total = total + t.sum()
            held = {own(k): v for k, v in saved(total).by("module").items()}
    results: dict[str, str] = {}
    products: dict[str, int] = {}
    every: dict[str, int] = {}
    for r in counted:
        path = own(r.module)
        results[path] = r.result
        products[path] = products.get(path, 0) + r.multiply_adds
        every[path] = every.get(path, 0) + r.operations
    modules = dict(model.named_modules())
    kinds = {path: type(m).__name__ for path, m in modules.items()}
    layers = []
    for path in dict.fromkeys([*results, *(p for p, m in modules.items() if _own(m))]):
        layers.append(
            Layer(
                path=path or name,
                kind=kinds.get(path, ""),
                result=results.get(path, "not used"),
                parameters=_own(modules[path]) if path in modules else 0,
                multiply_adds=products.get(path, 0),
                operations=every.get(path, 0),
                bytes=held.get(path, 0),
            )
        )
    trainable = 0
    for p in model.parameters():
        trainable += p.size if p.requires_grad else 0
    batch = next((x.shape[0] for x in inputs if isinstance(x, Tensor) and x.shape), 1)
    return Summary(layers, kinds, trainable, batch)


def _own(module: Module) -> int:
    """The numbers in a module's own parameters."""
    total = 0
    for p in module.parameters(recurse=False):
        total += p.size
    return total
