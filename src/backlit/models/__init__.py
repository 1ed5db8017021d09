"""Networks to train, compare and learn from, in the shapes of the benchmarks."""

from .convolutional import AlexNet, LeNet, ResNet18
from .perceptrons import mlp, playground, two_layer
from .sequence import GPT, CharLSTM, WindowTagger

__all__ = [
    "GPT",
    "AlexNet",
    "CharLSTM",
    "LeNet",
    "ResNet18",
    "WindowTagger",
    "mlp",
    "playground",
    "two_layer",
]
