"""`torch.optim.optimizer`: the base of all optimizers."""
