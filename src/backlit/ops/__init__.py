"""The ops: every function with its derivative, by topic. Nothing here knows Tensors."""
