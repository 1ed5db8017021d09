"""The loop nests of kernels: maps, reductions, pooling, sorting, and the maps of contractions."""
