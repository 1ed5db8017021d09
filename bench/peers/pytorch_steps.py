"""Steps of PyTorch: eager, with the fused optimizer, channels last, and `torch.compile`.

The networks have the module names of Backlit's, so that the starting weights fit by name.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn, optim
from torch.nn import functional

from ..workloads import Arrays, Workload
from . import Steps


def _convolutions(*parts: Any) -> nn.Sequential:
    """Convolutions with ReLU, given by the arguments of Conv2d; an int is a pooling window."""
    layers: list[nn.Module] = []
    for part in parts:
        if isinstance(part, dict):
            layers.append(nn.MaxPool2d(**part))
        else:
            inputs, outputs, size, stride, padding = part
            layers += [nn.Conv2d(inputs, outputs, size, stride, padding), nn.ReLU()]
    return nn.Sequential(*layers)


class LeNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        pool = {"kernel_size": 2}
        self.features = _convolutions((1, 32, 5, 1, 2), pool, (32, 64, 5, 1, 2), pool)
        self.classifier = nn.Sequential(
            nn.Flatten(), nn.Linear(64 * 7 * 7, 512), nn.ReLU(), nn.Linear(512, 10)
        )

    def forward(self, x: Any) -> Any:
        return self.classifier(self.features(x))


class AlexNet(nn.Module):
    def __init__(self, dropout: float):
        super().__init__()
        pool = {"kernel_size": 3, "stride": 2}
        self.features = _convolutions(
            (3, 64, 11, 4, 2),
            pool,
            (64, 192, 5, 1, 2),
            pool,
            (192, 384, 3, 1, 1),
            (384, 256, 3, 1, 1),
            (256, 256, 3, 1, 1),
            pool,
        )
        self.avgpool = nn.AdaptiveAvgPool2d((6, 6))
        self.classifier = nn.Sequential(
            nn.Dropout(dropout),
            nn.Linear(256 * 6 * 6, 4096),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(4096, 4096),
            nn.ReLU(),
            nn.Linear(4096, 1000),
        )

    def forward(self, x: Any) -> Any:
        return self.classifier(torch.flatten(self.avgpool(self.features(x)), 1))


class ResidualBlock(nn.Module):
    def __init__(self, inputs: int, outputs: int, stride: int):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.downsample: nn.Module = nn.Identity()
        if stride != 1 or inputs != outputs:
            self.downsample = nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs)
            )

    def forward(self, x: Any) -> Any:
        y = functional.relu(self.bn1(self.conv1(x)))
        return functional.relu(self.bn2(self.conv2(y)) + self.downsample(x))


class ResNet18(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        stages, inputs = [], 64
        for outputs, stride in ((64, 1), (128, 2), (256, 2), (512, 2)):
            first, second = (
                ResidualBlock(inputs, outputs, stride),
                ResidualBlock(outputs, outputs, 1),
            )
            stages.append(nn.Sequential(first, second))
            inputs = outputs
        self.layer1, self.layer2, self.layer3, self.layer4 = stages
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(512, 10)

    def forward(self, x: Any) -> Any:
        y = functional.relu(self.bn1(self.conv1(x)))
        y = self.layer4(self.layer3(self.layer2(self.layer1(y))))
        return self.fc(torch.flatten(self.pool(y), 1))


class CharRNN(nn.Module):
    def __init__(self, vocabulary: int = 65) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, 64)
        self.rnn = nn.LSTM(64, 256, batch_first=True)
        self.head = nn.Linear(256, vocabulary)

    def forward(self, x: Any) -> Any:
        y, _ = self.rnn(self.embedding(x))
        return self.head(y)


class Conv1D(nn.Module):
    def __init__(self, inputs: int, outputs: int):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(inputs, outputs))
        self.bias = nn.Parameter(torch.empty(outputs))

    def forward(self, x: Any) -> Any:
        y = torch.addmm(self.bias, x.view(-1, x.shape[-1]), self.weight)
        return y.view(*x.shape[:-1], -1)


class Attention(nn.Module):
    def __init__(self, width: int, heads: int):
        super().__init__()
        self.heads = heads
        self.c_attn = Conv1D(width, 3 * width)
        self.c_proj = Conv1D(width, width)

    def forward(self, x: Any) -> Any:
        n, t, width = x.shape
        parts = self.c_attn(x).view(n, t, 3, self.heads, width // self.heads)
        q, k, v = parts.permute(2, 0, 3, 1, 4)
        y = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.c_proj(y.transpose(1, 2).reshape(n, t, width))


class MLP(nn.Module):
    def __init__(self, width: int):
        super().__init__()
        self.c_fc = Conv1D(width, 4 * width)
        self.c_proj = Conv1D(4 * width, width)

    def forward(self, x: Any) -> Any:
        return self.c_proj(functional.gelu(self.c_fc(x)))


class Block(nn.Module):
    def __init__(self, width: int, heads: int):
        super().__init__()
        self.ln_1 = nn.LayerNorm(width)
        self.attn = Attention(width, heads)
        self.ln_2 = nn.LayerNorm(width)
        self.mlp = MLP(width)

    def forward(self, x: Any) -> Any:
        x = x + self.attn(self.ln_1(x))
        return x + self.mlp(self.ln_2(x))


class GPT2(nn.Module):
    def __init__(self, vocabulary: int = 65, context: int = 64, layers: int = 4, width: int = 128):
        super().__init__()
        self.wte = nn.Embedding(vocabulary, width)
        self.wpe = nn.Embedding(context, width)
        self.h = nn.ModuleList(Block(width, 4) for _ in range(layers))
        self.ln_f = nn.LayerNorm(width)
        self.lm_head = nn.Linear(width, vocabulary, bias=False)
        self.lm_head.weight = self.wte.weight

    def forward(self, x: Any) -> Any:
        y = self.wte(x) + self.wpe(torch.arange(x.shape[1]))
        for block in self.h:
            y = block(y)
        return self.lm_head(self.ln_f(y))


class WindowTagger(nn.Module):
    def __init__(self, vocabulary: int = 20_000, width: int = 50, classes: int = 9) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, width)
        self.hidden = nn.Linear(5 * width, 100)
        self.output = nn.Linear(100, classes)

    def forward(self, x: Any) -> Any:
        y = torch.flatten(self.embedding(x), 1)
        return self.output(torch.tanh(self.hidden(y)))


def _network(name: str, dropout: float) -> nn.Module:
    if name == "playground":
        layers = [nn.Linear(2, 4), nn.Tanh(), nn.Linear(4, 2), nn.Tanh(), nn.Linear(2, 1)]
        return nn.Sequential(*layers, nn.Tanh())
    if name == "two-layer":
        return nn.Sequential(
            nn.Linear(1000, 100, bias=False), nn.Sigmoid(), nn.Linear(100, 10, bias=False)
        )
    if name == "mlp":
        layers = [nn.Linear(784, 512), nn.ReLU(), nn.Linear(512, 512), nn.ReLU()]
        return nn.Sequential(*layers, nn.Linear(512, 10))
    if name == "alexnet":
        return AlexNet(dropout)
    kinds = {
        "lenet": LeNet,
        "resnet18": ResNet18,
        "lstm": CharRNN,
        "gpt": GPT2,
        "ner": WindowTagger,
    }
    return kinds[name]()


def _loss(workload: Workload) -> Callable[[Any, Any], Any]:
    if workload.loss != "cross-entropy":
        mean = workload.loss == "mean of squares"
        return nn.MSELoss(reduction="mean" if mean else "sum")
    entropy = nn.CrossEntropyLoss()
    if len(workload.targets) == 1:
        return entropy
    return lambda y, targets: entropy(y.view(-1, workload.classes), targets.view(-1))


def _steps(
    workload: Workload,
    weights: Arrays,
    data: Any,
    dropout: float,
    *,
    fused: bool = True,
    channels_last: bool = False,
    compile: bool = False,
) -> Steps:
    model = _network(workload.name, dropout)
    given = {k: torch.tensor(v) for k, v in weights.items()}
    have = dict([*model.named_parameters(), *model.named_buffers()])  # what is shared, once
    for k in have.keys() - given.keys():  # a counter of batches, under another name or none
        if not k.endswith("num_batches_tracked"):
            raise KeyError(f"{workload.name}: no starting value for {k}")
    model.load_state_dict({k: v.view(have[k].shape) for k, v in given.items()}, strict=False)
    x, y = map(torch.from_numpy, data)
    if channels_last:
        model = model.to(memory_format=torch.channels_last)
        x = x.contiguous(memory_format=torch.channels_last)
    kinds: dict[str, Any] = {"adam": optim.Adam, "adamw": optim.AdamW, "sgd": optim.SGD}
    options = {"fused": True} if fused else {}
    optimizer = kinds[workload.optimizer](model.parameters(), **workload.settings, **options)
    loss_fn = _loss(workload)

    def forward(x: Any, y: Any) -> Any:
        return loss_fn(model(x), y)

    if compile:
        forward = torch.compile(forward)

    def steps(n: int) -> Any:
        for _ in range(n):
            loss = forward(x, y)
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
        return loss.detach()

    return steps


def eager(workload: Workload, weights: Arrays, data: Any, dropout: float) -> Steps:
    """As a user writes it."""
    return _steps(workload, weights, data, dropout, fused=False)


def fused(workload: Workload, weights: Arrays, data: Any, dropout: float) -> Steps:
    """With `fused=True` for the optimizer."""
    return _steps(workload, weights, data, dropout)


def channels_last(workload: Workload, weights: Arrays, data: Any, dropout: float) -> Steps:
    """With images and weights in the layout that oneDNN prefers, and the fused optimizer."""
    return _steps(workload, weights, data, dropout, channels_last=True)


def compiled(workload: Workload, weights: Arrays, data: Any, dropout: float) -> Steps:
    """Forward and backward by `torch.compile`, the fused optimizer, images channels last."""
    return _steps(workload, weights, data, dropout, channels_last=workload.images, compile=True)
