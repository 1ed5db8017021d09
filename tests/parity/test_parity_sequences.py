"""Networks for text beside the same mathematics in PyTorch, with the same weights."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch.nn import functional as F
from torch.nn.utils import rnn

import backlit as bl
from backlit import models

pytestmark = pytest.mark.parity

rng = np.random.default_rng(0)
TOKENS = rng.integers(1, 23, (3, 7))
LENGTHS = np.array([7, 2, 5])


def given(model):
    """Weights of ours, drawn anew, as PyTorch's float64."""
    model.eval().double()
    for p in model.parameters():
        p.assign(rng.normal(size=p.shape) * 0.4)
    return {n: torch.tensor(t.numpy(), requires_grad=True) for n, t in model.state_dict().items()}


def compare(model, w, ours, theirs, shared=()) -> None:
    """Two results and, of the sum of their squares, the gradients of all weights."""
    np.testing.assert_allclose(ours.numpy(), theirs.detach().numpy(), rtol=1e-9, atol=1e-10)
    (ours * ours).sum().backward()
    (theirs * theirs).sum().backward()
    for name, p in model.named_parameters():
        grads = [w[n].grad for n in (name, *dict(shared).get(name, ())) if w[n].grad is not None]
        total = sum(grads).numpy() if grads else np.zeros(p.shape)
        mine = np.zeros(p.shape) if p.grad is None else p.grad.numpy()
        np.testing.assert_allclose(mine, total, rtol=1e-7, atol=1e-8, err_msg=name)


def heads_of(x, heads):
    return x.unflatten(-1, (heads, -1)).transpose(-2, -3)


def test_gpt2() -> None:
    model = models.GPT2(vocabulary=23, context=9, layers=2, heads=2, width=8)
    w = given(model)

    def norm(x, name):
        return F.layer_norm(x, (8,), w[f"{name}.weight"], w[f"{name}.bias"], 1e-5)

    def conv1d(x, name):
        return x @ w[f"{name}.weight"] + w[f"{name}.bias"]

    x = torch.tensor(TOKENS)
    y = w["wte.weight"][x] + w["wpe.weight"][: x.shape[1]]
    for i in range(2):
        q, k, v = conv1d(norm(y, f"h.{i}.ln_1"), f"h.{i}.attn.c_attn").chunk(3, -1)
        q, k, v = (heads_of(part, 2) for part in (q, k, v))
        a = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        y = y + conv1d(a.transpose(1, 2).flatten(2), f"h.{i}.attn.c_proj")
        u = F.gelu(conv1d(norm(y, f"h.{i}.ln_2"), f"h.{i}.mlp.c_fc"), approximate="tanh")
        y = y + conv1d(u, f"h.{i}.mlp.c_proj")
    theirs = norm(y, "ln_f") @ w["lm_head.weight"].T
    compare(model, w, model(bl.tensor(TOKENS)), theirs, {"wte.weight": ["lm_head.weight"]})


def test_bert() -> None:
    model = models.BertForMaskedLM(models.Bert(23, 9, 2, 2, 8, hidden=12, pooled=False))
    w = given(model)
    segments = (np.arange(7) > 3).astype(int) * np.ones((3, 1), int)
    mask = np.arange(7) < LENGTHS[:, None]

    def norm(x, name):
        name = f"{name}.LayerNorm"
        return F.layer_norm(x, (8,), w[f"{name}.weight"], w[f"{name}.bias"], 1e-12)

    def linear(x, name):
        return F.linear(x, w[f"{name}.weight"], w[f"{name}.bias"])

    e = "bert.embeddings"
    y = F.embedding(torch.tensor(TOKENS), w[f"{e}.word_embeddings.weight"])
    y = y + w[f"{e}.position_embeddings.weight"][:7]
    y = norm(y + w[f"{e}.token_type_embeddings.weight"][torch.tensor(segments)], e)
    for i in range(2):
        layer = f"bert.encoder.layer.{i}"
        q, k, v = (
            heads_of(linear(y, f"{layer}.attention.self.{part}"), 2)
            for part in ("query", "key", "value")
        )
        scores = q @ k.mT / math.sqrt(4)
        scores = scores.masked_fill(torch.tensor(~mask)[:, None, None], -math.inf)
        a = (scores.softmax(-1) @ v).transpose(1, 2).flatten(2)
        y = norm(y + linear(a, f"{layer}.attention.output.dense"), f"{layer}.attention.output")
        u = F.gelu(linear(y, f"{layer}.intermediate.dense"))
        y = norm(y + linear(u, f"{layer}.output.dense"), f"{layer}.output")
    y = norm(F.gelu(linear(y, "cls.predictions.transform.dense")), "cls.predictions.transform")
    theirs = linear(y, "cls.predictions.decoder")
    ours = model(bl.tensor(TOKENS), bl.tensor(mask), bl.tensor(segments))
    shared = {"bert.embeddings.word_embeddings.weight": ["cls.predictions.decoder.weight"],
              "cls.predictions.bias": ["cls.predictions.decoder.bias"]}  # fmt: skip
    compare(model, w, ours, theirs, shared)


