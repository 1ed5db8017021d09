"""PyTorch's side of the networks that `bench.peers` does not have, and our values put into them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from ..peers.pytorch_functions import State as At
from .recipe import State


def loaded(model: Any, state: State) -> Any:
    """The model with our starting values, which must be all of its own; as it is without any."""
    if not state:
        return model
    have = model.state_dict()
    given = {k: torch.from_numpy(v.copy()) for k, v in state.items()}
    model.load_state_dict({k: v.view(have[k].shape) if k in have else v for k, v in given.items()})
    return model


class Functional(nn.Module):
    """A function of a state and a batch, as a module."""

    def __init__(self, function: Any, state: State):
        super().__init__()
        self.function = function
        self.names = {name: name.replace(".", "/") for name in state}
        for name, value in state.items():
            tensor = torch.from_numpy(value.copy())
            if "running_" in name or name.endswith("num_batches_tracked"):
                self.register_buffer(self.names[name], tensor)
            else:
                self.register_parameter(self.names[name], nn.Parameter(tensor))

    def forward(self, x: Any) -> Any:
        tensors = {**self._parameters, **self._buffers}
        return self.function(At({k: tensors[v] for k, v in self.names.items()}, self.training), x)


class CRF(nn.Module):
    """A linear chain: scores of sequences, their sum by the forward algorithm, the best of them."""

    def __init__(self, classes: int):
        super().__init__()
        self.start_transitions = nn.Parameter(torch.empty(classes))
        self.end_transitions = nn.Parameter(torch.empty(classes))
        self.transitions = nn.Parameter(torch.empty(classes, classes))

    def forward(self, emissions: Any, tags: Any, mask: Any) -> Any:
        """log p of each sequence: (N, T, C), (N, T), (N, T) -> (N,)."""
        m = mask.to(emissions.dtype)
        score = emissions.gather(2, tags[..., None])[..., 0].mul(m).sum(1)
        score = score + self.start_transitions[tags[:, 0]]
        score = score + (self.transitions[tags[:, :-1], tags[:, 1:]] * m[:, 1:]).sum(1)
        last = tags.gather(1, mask.sum(1, keepdim=True) - 1)[:, 0]
        score = score + self.end_transitions[last]
        total = self.start_transitions + emissions[:, 0]
        for t in range(1, emissions.shape[1]):
            new = torch.logsumexp(total[:, :, None] + self.transitions, 1) + emissions[:, t]
            total = torch.where(mask[:, t : t + 1], new, total)
        return score - torch.logsumexp(total + self.end_transitions, 1)

    def decode(self, emissions: Any, lengths: Any) -> list[list[int]]:
        """Viterbi's algorithm, one sentence at a time."""
        found = []
        arrays = (self.start_transitions, self.transitions, self.end_transitions)
        start, follow, end = (t.detach().numpy() for t in arrays)
        for rows, n in zip(emissions.numpy(), lengths.tolist(), strict=True):
            best, pointers = start + rows[0], []
            for row in rows[1:n]:
                paths = best[:, None] + follow
                pointers.append(paths.argmax(0))
                best = paths.max(0) + row
            path = [int((best + end).argmax())]
            for back in reversed(pointers):
                path.append(int(back[path[-1]]))
            found.append(path[::-1])
        return found


class BiLSTMCRF(nn.Module):
    """Embedding, packed LSTM in both directions, dropout around it, linear layer, CRF."""

    def __init__(self, vocabulary: int, width: int, hidden: int, classes: int, dropout: float):
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, width)
        self.dropout = nn.Dropout(dropout)
        self.lstm = nn.LSTM(width, hidden, batch_first=True, bidirectional=True)
        self.output = nn.Linear(2 * hidden, classes)
        self.crf = CRF(classes)

    def emissions(self, x: Any, lengths: Any) -> Any:
        """(N, T), (N,) -> (N, T, classes)."""
        rnn = nn.utils.rnn
        packed = rnn.pack_padded_sequence(
            self.dropout(self.embedding(x)), lengths, batch_first=True, enforce_sorted=False
        )
        y, _ = self.lstm(packed)
        y, _ = rnn.pad_packed_sequence(y, batch_first=True, total_length=x.shape[1])
        return self.output(self.dropout(y))

    def loss(self, x: Any, tags: Any, lengths: Any) -> Any:
        """-log p(tags), divided by the number of words."""
        mask = torch.arange(x.shape[1]) < lengths[:, None]
        return -self.crf(self.emissions(x, lengths), tags, mask).sum() / mask.sum()

    def decode(self, x: Any, lengths: Any) -> list[list[int]]:
        """The best tags of each sentence."""
        return self.crf.decode(self.emissions(x, lengths), lengths)


