"""Optimizers and learning-rate schedules."""

from .optimizer import Optimizer
from .rules import Adam

__all__ = ["Adam", "Optimizer"]
