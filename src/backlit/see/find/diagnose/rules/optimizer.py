"""The rules about an optimizer: its parameters, settings and state, and gradients left over."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import numpy as np

from .....optim import Optimizer
from .....tensor import Tensor
from ....records.value import number
from ..finding import ERROR, FIT, WARNING, Finding
from ..material import Material, rms

#: Averages of gradients, and of their squares, among the state of the built-in optimizers.
_FIRST, _SECOND = ("exp_avg", "momentum_buffer"), ("exp_avg_sq", "square_avg", "max_exp_avg_sq")
_FAR = 1e3  # so many times this batch's gradient is no longer of this training
_LONGEST = 0.998  # this momentum adds up 500 gradients, the usual ones 10 to 100
#: ε, beside gradients: 1e-8 is usual, and so many times their size it alone divides the step.
_LARGE_EPS, _ABOVE = 1e-4, 30
#: A gradient is a sum of many batches' if it is so many times this one's after so many steps.
_SUMMED, _SOME_STEPS = 10, 5
#: Decay that takes such a share of the weights at each step, or is so many times the gradient
#: where it is added to that, leaves nothing to learn with.
_DECAYS, _LARGE_DECAY, _OUTWEIGHS = 0.02, 0.1, 3.0
#: No rate in use is so large: language models have been trained with SGD at 30.
_ABSURD = 100.0
#: Rates of groups further apart than this; those of fine-tuning differ by 10 to 1000.
_APART = 2000
#: A limit of such a share of the gradients, and steps of such a share of the weights.
_CLIPPED, _STILL = 1e-3, 1e-6


def _held(m: Material) -> list[tuple[str, Tensor, dict[str, Tensor]]]:
    """The model's parameters that the optimizer holds, with their state."""
    if m.optimizer is None:
        return []
    held = {id(p) for group in m.optimizer.param_groups for p in group["params"]}
    return [(n, p, m.optimizer.state.get(p, {})) for n, p in m.parameters if id(p) in held]


def _living() -> list[Optimizer]:
    """The optimizers that somebody keeps."""
    return [x for x in gc.get_objects() if issubclass(type(x), Optimizer)]


def optimizer_parameters(m: Material) -> Iterator[Finding]:
    """The optimizer and the model do not have the same parameters."""
    if m.optimizer is None:
        return
    held = {id(p) for group in m.optimizer.param_groups for p in group["params"]}
    own = {id(p) for _, p in m.parameters}
    missing = [
        n for n, p in m.parameters
        if p.requires_grad and id(p) not in held
        and (m.gradient(p) is not None or not m.has_graph or not held & own)
    ]  # fmt: skip
    foreign = len(held - own)
    if m.several and held & own:  # one of which nothing is held may be no pupil, but a judge
        pupils = {
            n for n, child in m.model.named_children()
            if any(id(p) in held for p in child.parameters())
        }  # fmt: skip
        missing = [n for n in missing if n.split(".")[0] in pupils]
    if missing and held & own:  # each may have its own optimizer, as the two of a GAN have
        others = {id(p) for o in _living() for g in o.param_groups for p in g["params"]}
        missing = [n for n in missing if id(dict(m.parameters)[n]) not in others]
    if not missing:
        return
    if not held & own:
        text = "the optimizer holds no parameter of this model: it is another one's"
    else:
        text = f"{len(missing)} trainable parameters are not in the optimizer: {missing[0]}"
        text += " …" if len(missing) > 1 else ""
    yield Finding(
        rule="optimizer",
        severity=ERROR,
        text=text,
        evidence=f"the optimizer holds {len(held)} parameters, {foreign} of them not the model's",
        next="make the optimizer after the model is complete, of model.parameters()",
        explains=("learning rate too low",),
    )


def learning_rates(m: Material) -> Iterator[Finding]:
    """A rate of 0, and groups whose rates have nothing in common."""
    if m.optimizer is None:
        return
    groups = m.optimizer.param_groups
    rates = [float(g["lr"]) for g in groups]
    if not m.optimizer.ranges.get("lr", (0, 1)) or "lr" not in m.optimizer.defaults:
        return
    idle = [i for i, g in enumerate(groups) if rates[i] == 0 and not float(g.get("initial_lr", 0))]
    if idle and len(idle) == len(groups):
        yield Finding(
            rule="learning rate is 0",
            severity=ERROR,
            text="the learning rate is 0: no step changes anything",
            evidence=f"lr = 0 in {'its only group' if len(groups) == 1 else 'every group'}",
            next="give the optimizer a rate, as lr=1e-3",
            explains=("learning rate too low",),
        )
        return
    if _absurd(max(rates), m):
        yield Finding(
            rule="learning rate far too high",
            severity=WARNING,
            text=f"the learning rate is {max(rates):g}",
            evidence="one step moves the weights by many times their size",
            next="use 1e-3 to 0.1, with SGD; with Adam and its kin 1e-4 to 1e-2",
            explains=FIT,
        )
        return
    moving = [r for r in rates if r > 0]
    if len(groups) > 1 and (idle or (moving and max(moving) > _APART * min(moving))):
        low = int(np.argmin(rates))
        high = int(np.argmax(rates))
        yield Finding(
            rule="learning rates of groups",
            severity=WARNING,
            text=f"group {low} has the learning rate {rates[low]:g}, group {high} {rates[high]:g}",
            evidence=f"group {low} has {len(groups[low]['params'])} parameters, group {high} "
            f"{len(groups[high]['params'])}",
            next="rates of groups usually differ by 10 to 100; freeze what is not to learn",
            explains=FIT,
        )


