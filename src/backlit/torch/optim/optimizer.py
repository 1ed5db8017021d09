"""`torch.optim.optimizer`: the base of all optimizers."""

from ...optim.optimizer import Optimizer
