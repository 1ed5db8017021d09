"""Which network a recipe trains: by a short name, by the name of a known network, or one's own.

    linear              one layer
    mlp:256-128         hidden layers of these widths
    cnn:16-32-64        blocks of convolution, batch norm, activation and pooling, then the mean
    bilstm:64, window:64 of words with tags; bilstm-crf:64 judges the tags of a sentence together
    bag:64, fasttext:64 of texts: the mean of the vectors of words, and of pairs of them
    lstm:128, gru:128   of series and text: a recurrent layer
    gpt:128             of text that is continued: a small transformer of this width
    net.py:Net          a class or a function in a file

Which of them there are depends on the kind of data; see `Form.networks`.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from .. import manual_seed, nn, optim
from ..array_api import (
    arange,
    astype,
    concat,
    expand_dims,
    log,
    max,
    maximum,
    permute_dims,
    sum,
    where,
)
from ..errors import ArgumentError
from ..models.perceptrons import ACTIVATIONS
from ..nn.functional import cross_entropy
from ..tensor import Tensor
from .script import run_file
from .settings import did_you_mean

Settings = Mapping[str, Any]
#: Short names, and those of them that widths may follow.
_WIDE = frozenset("mlp cnn bag fasttext lstm gru gpt bilstm bilstm-crf window".split())
_SHORT = _WIDE | {"linear"}
#: The least probability of a tag that has a logarithm, and how far the best tag is ahead.
_LEAST, _AHEAD = 1e-12, 1e-4


def widths(model: str) -> list[int]:
    """The widths after the colon of a network's name."""
    _, colon, sizes = model.partition(":")
    parts = sizes.split("-") if colon else []
    if not all(p.isascii() and p.isdigit() and 0 < int(p) <= 65536 for p in parts):
        kind = model.partition(":")[0]
        raise ArgumentError(
            f"model: {kind}: must be followed by widths such as {kind}:256-128, got {model!r}"
        )
    return [int(p) for p in parts]


def build(
    networks: Mapping[str, Callable[[list[int]], nn.Module]],
    what: str,
    settings: Settings,
    facts: Mapping[str, Any],
) -> nn.Module:
    """The network of some settings, with weights drawn from their seed.

    `networks` makes each by the beginning of its name, of the widths after it; `facts` are what a
    network of one's own may ask for by the names of its arguments.
    """
    manual_seed(settings["seed"])
    name: str = settings["model"]
    if ".py:" in name:
        return _own(name, facts)
    kind = name.partition(":")[0].lower()
    if kind not in networks:
        forms = ", ".join(f"{n}:WIDTHS" if n in _WIDE else n for n in networks if n in _SHORT)
        more = ", a name of `backlit models`" if not set(networks) <= _SHORT else ""
        raise ArgumentError(
            f"model: for {what} it must be {forms}{more} or net.py:Net, got {name!r}"
            + did_you_mean(kind, networks)
        )
    return networks[kind](widths(name))


def _own(name: str, facts: Mapping[str, Any]) -> nn.Module:
    """The network that a class or a function in a file makes, or that a variable there is."""
    path, _, attribute = name.rpartition(":")
    variables = run_file(path, "train")
    made = variables.get(attribute)
    if made is None:
        known = [n for n, v in variables.items() if callable(v) and not n.startswith("_")]
        raise ArgumentError(
            f"train: {path} has no {attribute!r}; it has {', '.join(known) or 'no class'}"
        )
    if not isinstance(made, nn.Module):
        if not callable(made):
            raise ArgumentError(
                f"train: {name} must be a class, a function or an nn.Module, got "
                f"{type(made).__name__}"
            )
        wanted = inspect.signature(made).parameters.values()
        missing = [
            p.name for p in wanted
            if p.default is p.empty and p.name not in facts
            and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)
        ]  # fmt: skip
        if missing:
            raise ArgumentError(
                f"train: {name} needs {missing[0]!r}, which is not known of the data; known are "
                f"{', '.join(f'{k}={v}' for k, v in facts.items())}; give it a default"
            )
        made = made(**{p.name: facts[p.name] for p in wanted if p.name in facts})
    if not isinstance(made, nn.Module):
        raise ArgumentError(f"train: {name} must make an nn.Module, got {type(made).__name__}")
    return made