def _absurd(rate: float, m: Material) -> bool:
    """Whether a rate is far above all that are in use, and its step above the weights."""
    if rate <= _ABSURD:
        return False
    held = [(p, g) for _, p, _ in _held(m) if (g := m.gradient(p)) is not None]
    if not held:
        return True
    size = rms(np.concatenate([p.array.reshape(-1) for p, _ in held]))
    step = rate * rms(np.concatenate([g.reshape(-1) for _, g in held]))
    return not step <= size  # true of NaN, too


def _share(x: float) -> str:
    """Which part of something, or how many times it.

    >>> _share(0.025), _share(0.5), _share(12.5), _share(1e4)
    ('2.5% of', '50% of', '12.5 times', '10,000 times')
    """
    if x <= 1:
        return f"{100 * x:.3g}% of"
    return f"{x:,.0f} times" if x >= 100 else f"{x:.3g} times"


def clip_limit(m: Material) -> Iterator[Finding]:
    """A limit on the gradients under which no step moves the weights; Adam's steps have a scale."""
    if m.optimizer is None or m.clip_norm is None:
        return
    held = [(p, g) for _, p, _ in _held(m) if (g := m.gradient(p)) is not None]
    groups = m.optimizer.param_groups
    if not held or any("eps" in g or "lr" not in g for g in groups):
        return
    norm = float(np.sqrt(sum(float(np.sum(np.square(g, dtype=np.float64))) for _, g in held)))
    size = float(np.sqrt(sum(float(np.sum(np.square(p.array, dtype=np.float64))) for p, _ in held)))
    rate = max(float(g["lr"]) / (1 - min(float(g.get("momentum", 0)), 0.999)) for g in groups)
    if m.clip_norm < _CLIPPED * norm and rate * m.clip_norm < _STILL * size:
        yield Finding(
            rule="gradients clipped away",
            severity=WARNING,
            text=f"gradients of the norm {norm:.2g} are clipped to {m.clip_norm:g}",
            evidence=f"a step moves weights of the norm {size:.2g} by "
            f"{rate * m.clip_norm:.1g} at most",
            next="clip to a norm near the usual one, as 1.0",
            explains=FIT,
        )


def weight_decay(m: Material) -> Iterator[Finding]:
    """Decay that pulls the weights to 0 faster than gradients can move them."""
    if m.optimizer is None:
        return
    kind = type(m.optimizer).__name__
    for group in m.optimizer.param_groups:
        decay, rate = float(group.get("weight_decay", 0.0)), float(group["lr"])
        if decay <= 0 or (decay <= _LARGE_DECAY and _absurd(rate, m)):
            continue  # what is wrong is the rate, and that is said
        apart = bool(group.get("decoupled_weight_decay"))
        grads = [(p, g) for p in group["params"] if (g := m.gradient(p)) is not None]
        size = rms(np.concatenate([g.reshape(-1) for _, g in grads])) if grads else 0.0
        own = rms(np.concatenate([p.array.reshape(-1) for p, _ in grads])) if grads else 0.0
        outweighs = decay * own / size if size > 0 and np.isfinite(size) else 0.0
        if rate * decay > _DECAYS:
            evidence = f"each step takes {_share(rate * decay)} every weight"
        elif not apart and decay > _LARGE_DECAY and outweighs > _OUTWEIGHS:
            evidence = (
                f"beside the gradient it is {outweighs:.0f} times as large (root mean square)"
            )
        else:
            continue
        yield Finding(
            rule="weight decay",
            severity=WARNING,
            text=f"{kind}: weight_decay = {decay:g} pulls the weights to 0",
            evidence=evidence,
            next="use 0 to 1e-3, with AdamW up to 0.1",
            explains=FIT,
        )
        return