class TinyYOLO(nn.Module):
    """3×3 convolutions with batch-norm and leaky ReLU; its loss, and what it sees."""

    def __init__(self, classes: int, anchors: Sequence[Any], stages: int, width: int, sure: float):
        super().__init__()
        self.classes, self.stride, self.sure = classes, 2 ** (stages - 1), sure
        self.register_buffer("anchors", torch.tensor(anchors), persistent=False)
        layers: list[nn.Module] = []
        inputs = 3
        for number in range(stages):
            outputs = width * 2**number
            layers += [nn.MaxPool2d(2)] if number else []
            for a in (inputs, outputs):
                layers.append(nn.Conv2d(a, outputs, 3, padding=1, bias=False))
                layers += [nn.BatchNorm2d(outputs), nn.LeakyReLU(0.1)]
            inputs = outputs
        self.features = nn.Sequential(*layers)
        self.head = nn.Conv2d(inputs, len(anchors) * (5 + classes), 1)

    def forward(self, x: Any) -> Any:
        """(N, 3, H, W) -> (N, A, H/s, W/s, 5 + K)."""
        y = self.head(self.features(x))
        return y.unflatten(1, (len(self.anchors), -1)).permute(0, 1, 3, 4, 2)

    def borders(self, y: Any) -> Any:
        """(N, A, R, C, 5 + K) -> (N, A, R, C, 4)."""
        rows, columns = y.shape[2:4]
        x = (y[..., 0].sigmoid() + torch.arange(columns)) * self.stride
        down = (y[..., 1].sigmoid() + torch.arange(rows)[:, None]) * self.stride
        half = y[..., 2:4].clamp(-4, 4).exp() * self.anchors[:, None, None] / 2
        w, h = half.unbind(-1)
        return torch.stack((x - w, down - h, x + w, down + h), -1)

    def loss(self, y: Any, targets: Any) -> Any:
        """As YOLO's, with generalized overlaps for squared differences."""
        found, counted, boxes, labels = targets
        count = found.sum().clamp(min=1)
        place = (found * (1 - _generalized_overlap(self.borders(y), boxes))).sum()
        there = F.binary_cross_entropy_with_logits(y[..., 4], found, reduction="none")
        there = (counted * (0.5 + 0.5 * found) * there).sum()
        named = F.cross_entropy(y[..., 5:].flatten(0, -2), labels.flatten(), reduction="none")
        return (5 * place + there + (found.flatten() * named).sum()) / count

    def decode(self, x: Any) -> list[dict[str, np.ndarray]]:
        """Of each image the boxes that are sure enough and not suppressed by surer ones."""
        y = self(x)
        scores = (y[..., 4:5].sigmoid() * y[..., 5:].softmax(-1)).flatten(1, -2).numpy()
        boxes = self.borders(y).flatten(1, -2).clamp(min=0).numpy()
        boxes = np.minimum(boxes, np.tile(x.shape[:1:-1], 2).astype(boxes.dtype))
        seen = []
        for mine, sure in zip(boxes, scores, strict=True):
            places, labels = np.nonzero(sure >= self.sure)
            values = sure[places, labels]
            kept = _unsuppressed(mine[places], values, labels)
            at = np.array(kept[:100], int)
            seen.append({"boxes": mine[places][at], "scores": values[at], "labels": labels[at]})
        return seen


def _generalized_overlap(a: Any, b: Any) -> Any:
    """Rezatofighi et al., CVPR 2019, alg. 1."""
    low, high = torch.minimum(a, b), torch.maximum(a, b)
    shared = (low[..., 2:] - high[..., :2]).clamp(min=0).prod(-1)
    areas = [(t[..., 2:] - t[..., :2]).prod(-1) for t in (a, b)]
    union = areas[0] + areas[1] - shared
    hull = (high[..., 2:] - low[..., :2]).prod(-1)
    return shared / union - (hull - union) / hull


def _unsuppressed(boxes: np.ndarray, scores: np.ndarray, labels: np.ndarray) -> list[int]:
    """The surest of those of one class that overlap by more than a half, surest first."""
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(1)
    kept: list[int] = []
    for i in np.argsort(-scores, kind="stable"):
        others = [k for k in kept if labels[k] == labels[i]]
        low = np.maximum(boxes[i, :2], boxes[others, :2])
        high = np.minimum(boxes[i, 2:], boxes[others, 2:])
        shared = (high - low).clip(0).prod(1)
        if (shared <= 0.5 * (areas[i] + areas[others] - shared)).all():
            kept.append(int(i))
    return kept
