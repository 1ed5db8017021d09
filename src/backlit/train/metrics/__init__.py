"""Metrics: `base` is what all have in common, and functions as metrics.

`labels` counts classes (accuracy, confusions, F1, IoU), `numbers` measures distances (MAE, RMSE,
R²), `scores` judges how sure a network is (AUC, perplexity), `entities` finds them in sentences.
"""

from .base import Function, Mean, Metric
from .entities import EntityF1
from .labels import Accuracy, ConfusionMatrix, F1Score, IoU, TopK
from .numbers import MeanAbsoluteError, R2Score, RootMeanSquaredError
from .scores import AUROC, Perplexity

__all__ = [
    "AUROC",
    "Accuracy",
    "ConfusionMatrix",
    "EntityF1",
    "F1Score",
    "Function",
    "IoU",
    "Mean",
    "MeanAbsoluteError",
    "Metric",
    "Perplexity",
    "R2Score",
    "RootMeanSquaredError",
    "TopK",
]
