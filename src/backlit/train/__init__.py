"""Training: the Trainer, metrics, callbacks, checkpoints."""

from .callbacks import Callback, Diagnose, EarlyStopping
from .checkpoint import load_checkpoint, save_checkpoint
from .failure.flight import Flight, Replay, load_flight
from .metrics import Accuracy, ConfusionMatrix, Mean, Metric, TopK
from .report import Report
from .storage import load_tensors, save_tensors
from .trainer import Trainer
from .watching import Watch

__all__ = [
    "Accuracy",
    "Callback",
    "ConfusionMatrix",
    "Diagnose",
    "EarlyStopping",
    "Flight",
    "Mean",
    "Metric",
    "Replay",
    "Report",
    "TopK",
    "Trainer",
    "Watch",
    "load_checkpoint",
    "load_flight",
    "load_tensors",
    "save_checkpoint",
    "save_tensors",
]
