"""The loop nests of kernels: element-wise, reductions, pooling, sorting, epilogues."""
