"""Training: the Trainer, metrics, callbacks, checkpoints.

`trainer` is the loop. A `training` is what is trained and how far it is, a `run` one call of `fit`.
`step` is the compiled step, `portions` how many are taken at a time, `interrupt` is Ctrl-C.
`arguments` checks what a Trainer is given, and `display` shows how it goes.

A `checkpoint` file has all `parts` with state, in the format of `interop.storage`. `failure` is the
flight recorder and what a loss that is not finite brings about; `report` is the page about a run.
`metrics`, `callbacks`, `loggers`, `watching` and `history` are what a user adds.

What a batch is says `batch`, of arrays `arrays`; what is minimised of it `objective`, and how much
it counts `weighing`. `evaluation` applies the model, and `rates` looks for a learning rate.
"""

from ..calls import explain as _explain
from ..interop.storage import load_tensors, save_tensors
from .callbacks import Callback, Diagnose, EarlyStopping
from .checkpoint import load_checkpoint, save_checkpoint
from .failure.flight import Flight, Replay, load_flight
from .history import History
from .loggers import CSVLogger, JSONLogger, Logger, MLflow, TensorBoard, WeightsAndBiases
from .metrics import (
    AUROC,
    Accuracy,
    ConfusionMatrix,
    EntityF1,
    F1Score,
    Function,
    IoU,
    Mean,
    MeanAbsoluteError,
    Metric,
    Perplexity,
    R2Score,
    RootMeanSquaredError,
    TopK,
)
from .rates import RateRange
from .report import Report
from .trainer import Trainer
from .watching import Watch
from .weighing import class_weights

__all__ = [
    "AUROC",
    "Accuracy",
    "CSVLogger",
    "Callback",
    "ConfusionMatrix",
    "Diagnose",
    "EarlyStopping",
    "EntityF1",
    "F1Score",
    "Flight",
    "Function",
    "History",
    "IoU",
    "JSONLogger",
    "Logger",
    "MLflow",
    "Mean",
    "MeanAbsoluteError",
    "Metric",
    "Perplexity",
    "R2Score",
    "RateRange",
    "Replay",
    "Report",
    "RootMeanSquaredError",
    "TensorBoard",
    "TopK",
    "Trainer",
    "Watch",
    "WeightsAndBiases",
    "class_weights",
    "load_checkpoint",
    "load_flight",
    "load_tensors",
    "save_checkpoint",
    "save_tensors",
]

_explain(__name__, __all__)
