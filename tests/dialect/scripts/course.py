"""What the scripts share: weights and noise from NumPy, so that no library's generator matters."""

import numpy as np
import torch

rng = np.random.RandomState(0)


def randn(*shape):
    return torch.from_numpy(rng.randn(*shape).astype(np.float32))


def rand(*shape):
    return torch.from_numpy(rng.rand(*shape).astype(np.float32))


def randint(low, high, shape):
    return torch.from_numpy(rng.randint(low, high, shape).astype(np.int64))


def set_weights(model, seed=1):
    numbers = np.random.RandomState(seed)
    with torch.no_grad():
        for name, p in model.named_parameters():
            if p.dim() > 1:
                fan_in = int(np.prod(p.shape[1:]))
                values = numbers.randn(*p.shape) / np.sqrt(fan_in)
            elif "weight" in name:
                values = np.ones(p.shape)
            else:
                values = 0.1 * numbers.randn(*p.shape)
            p.copy_(torch.tensor(values, dtype=p.dtype))
    return model
