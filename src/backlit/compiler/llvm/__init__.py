"""LLVM IR, written and turned into machine code: values, scalar mathematics, the cache on disk."""
