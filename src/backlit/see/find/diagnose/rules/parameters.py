"""The rules about parameters: whether they are the model's, and whether they can learn."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from .....autograd import no_grad
from .....nn.module import Module, Parameter
from .....ops.contraction import Linear
from .....ops.convolution import Product
from .....ops.elementwise import Add
from .....ops.loss import Pairwise
from .....tensor import Tensor
from ....records.from_block import recording
from ....records.value import array_of
from ...why import why
from ..finding import ERROR, FIT, FLOW, WARNING, Finding
from ..material import FAILURES, Material

#: Gradients of units that differ by less, of the largest, are equal up to rounding in float32.
SAME_GRADIENT = 1e-5
#: So many numbers tell how they were drawn; Kolmogorov's distance of 1 % chance, times √n.
ENOUGH_WEIGHTS, KOLMOGOROV = 32, 1.63
#: Steps after which a gradient that starts at 0 behind a factor of 0 is no longer 0.
SOME_STEPS = 3


def unregistered(m: Material) -> Iterator[Finding]:
    """Layers that compute, but are not the model's: in a plain list, or made in forward."""
    known = {id(p) for _, p in m.parameters}
    if m.optimizer is not None:
        known |= {id(p) for g in m.optimizer.param_groups for p in g["params"]}
    foreign = _foreign(m, known)
    if not foreign:
        return
    again: list[Tensor] = []
    with m.kept(), recording() as watched:
        try:
            m.call(*m.inputs)
        except FAILURES:
            return
        again = [x for c in watched.calls for x in c.inputs if _trains(x)]
    plain = next((x for x in foreign if not isinstance(x, Parameter)), None)
    fresh = not {id(x) for x in again} & {id(x) for x in foreign}
    shapes = ", ".join(str(x.shape) for x in foreign[:4]) + (" …" if len(foreign) > 4 else "")
    where = _holder(m.model, {id(x) for x in foreign})
    if fresh:
        yield Finding(
            rule="made in forward",
            severity=ERROR,
            text=f"forward makes {len(foreign)} parameters anew in each call: {shapes}",
            evidence="a second call used others: what is learned is thrown away",
            next="make the layer in __init__, as an attribute of the module",
            explains=("no gradient", *FIT, "optimizer"),
        )
    else:
        yield Finding(
            rule="unregistered parameters",
            severity=ERROR,
            text=f"the model computes with {len(foreign)} parameters that are not among its "
            f"parameters(): {shapes}",
            evidence=f"they are in {where}, which the module does not look into"
            if where else "no attribute of a module is registered for them",
            next="use nn.ModuleList, nn.ModuleDict or nn.ParameterList"
            if plain is None else "make the Tensor an nn.Parameter",
            explains=("no gradient", *FIT, "optimizer"),
        )  # fmt: skip


def _trains(x: Any) -> bool:
    return isinstance(x, Tensor) and x.requires_grad and x.node is None


def _foreign(m: Material, known: set[int]) -> list[Tensor]:
    """Parameters between inputs and output that are nobody's."""
    found: dict[int, Tensor] = {}
    given = {id(x) for x in m.inputs}
    own = {id(x) for module in m.model.modules() for x in vars(module).values()}
    for t in m.record.live.alive:
        node = m.record.node_of(t) if _trains(t) else None
        if node is None or node.id not in m.inside or id(t) in known | given:
            continue
        if isinstance(t, Parameter) or id(t) in own:
            found[id(t)] = t
    return list(found.values())


def _holder(model: Module, wanted: set[int]) -> str:
    """The attribute, a list or a dict, in which such parameters are."""
    for path, module in model.named_modules():
        for name, value in vars(module).items():
            if name.startswith("_") or not isinstance(value, list | tuple | dict | set):
                continue
            items = list(value.values()) if isinstance(value, dict) else list(value)
            flat = [y for x in items for y in (x if isinstance(x, list | tuple) else [x])]
            for x in flat:
                own = x.parameters() if isinstance(x, Module) else [x]
                if any(id(p) in wanted for p in own):
                    return f"{f'{path}.' if path else ''}{name}, a {type(value).__name__}"
    return ""


