"""Optimizers, learning-rate schedules (`lr_scheduler`) and gradient clipping.

`optimizer` is what all rules share, with `group` (parameters and their settings) and `eager_step`;
a `twin` tries a step beside the training.
The rules, each a formula, stand in

    rules           SGD, Adam, AdamW, RMSprop, Adagrad, Adadelta
    adam_variants   Adamax, NAdam, RAdam, Lion
    classic         Rprop, ASGD
    layerwise       LARS, LAMB, Adafactor, Muon
    lbfgs           LBFGS, with its `line_search`

`swa_utils` averages parameters. A new rule is a subclass of `Optimizer` with `update`.
"""

import typing as _typing

from ..calls import explain as _explain
from ..nn.utils.clip_grad import clip_grad_norm_, clip_grad_value_
from . import lr_scheduler, swa_utils
from .adam_variants import Adamax, Lion, NAdam, RAdam
from .classic import ASGD, Rprop
from .layerwise import LAMB, LARS, Adafactor, Muon
from .lbfgs import LBFGS
from .optimizer import Optimizer
from .rules import SGD, Adadelta, Adagrad, Adam, AdamW, RMSprop

__all__ = [
    "ASGD",
    "LAMB",
    "LARS",
    "LBFGS",
    "SGD",
    "Adadelta",
    "Adafactor",
    "Adagrad",
    "Adam",
    "AdamW",
    "Adamax",
    "Lion",
    "Muon",
    "NAdam",
    "Optimizer",
    "RAdam",
    "RMSprop",
    "Rprop",
    "clip_grad_norm_",
    "clip_grad_value_",
    "lr_scheduler",
    "swa_utils",
]

_explain(__name__, __all__)

if not _typing.TYPE_CHECKING:
    from ..spelling import optimizer as __getattr__
