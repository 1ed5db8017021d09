"""The things of others: files in their formats, and libraries that work on Tensors.

`train.storage` and `torch.serialization` read PyTorch's files by `pytorch`, which reads pickles by
`pickled`; the package calls `einops.await_einops` when it is imported.
"""
