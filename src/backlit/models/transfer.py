"""A network for another task: parts that stay as they are, a new head, what its layers give."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Any

from .. import nn
from ..array_api.arguments import whole
from ..errors import ArgumentError
from ..nn.module import Module
from ..tensor import Tensor


def freeze(model: Module, *parts: str) -> Module:
    """Make the named parts of a network, or all of it, fixed functions; returns the network.

    Their parameters ask for no gradient, and they stay in evaluation mode, whatever `model.train()`
    says: batch-norm keeps the statistics that it has, dropout drops nothing. An optimizer passes
    over parameters without a gradient. `unfreeze` is the way back.

    >>> from backlit import models
    >>> model = models.freeze(models.LeNet(), "features").train()
    >>> [name for name, p in model.named_parameters() if p.requires_grad]
    ['classifier.1.weight', 'classifier.1.bias', 'classifier.3.weight', 'classifier.3.bias']

    A part is the dotted path of a module or of a parameter. Raises ArgumentError if there is none
    of that name.
    """
    return _set_frozen(model, parts, True, "freeze")


def unfreeze(model: Module, *parts: str) -> Module:
    """Let the named parts of a network, or all of it, learn again; returns the network.

    Their modules are put into the network's own mode.
    """
    return _set_frozen(model, parts, False, "unfreeze")


def _set_frozen(model: Module, parts: Iterable[str], frozen: bool, what: str) -> Module:
    paths = list(parts) or [""]
    modules = dict(model.named_modules())
    parameters = dict(model.named_parameters(remove_duplicate=False))
    for path in paths:
        if path not in modules and path not in parameters:
            raise ArgumentError(
                f"{what}: {type(model).__name__} has no part {path!r}"
                f"{_near(path, [*modules, *parameters])}; its parts are "
                f"{', '.join(n for n, _ in model.named_children()) or 'none'}"
            )
    for path in paths:
        if path in parameters:
            parameters[path].requires_grad_(not frozen)
            continue
        modules[path].requires_grad_(not frozen)
        for module in modules[path].modules():
            module._frozen = frozen
            module.training = not frozen and model.training
    return model


def _near(name: str, known: Iterable[str]) -> str:
    close = get_close_matches(name, list(known), 1)
    return f"; did you mean {close[0]!r}?" if close else ""


def replace_head(
    model: Module, num_classes: int, *, head: str | None = None, generator: Any = None
) -> Module:
    """Put a new last layer for `num_classes` classes in the place of a network's; returns it.

    The new layer has the old one's inputs, dtype and bias (or none), and the layer's own starting
    values. Where a network has several heads, as GoogLeNet, all are replaced. `head` is the dotted
    path of the layer for networks that do not list their `last_layers`.

    >>> from backlit import models, zeros
    >>> models.replace_head(models.LeNet(), 3)(zeros((1, 1, 28, 28))).shape
    (1, 3)

    An optimizer that was made before still holds the old layer's parameters: make it anew.
    """
    count = whole("replace_head: num_classes", num_classes)
    paths = (head,) if head is not None else tuple(getattr(model, "last_layers", ()))
    modules = dict(model.named_modules())
    found = [p for p in paths if p in modules]
    layers = [n for n, m in modules.items() if isinstance(m, nn.Linear | nn.Conv2d)]
    if not found or (head is not None and head not in layers):
        raise ArgumentError(
            f"replace_head: head must be the path of a Linear or Conv2d layer of "
            f"{type(model).__name__}, got {head!r}; its last ones are {', '.join(layers[-3:])}"
        )
    for path in found:
        place, _, name = path.rpartition(".")
        new = _layer_like(modules[path], count, generator)
        new.training = modules[path].training
        setattr(modules[place], name, new)
    return model


def _layer_like(old: Any, outputs: int, generator: Any) -> Module:
    bias, dtype = old.bias is not None, old.weight.dtype
    if isinstance(old, nn.Linear):
        return nn.Linear(old.in_features, outputs, bias, dtype=dtype, generator=generator)
    return nn.Conv2d(
        old.in_channels,
        outputs,
        old.kernel_size,
        old.stride,
        old.padding,
        bias=bias,
        dtype=dtype,
        generator=generator,
    )


class FeatureExtractor(Module):
    """A network of which each call gives what some of its modules give: a dict by name."""

    def __init__(self, model: Module, nodes: Mapping[str, str]):
        super().__init__()
        self.model = model
        self.nodes = dict(nodes)

    def forward(self, x: Tensor) -> dict[str, Any]:
        """The results of the chosen modules; of one that is called often, the last."""
        found: dict[str, Any] = {}
        handles = []
        for path, name in self.nodes.items():

            def keep(module: Module, args: Any, result: Any, name: str = name) -> None:
                found[name] = result

            handles.append(self.model.get_submodule(path).register_forward_hook(keep))
        try:
            self.model(x)
        finally:
            for handle in handles:
                handle.remove()
        missing = [name for name in self.nodes.values() if name not in found]
        if missing:
            raise ArgumentError(
                f"create_feature_extractor: {', '.join(missing)} was not called in "
                f"{type(self.model).__name__}; in evaluation mode some modules are not"
            )
        return {name: found[name] for name in self.nodes.values()}


def create_feature_extractor(
    model: Module, return_nodes: Iterable[str] | Mapping[str, str]
) -> FeatureExtractor:
    """A network that gives what the named modules of `model` give, as a dict; weights are shared.

    `return_nodes` are dotted paths of modules, or a dict from these to names of your own. (In
    torchvision nodes are also single operations, such as `flatten`; here they are modules.)

    >>> from backlit import models, zeros
    >>> extract = models.create_feature_extractor(models.LeNet(), {"features.2": "small"})
    >>> extract(zeros((1, 1, 28, 28)))["small"].shape
    (1, 32, 14, 14)
    """
    if isinstance(return_nodes, str):
        return_nodes = [return_nodes]
    nodes = dict(
        return_nodes if isinstance(return_nodes, Mapping) else {n: n for n in return_nodes}
    )
    known = [n for n, _ in model.named_modules() if n]
    for path in nodes:
        if path not in known:
            raise ArgumentError(
                f"create_feature_extractor: {type(model).__name__} has no module {path!r}"
                f"{_near(path, known)}; its parts are "
                f"{', '.join(n for n, _ in model.named_children())}"
            )
    if not nodes:
        raise ArgumentError("create_feature_extractor: return_nodes must name a module, got none")
    return FeatureExtractor(model, nodes)
