"""BERT with the names of its published files: what each word means in its sentence."""

from __future__ import annotations

from typing import Any, ClassVar

from ... import nn
from ...array_api import any, arange, not_equal, permute_dims, reshape, zeros_like
from ...dtypes import INTEGER, bool_
from ...errors import ArgumentError, DTypeError, ShapeError
from ...nn.functional import scaled_dot_product_attention
from ...op import Requirement, describe
from ...state import STATE
from ...tensor import Tensor, as_tensor
from ..catalogue import network

_EPSILON = 1e-12  # of all normalisations


class BertEmbeddings(nn.Module):
    """The sum of a word's, its place's and its segment's vector, normalised."""

    def __init__(self, vocabulary: int, context: int, segments: int, width: int, dropout: float):
        super().__init__()
        self.word_embeddings = nn.Embedding(vocabulary, width, padding_idx=0)
        self.position_embeddings = nn.Embedding(context, width)
        self.token_type_embeddings = nn.Embedding(segments, width)
        self.LayerNorm = nn.LayerNorm(width, _EPSILON)
        self.dropout = nn.Dropout(dropout)

    def forward(self, tokens: Tensor, segments: Tensor) -> Tensor:
        """(N, T), (N, T) -> (N, T, width)."""
        y = self.word_embeddings(tokens) + self.token_type_embeddings(segments)
        y = y + self.position_embeddings(arange(tokens.shape[1]))
        return self.dropout(self.LayerNorm(y))


