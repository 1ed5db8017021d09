"""Networks for text and other sequences of tokens.

`tagging` names the class of each word, `classifying` of a whole text. `characters` and `gpt` go on
with a text, `translating` goes from one to another; `decoding` is the loop that they share.
`bert` says what each word means.
"""

from .bert import Bert, BertForMaskedLM, BertForSequenceClassification
from .characters import CharRNN
from .classifying import FastText, TextCNN
from .decoding import Generative, next_tokens
from .gpt import GPT2, gpt2, gpt2_large, gpt2_medium, gpt2_xl
from .tagging import BiLSTMCRF, BiLSTMTagger, WindowTagger
from .translating import Seq2Seq, TransformerSeq2Seq

__all__ = [
    "GPT2",
    "Bert",
    "BertForMaskedLM",
    "BertForSequenceClassification",
    "BiLSTMCRF",
    "BiLSTMTagger",
    "CharRNN",
    "FastText",
    "Generative",
    "Seq2Seq",
    "TextCNN",
    "TransformerSeq2Seq",
    "WindowTagger",
    "gpt2",
    "gpt2_large",
    "gpt2_medium",
    "gpt2_xl",
    "next_tokens",
]
