"""Files of GPT-2 and BERT under the names that others gave them."""

from __future__ import annotations

import numpy as np
import pytest

import backlit as bl
from backlit import models
from backlit.errors import ArgumentError, ShapeError

rng = np.random.default_rng(0)


def gpt(**options):
    bl.manual_seed(0)
    return models.GPT2(vocabulary=11, context=8, layers=2, heads=2, width=8, **options)


def bert(**options):
    bl.manual_seed(0)
    return models.Bert(vocabulary=13, context=8, layers=1, heads=2, width=8, **options)


def drawn(model):
    return {n: rng.normal(size=t.shape).astype("f4") for n, t in model.state_dict().items()}


def check(model, state) -> None:
    for name, t in model.state_dict().items():
        np.testing.assert_array_equal(t.numpy(), state[name], err_msg=name)


def test_gpt2_with_and_without_prefix_masks_and_head(tmp_path) -> None:
    source = drawn(gpt())
    source["lm_head.weight"] = source["wte.weight"]
    masks = {}
    for i in range(2):
        masks[f"h.{i}.attn.bias"] = np.tril(np.ones((1, 1, 8, 8), "f4"))
        masks[f"h.{i}.attn.masked_bias"] = np.float32(-1e4)
    for prefix in ("", "transformer."):
        for head in (True, False):
            file = {prefix + n: t for n, t in (source | masks).items() if n != "lm_head.weight"}
            if head:
                file["lm_head.weight"] = source["lm_head.weight"]
            bl.save_tensors(tmp_path / "model.safetensors", file)
            model = gpt()
            result = models.load_weights(model, tmp_path)
            check(model, source)
            assert not result.missing
            assert sorted(result.dropped) == sorted(prefix + n for n in masks)
            assert model.lm_head.weight is model.wte.weight


def test_gpt2_untied_wants_its_own_head() -> None:
    state = {n: t for n, t in drawn(gpt(tied=False)).items() if n != "lm_head.weight"}
    with pytest.raises(ArgumentError, match=r"missing: lm_head.weight; unexpected: none; nothing"):
        models.load_weights(gpt(tied=False), state)
    assert models.load_weights(gpt(tied=False), state, strict=False).missing == ["lm_head.weight"]


def test_gpt2_of_another_size_is_not_loaded_by_half() -> None:
    state, model = drawn(gpt()), gpt()
    state["lm_head.weight"] = state["wte.weight"]
    state["h.1.mlp.c_fc.weight"] = state["h.1.mlp.c_fc.weight"].T
    before = {n: t.numpy().copy() for n, t in model.state_dict().items()}
    with pytest.raises(ShapeError, match=r"h.1.mlp.c_fc.weight must be float32\[8,32\], got shape"):
        models.load_weights(model, state)
    check(model, before)


def old(name: str) -> str:
    """A name as files of the first years have it."""
    return name.replace("LayerNorm.weight", "LayerNorm.gamma").replace(
        "LayerNorm.bias", "LayerNorm.beta"
    )


@pytest.mark.parametrize("spelling", [str, old], ids=["new", "old"])
@pytest.mark.parametrize("prefix", ["", "bert."])
def test_bert_from_a_file_of_pretraining(spelling, prefix) -> None:
    encoder = drawn(bert())
    heads = drawn(models.BertForMaskedLM(bert(pooled=False)))
    heads = {n: t for n, t in heads.items() if n.startswith("cls.")}
    heads["cls.predictions.decoder.weight"] = encoder["embeddings.word_embeddings.weight"]
    heads["cls.predictions.decoder.bias"] = heads["cls.predictions.bias"]
    others = {
        prefix + "embeddings.position_ids": np.arange(8)[None],
        "cls.seq_relationship.weight": np.zeros((2, 8), "f4"),
        "cls.seq_relationship.bias": np.zeros(2, "f4"),
    }
    file = {prefix + n: t for n, t in encoder.items()} | heads | others
    file = {spelling(n): t for n, t in file.items()}

    plain = bert()
    assert not models.load_weights(plain, file).missing
    check(plain, encoder)

    masked = models.BertForMaskedLM(bert(pooled=False))
    result = models.load_weights(masked, file)
    check(masked, heads | {f"bert.{n}": t for n, t in encoder.items()})
    assert {*others, f"{prefix}pooler.dense.bias"} <= set(result.dropped)

    classes = models.BertForSequenceClassification(3, bert())
    with pytest.raises(ArgumentError, match=r"missing: classifier.weight, classifier.bias; unexp"):
        models.load_weights(classes, file)
    result = models.load_weights(classes, file, strict=False)
    assert result.missing == ["classifier.weight", "classifier.bias"]
    assert not result.unexpected
    check(classes.bert, encoder)


def test_a_new_head_for_other_classes() -> None:
    model = models.BertForSequenceClassification(2, bert())
    models.load_weights(model, drawn(model))
    models.replace_head(model, 5)
    assert model(bl.tensor([[1, 2]])).shape == (1, 5)