class BertSelfAttention(nn.Module):
    """Several heads of attention, each word to all words of its row."""

    def __init__(self, width: int, heads: int, dropout: float):
        super().__init__()
        self.heads = heads
        self.dropout = dropout
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(width, width)
        self.value = nn.Linear(width, width)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """(N, T, width) -> (N, T, width)."""
        n, t, width = x.shape
        q, k, v = (self._heads(part(x)) for part in (self.query, self.key, self.value))
        y = scaled_dot_product_attention(q, k, v, mask, self.dropout if self.training else 0.0)
        return reshape(permute_dims(y, (0, 2, 1, 3)), (n, t, width))

    def _heads(self, x: Tensor) -> Tensor:
        n, t, width = x.shape
        split = reshape(x, (n, t, self.heads, width // self.heads))
        return permute_dims(split, (0, 2, 1, 3))


class BertOutput(nn.Module):
    """y = norm(x + dropout(W h + b)): how each half of a layer ends."""

    def __init__(self, inputs: int, width: int, dropout: float):
        super().__init__()
        self.dense = nn.Linear(inputs, width)
        self.LayerNorm = nn.LayerNorm(width, _EPSILON)
        self.dropout = nn.Dropout(dropout)

    def forward(self, h: Tensor, x: Tensor) -> Tensor:
        """(N, T, inputs), (N, T, width) -> (N, T, width)."""
        return self.LayerNorm(x + self.dropout(self.dense(h)))


class BertAttention(nn.Module):
    """The first half of a layer."""

    def __init__(self, width: int, heads: int, dropout: float):
        super().__init__()
        self.self = BertSelfAttention(width, heads, dropout)
        self.output = BertOutput(width, width, dropout)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """(N, T, width) -> (N, T, width)."""
        return self.output(self.self(x, mask), x)


class BertIntermediate(nn.Module):
    """A linear map and GELU."""

    def __init__(self, width: int, hidden: int):
        super().__init__()
        self.dense = nn.Linear(width, hidden)
        self.intermediate_act_fn = nn.GELU()

    def forward(self, x: Tensor) -> Tensor:
        """(N, T, width) -> (N, T, hidden)."""
        return self.intermediate_act_fn(self.dense(x))


class BertLayer(nn.Module):
    """Attention and a two-layer perceptron, each added to its input and then normalised."""

    def __init__(self, width: int, heads: int, hidden: int, dropout: float):
        super().__init__()
        self.attention = BertAttention(width, heads, dropout)
        self.intermediate = BertIntermediate(width, hidden)
        self.output = BertOutput(hidden, width, dropout)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """(N, T, width) -> (N, T, width)."""
        y = self.attention(x, mask)
        return self.output(self.intermediate(y), y)


class BertEncoder(nn.Module):
    """The layers, one after another."""

    def __init__(self, layers: int, width: int, heads: int, hidden: int, dropout: float):
        super().__init__()
        self.layer = nn.ModuleList(BertLayer(width, heads, hidden, dropout) for _ in range(layers))

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """(N, T, width) -> (N, T, width)."""
        for layer in self.layer:
            x = layer(x, mask)
        return x


class BertPooler(nn.Module):
    """tanh(W h + b) of the first word's vector, which stands for the whole row."""

    def __init__(self, width: int):
        super().__init__()
        self.dense = nn.Linear(width, width)
        self.activation = nn.Tanh()

    def forward(self, x: Tensor) -> Tensor:
        """(N, T, width) -> (N, width)."""
        return self.activation(self.dense(x[:, 0]))


@network(input=(128,), dtype="int64", parameters=109_482_240, multiply_adds=11_174_215_680)
class Bert(nn.Module):
    """A transformer encoder over words that see each other in both directions.

        tokens: (N, T), mask: (N, T), segments: (N, T) -> (N, T, width) and the pooled (N, width)

    `mask` is True (or 1) for words and False (or 0) for padding, at least one word in each row;
    `segments` say to which of two texts a word belongs, all to the first if left out. Normalisation
    comes last in each half of a layer, GELU is exact; sizes left out are those of BERT-base. Files
    of BERT load by name, whatever heads they have. Without `pooled` there is no pooler, and None
    instead of its result.
    Source: Devlin et al., NAACL 2019, sec. 3.

    >>> from backlit import tensor, zeros
    >>> model = Bert(vocabulary=100, context=16, layers=1, heads=2, width=8)
    >>> words, pooled = model(zeros((2, 5), dtype="int64"))
    >>> words.shape, pooled.shape
    ((2, 5, 8), (2, 8))
    """

    #: Names in files and what they are here: a pattern and its replacement, None for no weights.
    known_names: ClassVar = (
        (r"embeddings\.position_ids$", None),
        (r"^(cls|classifier|qa_outputs)\..*$", None),
        (r"^bert\.", ""),
        (r"^(?:bert\.)?(.*)LayerNorm\.gamma$", r"\1LayerNorm.weight"),
        (r"^(?:bert\.)?(.*)LayerNorm\.beta$", r"\1LayerNorm.bias"),
    )

    def __init__(
        self,
        vocabulary: int = 30_522,
        context: int = 512,
        layers: int = 12,
        heads: int = 12,
        width: int = 768,
        hidden: int | None = None,
        segments: int = 2,
        dropout: float = 0.1,
        pooled: bool = True,
    ):
        super().__init__()
        if width % heads:
            raise ArgumentError(f"Bert: width must be a multiple of heads, got {width} and {heads}")
        self.context = context
        hidden = 4 * width if hidden is None else hidden
        self.embeddings = BertEmbeddings(vocabulary, context, segments, width, dropout)
        self.encoder = BertEncoder(layers, width, heads, hidden, dropout)
        self.pooler = BertPooler(width) if pooled else None
        _start(self)

    def forward(
        self, tokens: Tensor, mask: Any = None, segments: Any = None
    ) -> tuple[Tensor, Tensor | None]:
        """The vectors of all words, and the pooled ones."""
        tokens = as_tensor(tokens)
        if tokens.ndim != 2 or not 0 < tokens.shape[1] <= self.context:
            raise ShapeError(
                f"Bert: tokens must be (N, T) with T from 1 to context={self.context}, got "
                f"{describe(tokens)}; cut longer texts"
            )
        segments = zeros_like(tokens) if segments is None else as_tensor(segments)
        if segments.shape != tokens.shape:
            raise ShapeError(
                f"Bert: segments must have the shape of tokens, {tokens.shape}, got "
                f"{describe(segments)}"
            )
        words = self.encoder(self.embeddings(tokens, segments), _read_mask(mask, tokens))
        return words, None if self.pooler is None else self.pooler(words)


def _read_mask(mask: Any, tokens: Tensor) -> Tensor | None:
    """Which words may be seen, (N, 1, 1, T)."""
    if mask is None:
        return None
    mask = as_tensor(mask)
    if mask.dtype in INTEGER:
        mask = not_equal(mask, 0)
    if mask.dtype != bool_:
        raise DTypeError(f"Bert: mask must be truth values or 0 and 1, got {describe(mask)}")
    if mask.shape != tokens.shape:
        raise ShapeError(
            f"Bert: mask must have the shape of tokens, {tokens.shape}, got {describe(mask)}"
        )
    some = any(mask, axis=1)
    STATE.execution.require("Bert", _has_words, (some,))
    return reshape(mask, (mask.shape[0], 1, 1, mask.shape[1]))


def _has_words(xp: Any, some: Any) -> tuple[Requirement, ...]:
    must = "each row of the mask must have a word"
    return (Requirement(some, some, ArgumentError, must, "leave rows of padding out"),)


def _start(model: nn.Module) -> None:
    """Starting values: normal with deviation 0.02, biases 0."""
    for m in model.modules():
        if isinstance(m, nn.Linear | nn.Embedding):
            nn.init.normal_(m.weight, std=0.02)
        if isinstance(m, nn.Linear) and m.bias is not None:
            nn.init.zeros_(m.bias)
        if isinstance(m, nn.Embedding) and m.padding_idx is not None:
            rows = m.weight.numpy().copy()
            rows[m.padding_idx] = 0
            m.weight.assign(rows)


#: For a network with heads on top of `bert`: names of files with and without it, old and new.
_WITH_HEADS = (
    (r"embeddings\.position_ids$", None),
    (r"LayerNorm\.gamma$", "LayerNorm.weight"),
    (r"LayerNorm\.beta$", "LayerNorm.bias"),
    (r"^", "bert."),
    (r"^(.*)LayerNorm\.gamma$", r"bert.\1LayerNorm.weight"),
    (r"^(.*)LayerNorm\.beta$", r"bert.\1LayerNorm.bias"),
)


class BertTransform(nn.Module):
    """A linear map, GELU and normalisation."""

    def __init__(self, width: int):
        super().__init__()
        self.dense = nn.Linear(width, width)
        self.transform_act_fn = nn.GELU()
        self.LayerNorm = nn.LayerNorm(width, _EPSILON)

    def forward(self, x: Tensor) -> Tensor:
        """(N, T, width) -> (N, T, width)."""
        return self.LayerNorm(self.transform_act_fn(self.dense(x)))


class BertPrediction(nn.Module):
    """Logits of words: a transformed vector times the table of words, and a bias."""

    def __init__(self, width: int, table: nn.Parameter):
        super().__init__()
        self.transform = BertTransform(width)
        self.decoder = nn.Linear(width, table.shape[0])
        _start(self)
        self.decoder.weight = table
        self.bias = self.decoder.bias  # it has both names in files

    def forward(self, x: Tensor) -> Tensor:
        """(N, T, width) -> (N, T, vocabulary)."""
        return self.decoder(self.transform(x))


class BertHeads(nn.Module):
    """What was learned in pretraining: which words were masked."""

    def __init__(self, width: int, table: nn.Parameter):
        super().__init__()
        self.predictions = BertPrediction(width, table)

    def forward(self, x: Tensor) -> Tensor:
        """(N, T, width) -> (N, T, vocabulary)."""
        return self.predictions(x)


class BertForMaskedLM(nn.Module):
    """Names the words that were masked: `Bert` without a pooler, and logits of words.

        tokens: (N, T), mask, segments -> (N, T, vocabulary)

    The table of words is also the matrix of the output layer. Of a file the pooler and the head for
    pairs of sentences are passed over.

    >>> model = BertForMaskedLM(Bert(100, 16, 1, 2, 8, pooled=False))
    >>> model(as_tensor([[1, 2, 3]])).shape
    (1, 3, 100)
    """

    known_names: ClassVar = (
        (r"^cls\.seq_relationship\.|^(bert\.)?pooler\.", None),
        *_WITH_HEADS,
    )

    def __init__(self, bert: Bert | None = None):
        super().__init__()
        self.bert = Bert(pooled=False) if bert is None else bert
        table = self.bert.embeddings.word_embeddings.weight
        self.cls = BertHeads(table.shape[1], table)

    def forward(self, tokens: Tensor, mask: Any = None, segments: Any = None) -> Tensor:
        """(N, T) -> logits (N, T, vocabulary)."""
        words, _ = self.bert(tokens, mask, segments)
        return self.cls(words)


class BertForSequenceClassification(nn.Module):
    """Names the class of a text, or of a pair of texts: `Bert`, dropout, a linear layer.

        tokens: (N, T), mask, segments -> (N, classes)

    Of a file from pretraining everything is taken but its heads; `classifier` is then missing, and
    `load_weights(model, file, strict=False)` says so.

    >>> model = BertForSequenceClassification(3, Bert(100, 16, 1, 2, 8))
    >>> model(as_tensor([[1, 2, 3]])).shape
    (1, 3)
    """

    known_names: ClassVar = ((r"^cls\.", None), *_WITH_HEADS)
    last_layers: ClassVar = ("classifier",)

    def __init__(self, num_classes: int = 2, bert: Bert | None = None, dropout: float = 0.1):
        super().__init__()
        self.bert = Bert() if bert is None else bert
        if self.bert.pooler is None:
            raise ArgumentError(
                "BertForSequenceClassification: bert must have a pooler; make it with pooled=True"
            )
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(self.bert.pooler.dense.in_features, num_classes)
        _start(self.classifier)

    def forward(self, tokens: Tensor, mask: Any = None, segments: Any = None) -> Tensor:
        """(N, T) -> logits (N, classes)."""
        _, pooled = self.bert(tokens, mask, segments)
        return self.classifier(self.dropout(pooled))
