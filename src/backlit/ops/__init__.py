"""The ops: every function with its derivative, as mathematics, by topic. Nothing here knows Tensors."""
