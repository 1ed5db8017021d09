"""The things of others: files in their formats, and libraries that work on Tensors.

`storage` is files of Tensors; it and `torch.serialization` read PyTorch's by `pytorch`, which reads
pickles by `pickled`; the package calls `einops.await_einops` when it is imported.
"""
