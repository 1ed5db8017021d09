"""PyTorch's side of the networks that `bench.peers` does not have, and our values put into them."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

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