def optimizer_settings(m: Material) -> Iterator[Finding]:
    """β₁ and β₂ exchanged, a memory that is too long, an ε above the gradients."""
    if m.optimizer is None:
        return
    kind = type(m.optimizer).__name__
    for group in m.optimizer.param_groups:
        beta1, beta2 = map(float, group["betas"]) if "betas" in group else (0.0, 1.0)
        memory = max(beta1, float(group.get("momentum", 0.0)))
        if beta1 > beta2:
            yield Finding(
                rule="optimizer settings",
                severity=WARNING,
                text=f"{kind}: β₁ = {beta1:g} is above β₂ = {beta2:g}",
                evidence="the gradient is averaged for longer than its square: steps overshoot",
                next="were they exchanged? betas=(0.9, 0.999) is usual",
            )
        elif memory > _LONGEST:
            yield Finding(
                rule="optimizer settings",
                severity=WARNING,
                text=f"{kind}: the momentum is {memory:g}",
                evidence=f"it adds up about {1 / (1 - memory):.0f} gradients",
                next="use 0.9 to 0.99",
            )
        sizes = [rms(g) for p in group["params"] if (g := m.gradient(p)) is not None]
        sizes = [s for s in sizes if s > 0 and np.isfinite(s)]
        eps = float(group.get("eps", 0.0))
        tells = "betas" in group and sizes and eps > _LARGE_EPS
        if tells and eps > _ABOVE * float(np.median(sizes)):
            yield Finding(
                rule="optimizer settings",
                severity=WARNING,
                text=f"{kind}: ε = {eps:g} is far above the gradients",
                evidence=f"their median size is {float(np.median(sizes)):.2g}: "
                "ε alone divides the step",
                next="use eps=1e-8, unless plain momentum is what you want",
            )


def optimizer_state(m: Material) -> Iterator[Finding]:
    """State that is broken, of another parameter, or of another training."""
    for name, p, state in _held(m):
        for key, t in state.items():
            a, where = np.asarray(t.array), f"{key} of {name}"
            if key != "step" and t.shape != p.shape:
                yield _state(ERROR, f"{where} has another shape than the parameter",
                             f"{t.shape} and {p.shape}")  # fmt: skip
                return
            if not np.isfinite(a.astype(np.float64)).all():
                count = int((~np.isfinite(a.astype(np.float64))).sum())
                yield _state(ERROR, f"{where} holds numbers that are not finite",
                             f"{count} of {a.size}; each step spreads them")  # fmt: skip
                return
            if key in _SECOND and (a < 0).any():
                yield _state(ERROR, f"{where}, a mean of squares, has negative numbers",
                             f"down to {number(float(a.min()))}: its root is NaN")  # fmt: skip
                return
    far = []
    for name, p, state in _held(m):
        g = m.gradient(p)
        size = rms(g) if g is not None else 0.0
        if not size or not np.isfinite(size):
            continue
        for key, t in state.items():
            a = np.asarray(t.array, np.float64)
            kept = rms(a) if key in _FIRST else float(np.sqrt(np.mean(a)))
            if key in (*_FIRST, *_SECOND) and kept > _FAR * size:
                far.append((kept / size, key, name, size, kept))
                break
    if far and 2 * len(far) >= len(_held(m)):
        ratio, key, name, size, kept = max(far)
        effect = "steps are that much too small" if key in _SECOND else "it alone makes the steps"
        yield _state(WARNING, f"{key} of {name} is {ratio:.0e} times this batch's gradient",
                     f"{kept:.2g} against {size:.2g} (root mean square): {effect}")  # fmt: skip


def _state(severity: str, text: str, evidence: str) -> Finding:
    return Finding(
        rule="optimizer state",
        severity=severity,
        text=text,
        evidence=evidence,
        next="make a new optimizer, or load the state that belongs to this model",
    )


def frozen_but_moving(m: Material) -> Iterator[Finding]:
    """Frozen parameters that momentum goes on moving, because their gradient is 0 and not None."""
    for name, p, state in _held(m):
        if p.requires_grad or p.grad is None or p.grad.numpy().any():
            continue
        moving = [k for k in _FIRST if k in state and state[k].numpy().any()]
        if moving:
            yield Finding(
                rule="frozen but moving",
                severity=WARNING,
                text=f"{name} is frozen, but the optimizer goes on moving it",
                evidence=f"its gradient is zeros, not None, and its {moving[0]} is not 0",
                next=f"set {name}.grad to None, or make an optimizer without it",
                explains=("frozen at random",),
            )
            return


def left_over_gradients(m: Material) -> Iterator[Finding]:
    """Gradients that are the sum of many batches'."""
    ratios = []
    for name, p, state in _held(m):
        g = m.gradient(p)
        if g is None or p.grad is None or float(state.get("step", 0)) < _SOME_STEPS:
            continue
        size, kept = rms(g), rms(p.grad.numpy())
        if size > 0 and np.isfinite(kept):
            ratios.append((kept / size, name, kept, size))
    if ratios and float(np.median([r[0] for r in ratios])) > _SUMMED:
        ratio, name, kept, size = sorted(ratios)[len(ratios) // 2]
        yield Finding(
            rule="zero_grad forgotten",
            severity=WARNING,
            text=f"the gradient kept in {name} is {ratio:.0f} times that of this batch",
            evidence=f"{kept:.2g} against {size:.2g} (root mean square): "
            "backward adds to what is there",
            next="call optimizer.zero_grad() before each backward()",
        )