def test_classification_with_bert() -> None:
    model = models.BertForSequenceClassification(3, models.Bert(23, 9, 1, 2, 8))
    w = given(model)
    words, _ = model.bert(bl.tensor(TOKENS))
    first = torch.tensor(words.numpy()[:, 0])
    pooled = torch.tanh(F.linear(first, w["bert.pooler.dense.weight"], w["bert.pooler.dense.bias"]))
    theirs = F.linear(pooled, w["classifier.weight"], w["classifier.bias"])
    ours = model(bl.tensor(TOKENS))
    np.testing.assert_allclose(ours.numpy(), theirs.detach().numpy(), rtol=1e-10)


def test_transformer() -> None:
    model = models.TransformerSeq2Seq(23, 11, 8, 2, 2, 12, places=9)
    w = given(model)
    twin = torch.nn.Transformer(8, 2, 2, 2, 12, 0.0, batch_first=True).double()
    inner = {n.removeprefix("transformer."): n for n in w if n.startswith("transformer.")}
    target = rng.integers(0, 11, (3, 4))

    def embedded(tokens, table):
        p, i = np.arange(tokens.shape[1])[:, None], np.arange(0, 8, 2)
        angle = p / 10_000 ** (i / 8)
        places = np.stack((np.sin(angle), np.cos(angle)), axis=-1).reshape(-1, 8)
        return w[table][torch.tensor(tokens)] * math.sqrt(8) + torch.tensor(places)

    hidden = torch.tensor(np.arange(7) >= LENGTHS[:, None])
    y = torch.func.functional_call(
        twin,
        {name: w[full] for name, full in inner.items()},
        (embedded(TOKENS, "source.weight"), embedded(target, "target.weight")),
        {
            "tgt_mask": torch.nn.Transformer.generate_square_subsequent_mask(4).double(),
            "src_key_padding_mask": hidden,
            "memory_key_padding_mask": hidden,
        },
    )
    theirs = F.linear(y, w["head.weight"], w["head.bias"])
    ours = model(bl.tensor(TOKENS), bl.tensor(target), bl.tensor(LENGTHS))
    np.testing.assert_allclose(
        ours.numpy(), theirs.detach().numpy(), rtol=1e-5, atol=1e-6
    )  # float32 places


@pytest.mark.parametrize("attention", ["bahdanau", "luong"])
def test_seq2seq(attention) -> None:
    model = models.Seq2Seq(23, 11, 6, 8, attention)
    w = given(model)
    target = rng.integers(0, 11, (3, 4))
    encoder = torch.nn.GRU(6, 8, batch_first=True, bidirectional=True).double()
    packed = rnn.pack_padded_sequence(
        w["source.weight"][torch.tensor(TOKENS)], LENGTHS, batch_first=True, enforce_sorted=False
    )
    weights = {n.removeprefix("encoder."): t for n, t in w.items() if n.startswith("encoder.")}
    memory, last = torch.func.functional_call(encoder, weights, (packed,))
    memory, _ = rnn.pad_packed_sequence(memory, batch_first=True)
    hidden = torch.tensor(np.arange(7) >= LENGTHS[:, None])
    h = torch.tanh(F.linear(last[1], w["bridge.weight"], w["bridge.bias"]))

    def attend(state):
        if attention == "luong":
            scores = torch.einsum("nh,hm,nsm->ns", state, w["attention.memory.weight"], memory)
        else:
            both = F.linear(state, w["attention.query.weight"])[:, None] + F.linear(
                memory, w["attention.memory.weight"], w["attention.memory.bias"]
            )
            scores = (torch.tanh(both) @ w["attention.energy.weight"].T)[..., 0]
        weights = scores.masked_fill(hidden, -math.inf).softmax(-1)
        return torch.einsum("ns,nsm->nm", weights, memory)

    cell = torch.nn.GRUCell(w["decoder.weight_ih_l0"].shape[1], 8).double()
    weights = {
        f"{n}": w[f"decoder.{n}_l0"] for n in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    }
    logits = []
    for t in range(4):
        x = w["target.weight"][torch.tensor(target[:, t])]
        if attention == "bahdanau":
            context = attend(h)
            x = torch.cat((x, context), 1)
        h = torch.func.functional_call(cell, weights, (x, h))
        if attention == "luong":
            context = attend(h)
        both = F.linear(torch.cat((h, context), 1), w["combine.weight"], w["combine.bias"])
        logits.append(F.linear(torch.tanh(both), w["head.weight"], w["head.bias"]))
    ours = model(bl.tensor(TOKENS), bl.tensor(target), bl.tensor(LENGTHS))
    compare(model, w, ours, torch.stack(logits, 1))


