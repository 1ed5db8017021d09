"""Where the numbers of a run are written: files of text, TensorBoard's files, services.

`base` says what is logged and when, `text` writes CSV and JSON lines, `tensorboard` event files of
`events` in records of `records`, and `services` hands the numbers to Weights & Biases or MLflow.
"""

from .base import Logger
from .services import MLflow, WeightsAndBiases
from .tensorboard import TensorBoard
from .text import CSVLogger, JSONLogger

__all__ = ["CSVLogger", "JSONLogger", "Logger", "MLflow", "TensorBoard", "WeightsAndBiases"]
