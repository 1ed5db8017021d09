"""`torch.utils.checkpoint`: parts of a network whose values are computed again for the gradient."""

from ...nn.utils.checkpoint import checkpoint, checkpoint_sequential

__all__ = ["checkpoint", "checkpoint_sequential"]