def test_tagger_and_crf() -> None:
    model = models.BiLSTMCRF(23, 6, 5, 3, layers=2)
    w = given(model)
    tags = rng.integers(0, 3, TOKENS.shape)
    lstm = torch.nn.LSTM(6, 5, 2, batch_first=True, bidirectional=True).double()
    packed = rnn.pack_padded_sequence(
        w["embedding.weight"][torch.tensor(TOKENS)], LENGTHS, batch_first=True, enforce_sorted=False
    )
    weights = {n.removeprefix("lstm."): t for n, t in w.items() if n.startswith("lstm.")}
    y, _ = torch.func.functional_call(lstm, weights, (packed,))
    y, _ = rnn.pad_packed_sequence(y, batch_first=True)
    e = F.linear(y, w["output.weight"], w["output.bias"])
    start, end, follow = (
        w[f"crf.{n}"] for n in ("start_transitions", "end_transitions", "transitions")
    )
    total = 0.0
    for row, tag, n in zip(e, tags, LENGTHS, strict=True):
        score, alpha = start[tag[0]] + row[0, tag[0]], start + row[0]
        for t in range(1, n):
            score = score + follow[tag[t - 1], tag[t]] + row[t, tag[t]]
            alpha = torch.logsumexp(alpha[:, None] + follow, 0) + row[t]
        total = total + torch.logsumexp(alpha + end, 0) - score - end[tag[n - 1]]
    ours = model.loss(bl.tensor(TOKENS), bl.tensor(tags), bl.tensor(LENGTHS))
    compare(model, w, ours, total / LENGTHS.sum())


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
def test_characters(cell) -> None:
    model = models.CharRNN(23, 6, 8, layers=2, cell=cell)
    w = given(model)
    twin = {"lstm": torch.nn.LSTM, "gru": torch.nn.GRU, "rnn": torch.nn.RNN}[cell]
    layer = twin(6, 8, 2, batch_first=True).double()
    weights = {n.removeprefix("rnn."): t for n, t in w.items() if n.startswith("rnn.")}
    y, _ = torch.func.functional_call(
        layer, weights, (w["embedding.weight"][torch.tensor(TOKENS)],)
    )
    theirs = F.linear(y, w["head.weight"], w["head.bias"])
    compare(model, w, model(bl.tensor(TOKENS))[0], theirs)


def test_text_cnn() -> None:
    model = models.TextCNN(23, 6, 3, (2, 4), 5)
    w = given(model)
    x = w["embedding.weight"][torch.tensor(TOKENS)]
    x = x * torch.tensor(np.arange(7) < LENGTHS[:, None])[..., None]
    answers = []
    for i, k in enumerate((2, 4)):
        names = (f"convolutions.{i}.weight", f"convolutions.{i}.bias")
        y = F.conv1d(F.pad(x.mT, (0, k - 1)), *(w[n] for n in names)).relu()
        answers.append(torch.stack([r[:, :n].amax(1) for r, n in zip(y, LENGTHS, strict=True)]))
    theirs = F.linear(torch.cat(answers, 1), w["output.weight"], w["output.bias"])
    compare(model, w, model(bl.tensor(TOKENS), bl.tensor(LENGTHS)), theirs)


def test_top_p_keeps_what_sorted_probabilities_say() -> None:
    logits = torch.tensor(rng.normal(size=(40, 9)) * 2)
    for top_p in (0.3, 0.8, 0.95):
        ordered, order = logits.softmax(-1).sort(-1, descending=True)
        kept = ordered.cumsum(-1) - ordered < top_p
        wanted = torch.zeros_like(kept).scatter(1, order, kept).numpy()
        found = np.zeros_like(wanted)
        for seed in range(150):
            drawn = models.next_tokens(
                bl.tensor(logits.numpy()),
                top_p=top_p,
                temperature=1.0,
                generator=bl.Generator(seed),
            )
            found[np.arange(40), drawn.numpy()] = True
        assert not np.any(found & ~wanted)
        assert np.mean(found[wanted]) > 0.9
