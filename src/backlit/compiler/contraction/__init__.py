"""Affine contractions as native code: matrix products, convolutions and everything between.

    out[b, m, n] = epilogue( Σ_k  A[b, m, k] · B[b, k, n] )

    spec = matmul(dtype, m, n, k, transpose_b=True)      or any `Contraction`
    kernel = build("name", spec, epilogue)               kernel.code is the text of its function

How a kernel runs: blocks for the caches, tiles for the registers, as Goto & van de Geijn, "Anatomy
of high-performance matrix multiplication", ACM Trans. Math. Softw. 34 (2008), art. 12, have it.

    for each step, a block of the batch, of m, of n and of k (k first):           `frame`
        phase: pack, where the operands do not lie right as they are              `packing`
            A and B in panels side by side in scratch memory,                     `pack`
            or A, if it has windows, with the zeros around it                     `pad`
        phase: compute                                                            `macrokernel`
            for each tile of the output, rows × (vectors · lanes):
                accumulators in registers = 0                                     `microkernel`
                for each k of the block:
                    accumulators[r, v] += A[r, k] in all lanes · B[k, v], a vector
                turn the tile, if columns lie together in the output; add what    `tile`
                earlier blocks of k left; epilogue; store

    a panel of A     a₀₀ a₁₀ a₂₀ … | a₀₁ a₁₁ a₂₁ … | …     for each k the rows of one tile
    a panel of B     b₀₀ b₀₁ b₀₂ … | b₁₀ b₁₁ b₁₂ … | …     for each k the columns of one tile

`schedule` decides on blocks and packing, with the tiles that `shapes` takes from `cuts` by the
estimates of `costs`; `layout` is what follows before any code is written. `taps` leaves out
products with padding, `pairs` takes two bfloat16 at a time. `addresses` and `lanes` are what the
writers have in common.

The function is `void name(ptr buffers, i64 phase, i64 part, i64 parts, ptr scratch)`. `buffers` is
an array of pointers in the order a, b, outputs, extras (each to the start of its buffer: offsets
are in the specification). For each phase from 0 to `kernel.phases` - 1, call it once with each part
from 0 to parts - 1, in any order or at once; a barrier stands between two phases. Tiles and panels
are divided among the parts. `scratch` points to `kernel.scratch` bytes aligned to 64 that the parts
share; nothing in it is kept between calls. Results are bitwise equal for every number of parts.

An element-wise consumer of the sums is fused as an `Epilogue`, which writes vector code into the
kernel. Equal (specification, epilogue key, machine) give equal code up to the name, so those three
are the key to share kernels by. Every address is proved to lie inside its buffer when a
specification is made; one that could leave it raises `ShapeError`.
"""

from .conv import ConvolutionGeometry
from .interface import PLAIN, Epilogue, Kernel
from .kernel import build
from .schedule import Schedule, choose
from .spec import Contraction, Operand, Window, matmul
from .target import Machine

__all__ = [
    "PLAIN",
    "Contraction",
    "ConvolutionGeometry",
    "Epilogue",
    "Kernel",
    "Machine",
    "Operand",
    "Schedule",
    "Window",
    "build",
    "choose",
    "matmul",
]