def no_gradient(m: Material) -> Iterator[Finding]:
    """Parameters that this loss cannot train."""
    if not m.has_graph:
        found = why(m.parameters[0][1], m.record).reasons if m.parameters else []
        yield Finding(
            rule="no gradient",
            severity=ERROR,
            text="the loss does not depend on any parameter",
            evidence=f"{found[0].kind}: {found[0].text}" if found else "it carries no graph",
            line=found[0].line if found else "",
            next="see.why(parameter, recording)",
            explains=FIT,
        )
        return
    cut, flat = [], []
    held = {id(p) for g in (m.optimizer.param_groups if m.optimizer else ()) for p in g["params"]}
    for name, p in m.parameters:
        if not p.requires_grad:
            continue
        if held and id(p) not in held and any(id(q) in held for _, q in m.parameters):
            continue  # as of a teacher: nobody wants to train it
        g = m.gradient(p)
        if g is None:
            cut.append((name, p))
        elif not g.any() and p.array.any() and not _idle(m, p):
            flat.append((name, p))
    if cut:
        reasons = [why(p, m.record).reasons for _, p in cut]
        reason = reasons[0]
        unused = all(r and r[0].kind == "not used" for r in reasons)
        evidence = f"{reason[0].kind}: {reason[0].text}" if reason else "no path to the loss"
        names = ", ".join(n for n, _ in cut[:4]) + (" …" if len(cut) > 4 else "")
        yield Finding(
            rule="no gradient",
            severity=WARNING if unused else ERROR,
            text=f"{len(cut)} parameters get no gradient: {names}",
            evidence=evidence,
            line=reason[0].line if reason else "",
            next="see.why(parameter, recording)",
            # where nothing that the optimizer holds can learn, that it lacks others tells nothing
            explains=() if unused else (*FIT, "optimizer") if _all_cut(m, held) else FIT,
        )
    weights = [n for n, p in flat if p.ndim >= 2]
    live = [n for n, _, g in m.weights if g.any()]
    if weights and (still := _still_flat(m, weights)):
        reason = why(dict(m.parameters)[still], m.record).reasons
        kinds = ("masked", "flat", "not chosen", *(["dead units"] if live else []))
        if reason and reason[0].kind in kinds and (live or m.loss != 0):  # 0: nothing left to learn
            whose = still if live else f"{still}, and of every other weight,"
            yield Finding(
                rule="no gradient",
                severity=ERROR,
                text=f"the gradient of {whose} is all zeros, and stays so",
                evidence=f"{reason[0].kind}: {reason[0].text}; still so after {SOME_STEPS} steps",
                line=reason[0].line,
                next="see.why(parameter, recording)",
                explains=FIT,
            )


def drawn_without_path(m: Material) -> Iterator[Finding]:
    """Numbers drawn around a mean that was detached, and used by layers that learn."""
    nodes = m.record.nodes
    for node in nodes:
        if not issubclass(node.op_class, Add) or node.requires_grad:
            continue
        given = m.parents(node)
        if len(given) != 2:
            continue
        for mean, noise in (given, given[::-1]):
            if mean.detached_from is None or mean.id not in m.inside or noise.kind != "op":
                continue
            drawn = [p for p in m.parents(noise) if p.kind == "constant" and p.detached_from is None
                     and p.shape == node.shape]  # fmt: skip
            source = nodes[mean.detached_from]
            if not drawn or source.kind != "op" or not source.requires_grad:
                continue
            uses = [nodes[e.target] for e in m.record.outgoing[node.id]]
            if not any(issubclass(u.op_class, Linear | Product) and u.requires_grad for u in uses):
                continue
            yield Finding(
                rule="sampling cuts the gradient",
                severity=ERROR,
                text=f"what is drawn around {source.label} goes on to layers that learn, and no "
                f"gradient comes back to {source.label}",
                evidence=f"{node.label} is computed from its detached values, as torch.normal does",
                line=m.record.place(node),
                next="z = mean + std * torch.randn_like(std), or Normal(mean, std).rsample()",
                explains=("no gradient", *FIT),
            )
            return


def frozen_at_random(m: Material) -> Iterator[Finding]:
    """A last layer that is frozen as it was drawn, behind layers that learn."""
    if m.several or m.output_id is None:
        return
    end = m.moved(m.record.nodes[m.output_id])
    if not issubclass(end.op_class, Linear | Product) or not end.requires_grad:
        return
    weights = {node.id: (n, p) for n, p in m.parameters if (node := m.record.node_of(p))}
    for parent in m.parents(end):
        name, w = weights.get(parent.id, ("", None))
        if w is None or w.ndim < 2 or w.requires_grad or not _as_drawn(w.array):
            continue
        learns = sum(p.size for _, p in m.parameters if p.requires_grad)
        yield Finding(
            rule="frozen at random",
            severity=WARNING,
            text=f"{name}, the last layer, is frozen with the random numbers that it began with",
            evidence=f"its {w.size} numbers fill ±1/√fan_in evenly, as a new layer's do;"
            f" {learns} parameters before it are trained",
            next=f"{name}.requires_grad_(True); freeze what was trained before, and train what is "
            "new",
            explains=("cannot overfit", "vanishing gradients"),
        )
        return


def _as_drawn(w: np.ndarray) -> bool:
    """Whether these are numbers as a new layer draws them: even, between ±1/√fan_in."""
    flat = np.sort(np.asarray(w, np.float64).reshape(-1))
    bound = 1 / np.sqrt(w[0].size)
    if flat.size < ENOUGH_WEIGHTS or np.abs(flat).max() > bound * (1 + 1e-5):
        return False
    even = (flat / bound + 1) / 2
    steps = np.arange(1, flat.size + 1) / flat.size
    return float(np.max(np.abs(even - steps))) < KOLMOGOROV / np.sqrt(flat.size)


