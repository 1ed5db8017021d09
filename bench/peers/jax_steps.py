"""Steps of JAX: `jit` of one step, and `fori_loop` over many.

A network is a function of a flat dictionary of weights, under the names of Backlit's modules.
Images are (N, H, W, C) and kernels (H, W, I, O), as usual with JAX; the state is donated to each
call.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from ..workloads import Arrays, Workload
from . import Steps


def _linear(p: Any, name: str, x: Any) -> Any:
    y = x @ p[f"{name}.weight"].T
    bias = p.get(f"{name}.bias")
    return y if bias is None else y + bias


def _convolution(p: Any, name: str, x: Any, stride: int = 1, padding: int = 0) -> Any:
    y = lax.conv_general_dilated(
        x,
        p[f"{name}.weight"],
        (stride, stride),
        [(padding, padding)] * 2,
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
    )
    bias = p.get(f"{name}.bias")
    return y if bias is None else y + bias


def _pool(x: Any, size: int, stride: int) -> Any:
    window, strides = (1, size, size, 1), (1, stride, stride, 1)
    return lax.reduce_window(x, -jnp.inf, lax.max, window, strides, "VALID")


def _flat(x: Any) -> Any:
    """(N, H, W, C) as (N, C·H·W), the order that the weights are made for."""
    return x.transpose(0, 3, 1, 2).reshape(x.shape[0], -1)


def _dropout(x: Any, p: float, key: Any) -> Any:
    if not p:
        return x
    return jnp.where(jax.random.bernoulli(key, 1 - p, x.shape), x / (1 - p), 0)


def _lenet(p: Any, x: Any, extra: Any) -> Any:
    x = _pool(jax.nn.relu(_convolution(p, "features.0", x, padding=2)), 2, 2)
    x = _pool(jax.nn.relu(_convolution(p, "features.3", x, padding=2)), 2, 2)
    x = jax.nn.relu(_linear(p, "classifier.1", _flat(x)))
    return _linear(p, "classifier.3", x)


def _alexnet(p: Any, x: Any, extra: Any) -> Any:
    x = _pool(jax.nn.relu(_convolution(p, "features.0", x, 4, 2)), 3, 2)
    x = _pool(jax.nn.relu(_convolution(p, "features.3", x, 1, 2)), 3, 2)
    for name in ("features.6", "features.8", "features.10"):
        x = jax.nn.relu(_convolution(p, name, x, 1, 1))
    x = _flat(_pool(x, 3, 2))  # 6×6 already: no average is left to take
    one, two = jax.random.split(extra["key"])
    x = jax.nn.relu(_linear(p, "classifier.1", _dropout(x, extra["dropout"], one)))
    x = jax.nn.relu(_linear(p, "classifier.4", _dropout(x, extra["dropout"], two)))
    return _linear(p, "classifier.6", x)


def _resnet18(p: Any, x: Any, extra: Any) -> Any:
    running = extra["running"]

    def norm(name: str, x: Any) -> Any:
        mean, variance = x.mean((0, 1, 2)), x.var((0, 1, 2))
        count = x.size // x.shape[-1]
        for k, v in (("mean", mean), ("var", variance * (count / (count - 1)))):
            full = f"{name}.running_{k}"
            running[full] = 0.9 * running[full] + 0.1 * lax.stop_gradient(v)
        scale = p[f"{name}.weight"] * lax.rsqrt(variance + 1e-5)
        return (x - mean) * scale + p[f"{name}.bias"]

    x = jax.nn.relu(norm("bn1", _convolution(p, "conv1", x, 1, 1)))
    for stage in range(4):
        for block in range(2):
            name = f"layer{stage + 1}.{block}"
            stride = 2 if stage and not block else 1
            y = jax.nn.relu(norm(f"{name}.bn1", _convolution(p, f"{name}.conv1", x, stride, 1)))
            y = norm(f"{name}.bn2", _convolution(p, f"{name}.conv2", y, 1, 1))
            if stride == 2:
                x = _convolution(p, f"{name}.downsample.0", x, stride)
                x = norm(f"{name}.downsample.1", x)
            x = jax.nn.relu(x + y)
    return _linear(p, "fc", x.mean((1, 2)))


def _lstm(p: Any, x: Any, extra: Any) -> Any:
    embedded = p["embedding.weight"][x].swapaxes(0, 1)
    bias = p["rnn.bias_ih_l0"] + p["rnn.bias_hh_l0"]
    inputs = embedded @ p["rnn.weight_ih_l0"].T + bias
    weight = p["rnn.weight_hh_l0"].T

    def cell(state: Any, a: Any) -> Any:
        h, c = state
        i, f, g, o = jnp.split(a + h @ weight, 4, axis=1)
        c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
        h = jax.nn.sigmoid(o) * jnp.tanh(c)
        return (h, c), h

    zero = jnp.zeros((x.shape[0], weight.shape[0]))
    _, h = lax.scan(cell, (zero, zero), inputs)
    return _linear(p, "head", h.swapaxes(0, 1))


def _gpt(p: Any, x: Any, extra: Any) -> Any:
    def norm(name: str, x: Any) -> Any:
        centred = x - x.mean(-1, keepdims=True)
        scale = lax.rsqrt((centred * centred).mean(-1, keepdims=True) + 1e-5)
        return centred * scale * p[f"{name}.weight"] + p[f"{name}.bias"]

    def conv1d(name: str, x: Any) -> Any:
        return x @ p[f"{name}.weight"] + p[f"{name}.bias"]

    n, t = x.shape
    y = p["wte.weight"][x] + p["wpe.weight"][:t]
    width = y.shape[-1]
    allowed = jnp.tril(jnp.ones((t, t), bool))
    for number in range(4):
        name = f"h.{number}"
        parts = conv1d(f"{name}.attn.c_attn", norm(f"{name}.ln_1", y))
        q, k, v = parts.reshape(n, t, 3, 4, width // 4).transpose(2, 0, 3, 1, 4)
        scores = jnp.where(allowed, q @ k.swapaxes(-1, -2) * (width // 4) ** -0.5, -jnp.inf)
        mixed = (jax.nn.softmax(scores) @ v).transpose(0, 2, 1, 3).reshape(n, t, width)
        y = y + conv1d(f"{name}.attn.c_proj", mixed)
        hidden = conv1d(f"{name}.mlp.c_fc", norm(f"{name}.ln_2", y))
        y = y + conv1d(f"{name}.mlp.c_proj", jax.nn.gelu(hidden, approximate=False))
    return norm("ln_f", y) @ p["wte.weight"].T


def _ner(p: Any, x: Any, extra: Any) -> Any:
    embedded = p["embedding.weight"][x].reshape(x.shape[0], -1)
    return _linear(p, "output", jnp.tanh(_linear(p, "hidden", embedded)))


def _playground(p: Any, x: Any, extra: Any) -> Any:
    for name in ("0", "2", "4"):
        x = jnp.tanh(_linear(p, name, x))
    return x


def _two_layer(p: Any, x: Any, extra: Any) -> Any:
    return _linear(p, "2", jax.nn.sigmoid(_linear(p, "0", x)))


def _mlp(p: Any, x: Any, extra: Any) -> Any:
    x = jax.nn.relu(_linear(p, "0", x))
    return _linear(p, "4", jax.nn.relu(_linear(p, "2", x)))


_NETWORKS: dict[str, Callable[[Any, Any, Any], Any]] = {
    "playground": _playground,
    "two-layer": _two_layer,
    "mlp": _mlp,
    "lenet": _lenet,
    "alexnet": _alexnet,
    "resnet18": _resnet18,
    "lstm": _lstm,
    "gpt": _gpt,
    "ner": _ner,
}


def _loss(kind: str, y: Any, targets: Any) -> Any:
    if kind == "cross-entropy":
        y, targets = y.reshape(-1, y.shape[-1]), targets.reshape(-1, 1)
        return -jnp.take_along_axis(jax.nn.log_softmax(y), targets, axis=1).mean()
    squares = jnp.square(y - targets)
    return squares.mean() if kind == "mean of squares" else squares.sum()


def _update(workload: Workload, state: Any, grads: Any) -> Any:
    """The optimizers' formulas with PyTorch's defaults; returns weights, moments and the count."""
    p, moments, t = state["p"], state["moments"], state["t"] + 1
    lr, momentum = workload.settings["lr"], workload.settings.get("momentum")
    if workload.optimizer == "sgd":
        if momentum is not None:
            grads = moments = jax.tree.map(lambda v, g: momentum * v + g, moments, grads)
        return jax.tree.map(lambda w, g: w - lr * g, p, grads), moments, t
    count = t.astype(jnp.float32)
    one, two = 1 - 0.9**count, 1 - 0.999**count
    m = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, moments[0], grads)
    v = jax.tree.map(lambda v, g: 0.999 * v + 0.001 * g * g, moments[1], grads)
    keep = 1 - lr * 0.01 if workload.optimizer == "adamw" else 1.0

    def moved(w: Any, m: Any, v: Any) -> Any:
        return keep * w - lr / one * m / (jnp.sqrt(v / two) + 1e-8)

    return jax.tree.map(moved, p, m, v), (m, v), t


def _start(workload: Workload, weights: Arrays) -> Any:
    """The state before the first step: weights, moments, running statistics, count and key."""
    arrays = {k: jnp.asarray(v.transpose(2, 3, 1, 0) if v.ndim == 4 else v)
              for k, v in weights.items() if "num_batches" not in k}  # fmt: skip
    running = {k: v for k, v in arrays.items() if "running_" in k}
    p = {k: v for k, v in arrays.items() if k not in running}
    moments: Any = ()
    if workload.settings.get("momentum"):
        moments = jax.tree.map(jnp.zeros_like, p)
    elif workload.optimizer != "sgd":
        moments = (jax.tree.map(jnp.zeros_like, p), jax.tree.map(jnp.zeros_like, p))
    key = jax.random.key(0)
    return {"p": p, "moments": moments, "running": running, "t": jnp.int32(0), "key": key}


def _build(workload: Workload, dropout: float) -> Callable[[Any, Any, Any], Any]:
    """(state, x, y) -> (next state, loss)."""
    network = _NETWORKS[workload.name]

    def step(state: Any, x: Any, y: Any) -> Any:
        key = state["key"]
        if dropout:
            key, now = jax.random.split(key)
        else:
            now = key

        def loss(p: Any) -> Any:
            running = dict(state["running"])
            result = network(p, x, {"running": running, "key": now, "dropout": dropout})
            return _loss(workload.loss, result, y), running

        (value, running), grads = jax.value_and_grad(loss, has_aux=True)(state["p"])
        p, moments, t = _update(workload, state, grads)
        return {"p": p, "moments": moments, "running": running, "t": t, "key": key}, value

    return step


def _data(workload: Workload, data: Any) -> tuple[Any, Any]:
    x, y = data
    x = x.transpose(0, 2, 3, 1) if workload.images else x
    return tuple(jnp.asarray(a.astype(np.int32) if a.dtype == np.int64 else a) for a in (x, y))


def step(workload: Workload, weights: Arrays, data: Any, dropout: float) -> Steps:
    """One step a call."""
    call = jax.jit(_build(workload, dropout), donate_argnums=0)
    x, y = _data(workload, data)
    state = _start(workload, weights)

    def steps(n: int) -> Any:
        nonlocal state
        for _ in range(n):
            state, loss = call(state, x, y)
        jax.block_until_ready(state)
        return loss

    return steps


def loop(workload: Workload, weights: Arrays, data: Any, dropout: float) -> Steps:
    """Many steps a call."""
    one = _build(workload, dropout)

    def many(state: Any, x: Any, y: Any, n: Any) -> Any:
        return lax.fori_loop(0, n, lambda _, carry: one(carry[0], x, y), (state, jnp.float32(0)))

    call = jax.jit(many, donate_argnums=0)
    x, y = _data(workload, data)
    state = _start(workload, weights)

    def steps(n: int) -> Any:
        nonlocal state
        state, loss = call(state, x, y, jnp.int32(n))
        jax.block_until_ready(state)
        return loss

    return steps
