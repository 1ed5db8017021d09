"""Training: files of Tensors."""

from .storage import load_tensors, save_tensors

__all__ = ["load_tensors", "save_tensors"]