def target_trained(m: Material) -> Iterator[Finding]:
    """A teacher among what is trained: teacher and student agree on a constant."""
    if m.loss_op is None or not issubclass(m.loss_op.op_class, Pairwise) or m.loss == 0:
        return
    held = {id(p) for g in (m.optimizer.param_groups if m.optimizer else ()) for p in g["params"]}
    own = [(n, p) for n, p in m.parameters if id(p) in held and m.gradient(p) is not None]
    nodes = [(n, m.record.node_of(p)) for n, p in own]
    pupils, judges = [
        {n for n, node in nodes if node is not None and node.id in m.behind(side)}
        for side in m.parents(m.loss_op)[:2]
    ]
    teachers = [n for n, _ in own if n in judges - pupils]
    if not teachers:
        return
    with m.kept(), no_grad(), np.errstate(all="ignore"):
        for _, p in own:
            p.assign(np.zeros_like(p.array))
        try:
            collapsed = float(m.loss_fn(m.call(*m.inputs), m.target))
        except FAILURES:
            return
    if collapsed == 0:
        more = " …" if len(teachers) > 1 else ""
        yield Finding(
            rule="target is trained",
            severity=ERROR,
            text="the loss trains its target, too: both sides can agree on one answer for all",
            evidence=f"with all parameters at 0 the loss is 0; the optimizer holds {teachers[0]}"
            f"{more}, from which the target of {m.loss_op.op} is computed",
            line=m.record.place(m.loss_op),
            next="compute the target under no_grad(), or detach() it, and leave what makes it out "
            "of the optimizer",
            explains=(*FIT, "collapses"),
        )


def _all_cut(m: Material, held: set[int]) -> bool:
    own = [p for _, p in m.parameters if id(p) in held]
    return bool(own) and all(m.gradient(p) is None for p in own)


def _idle(m: Material, p: Tensor) -> bool:
    """Whether a weight meets only zeros that are no data, as a state that starts at 0."""
    node = m.record.node_of(p)
    uses = [] if node is None else [m.record.nodes[e.target] for e in m.record.outgoing[node.id]]
    return bool(uses) and all(
        any(
            o is not node and o.id not in m.of_inputs and o.kind != "parameter"
            and (a := array_of(o.value)) is not None and a.dtype.kind == "f" and not a.any()
            for o in m.parents(use)
        )
        for use in uses
    )  # fmt: skip


def _still_flat(m: Material, names: list[str]) -> str:
    """The first weight whose gradient is still zeros after some steps; behind a 0 it is not."""
    parameters = dict(m.parameters)
    flat = list(names)
    try:
        for _ in m.trained(SOME_STEPS + 1):
            grads = [(n, parameters[n].grad) for n in flat]
            flat = [n for n, g in grads if g is None or not np.asarray(g.array).any()]
    except FAILURES:
        return ""
    return flat[0] if flat else ""


def symmetric(m: Material) -> Iterator[Finding]:
    """Units that start equal and stay equal."""
    for name, p, g in m.weights:
        w = np.asarray(p.array, np.float64).reshape(p.shape[0], -1)
        d = np.asarray(g, np.float64).reshape(p.shape[0], -1)
        if len(w) < 2 or (w != w[:1]).any():
            continue
        if np.max(np.abs(d - d[:1])) <= SAME_GRADIENT * np.max(np.abs(d), initial=0.0):
            if not d.any() and not _nothing_learns(m):
                continue  # behind a factor that starts at 0
            kind = "0" if not w.any() else "equal"
            yield Finding(
                rule="symmetric initialisation",
                severity=ERROR,
                text=f"the {len(w)} units of {name} start {kind} and get equal gradients",
                evidence="they can never become different",
                next="initialise with random numbers (nn.init)",
                explains=(*FIT, *FLOW),
            )
            return


def _nothing_learns(m: Material) -> bool:
    return all(not g.any() for _, _, g in m.weights)


def copied_ties(m: Material) -> Iterator[Finding]:
    """Two layers whose weights start as copies, as if they were meant to be one parameter."""
    kinds = _kinds(m)
    trained = [(n, p) for n, p in m.parameters if p.requires_grad and p.ndim == 2 and p.size > 3]
    for i, (name, p) in enumerate(trained):
        a = np.asarray(p.array)
        if (a == a.reshape(-1)[0]).all():
            continue
        for other, q in trained[:i]:
            b = np.asarray(q.array)
            same = p.shape == q.shape and kinds.get(name) != kinds.get(other) and (a == b).all()
            turned = (
                p.shape == q.shape[::-1] and (a == b.T).all() and not (a == np.eye(*a.shape)).all()
            )
            if same or (turned and not (p.shape[0] == p.shape[1] and (a == a.T).all())):
                how = "the transpose of " if not same else ""
                yield Finding(
                    rule="copies of tied weights",
                    severity=WARNING,
                    text=f"{name} starts as {how}a copy of {other}, and is a parameter of its own",
                    evidence=f"all {p.size} numbers are equal now; each gets its own gradient",
                    next=f"to tie them use one parameter: layer.weight = {other}"
                    + (" (transposed where it is used)" if not same else ""),
                    explains=("initial loss",),
                )
                return


def _kinds(m: Material) -> dict[str, str]:
    """The class of the module of each parameter."""
    return {
        f"{path}.{n}" if path else n: type(module).__name__
        for path, module in m.model.named_modules()
        for n in module._parameters
    }
