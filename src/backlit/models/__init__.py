"""Networks to train, compare and learn from, in the shapes of the benchmarks."""

from .convolutional import AlexNet, LeNet, ResNet18
from .perceptrons import mlp, playground, two_layer
from .sequence import GPT, CharLSTM
from .tagging import BiLSTMCRF, BiLSTMTagger, WindowTagger

__all__ = [
    "GPT",
    "AlexNet",
    "BiLSTMCRF",
    "BiLSTMTagger",
    "CharLSTM",
    "LeNet",
    "ResNet18",
    "WindowTagger",
    "mlp",
    "playground",
    "two_layer",
]