# -- what networks are made of ----------------------------------------------------------------


def perceptron(inputs: int, hidden: Sequence[int], outputs: int, s: Settings) -> list[nn.Module]:
    """Linear layers, between them batch norm, activation and dropout as the settings say."""
    layers: list[nn.Module] = []
    for width in hidden:
        layers.append(nn.Linear(inputs, width))
        if s["batch_norm"]:
            layers.append(nn.BatchNorm1d(width))
        layers.append(ACTIVATIONS[s["activation"]]())
        if s["dropout"]:
            layers.append(nn.Dropout(s["dropout"]))
        inputs = width
    return [*layers, nn.Linear(inputs, outputs)]


def convolutions(
    shape: Sequence[int], channels: Sequence[int], outputs: int, s: Settings
) -> list[nn.Module]:
    """For each width two convolutions of 3 (or 3×3), the second half as dense; then the mean.

    `shape` is (C, L) or (C, H, W). The step of 2 ends where an axis has fewer than 4 places.
    """
    if not channels:
        raise ArgumentError("model: cnn: must be followed by widths such as cnn:16-32")
    sizes = list(shape[1:])
    conv, norm, pool = (
        (nn.Conv1d, nn.BatchNorm1d, nn.AdaptiveAvgPool1d)
        if len(sizes) == 1
        else (nn.Conv2d, nn.BatchNorm2d, nn.AdaptiveAvgPool2d)
    )
    layers: list[nn.Module] = []
    inputs = shape[0]
    for i, width in enumerate(channels):
        step = 2 if i and min(sizes) >= 4 else 1
        sizes = [-(-n // step) for n in sizes]
        for stride in (step, 1):
            layers.append(conv(inputs, width, 3, stride, padding=1, bias=not s["batch_norm"]))
            if s["batch_norm"]:
                layers.append(norm(width))
            layers.append(ACTIVATIONS[s["activation"]]())
            inputs = width
    layers += [pool(1), nn.Flatten()]
    if s["dropout"]:
        layers.append(nn.Dropout(s["dropout"]))
    return [*layers, nn.Linear(inputs, outputs)]


class OfText(nn.Module):
    """A network for texts of several lengths, which are padded with token 0 at their ends."""

    def __init__(self, network: nn.Module):
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        """(N, L) tokens -> (N, outputs)."""
        return self.network(x, sum(astype(x != 0, "int64"), axis=1))


class EachPlace(nn.Module):
    """A network that predicts each next token, with its scores where a loss has the classes."""

    def __init__(self, network: nn.Module):
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        """(N, T) tokens -> scores (N, vocabulary, T)."""
        y = self.network(x)
        return permute_dims(y[0] if isinstance(y, tuple) else y, (0, 2, 1))


class Tagger(nn.Module):
    """The tag of each word, from its features and the words around it.

    Each word has several features (itself, its ending, its shape), each with a vector; the middle
    layer looks to both sides: a bidirectional LSTM, or a convolution over a window of words.
    """

    def __init__(self, sizes: Sequence[int], widths: Sequence[int], middle: nn.Module, wide: int,
                 tags: int, dropout: float):  # fmt: skip
        super().__init__()
        self.embeddings = nn.ModuleList(
            nn.Embedding(size, width) for size, width in zip(sizes, widths, strict=True)
        )
        self.dropout = nn.Dropout(dropout)
        self.middle = middle
        self.head = nn.Linear(wide, tags)

    def forward(self, x: Tensor) -> Tensor:
        """(N, T, features) -> scores (N, tags, T)."""
        found = [e(x[:, :, i]) for i, e in enumerate(self.embeddings)]
        y = self.dropout(concat(found, axis=2))
        if isinstance(self.middle, nn.LSTM):
            y, _ = self.middle(y)
        else:
            y = permute_dims(self.middle(permute_dims(y, (0, 2, 1))), (0, 2, 1))
        return permute_dims(self.head(self.dropout(y)), (0, 2, 1))


class SequenceTagger(Tagger):
    """A `Tagger` whose tags are judged together, by a `nn.CRF`.

    While it trains, its scores are the emissions, of which `SequenceLoss` makes -log p(tags). When
    it is evaluated, they are the logarithms of the probability of each word's tags, and the tag of
    the best sequence (Viterbi's) has at least the largest of them: so that it is the one taken.
    Source: Lample et al., NAACL 2016, sec. 2.
    """

    def __init__(self, *args: Any, constraints: tuple[Any, Any, Any] | None = None):
        super().__init__(*args)
        self.crf = nn.CRF(self.head.out_features, batch_first=True, constraints=constraints)

    def forward(self, x: Tensor) -> Tensor:
        """(N, T, features) -> scores (N, tags, T)."""
        emissions = super().forward(x)
        if self.training:
            return emissions
        each, words = permute_dims(emissions, (0, 2, 1)), x[:, :, 0] != 0
        scores = log(maximum(self.crf.marginals(each, words), _LEAST))
        best, _ = self.crf.viterbi(each, words)
        chosen = expand_dims(best, axis=2) == arange(scores.shape[2])
        scores = where(chosen, max(scores, axis=2, keepdims=True) + _AHEAD, scores)
        return permute_dims(scores, (0, 2, 1))


class SequenceLoss(nn.Module):
    """-log p(tags) of a `SequenceTagger` by words; when it is evaluated that of each tag alone."""

    def __init__(self, crf: nn.CRF, no_word: int):
        super().__init__()
        self.crf, self.no_word = crf, no_word

    def forward(self, scores: Tensor, tags: Tensor) -> Tensor:
        """Scores (N, tags, T), tags (N, T) -> the mean of the words."""
        if not self.crf.training:
            return cross_entropy(scores, tags, ignore_index=self.no_word)
        emissions = permute_dims(scores, (0, 2, 1))
        return -self.crf(emissions, tags, tags != self.no_word, reduction="token_mean")


class Recurrent(nn.Module):
    """A recurrent layer over a sequence of vectors (N, T, D); its last state through a head."""

    def __init__(self, layer: Callable[..., nn.Module], inputs: int, width: int, outputs: int):
        super().__init__()
        self.recurrent = layer(inputs, width, batch_first=True)
        self.head = nn.Linear(width, outputs)

    def forward(self, x: Tensor) -> Tensor:
        """(N, T, D) -> (N, outputs)."""
        y, _ = self.recurrent(x)
        return self.head(y[:, -1])


def optimizer_of(model: nn.Module, settings: Settings) -> optim.Optimizer:
    """The optimizer of some settings."""
    name, lr, decay = settings["optimizer"], settings["lr"], settings["weight_decay"]
    parameters = [p for p in model.parameters() if p.requires_grad]
    if name == "sgd":
        return optim.SGD(parameters, lr=lr, weight_decay=decay)
    if name == "momentum":
        return optim.SGD(parameters, lr=lr, momentum=0.9, weight_decay=decay)
    rules = {
        "rmsprop": optim.RMSprop,
        "adagrad": optim.Adagrad,
        "adam": optim.Adam,
        "adamw": optim.AdamW,
    }
    return rules[name](parameters, lr=lr, weight_decay=decay)


def schedule_of(optimizer: optim.Optimizer, settings: Settings, steps: int) -> Any:
    """The learning-rate schedule of a run of so many steps: stepped after each of them."""
    name, warm = settings["schedule"], settings.get("warmup", 0.0) * steps
    if name == "one-cycle":
        momentum = settings["optimizer"] in ("momentum", "adam", "adamw")
        return optim.lr_scheduler.OneCycleLR(
            optimizer, max_lr=settings["lr"], total_steps=steps, cycle_momentum=momentum
        )
    if name == "constant" and not warm:
        return None

    def factor(step: int) -> float:
        """The share of the learning rate in a step."""
        if step < warm:
            return (step + 1) / (warm + 1)
        done = min(1.0, (step - warm) / (steps - warm)) if steps > warm else 1.0
        if name == "cosine":
            return (1 + math.cos(math.pi * done)) / 2
        return 1 - done if name == "linear" else 1.0

    return optim.lr_scheduler.LambdaLR(optimizer, factor)
