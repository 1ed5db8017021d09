"""Affine contractions as native code: matrix products, convolutions and everything between.

    spec = matmul(dtype, m, n, k, transpose_b=True)      or any `Contraction`
    kernel = build("name", spec, epilogue)               kernel.code is the text of its function

The function is `void name(ptr buffers, i64 phase, i64 part, i64 parts, ptr scratch)`. `buffers` is
an array of pointers in the order a, b, outputs, extras (each to the start of its buffer: offsets
are in the specification). For each phase from 0 to `kernel.phases` - 1, call it once with each part
from 0 to parts - 1, in any order or at once; a barrier stands between two phases. `scratch` points
to `kernel.scratch` bytes aligned to 64 that the parts share; nothing in it is kept between calls.
Results are bitwise equal for every number of parts.

An element-wise consumer of the sums is fused as an `Epilogue`, which writes vector code into the
kernel.

Equal (specification, epilogue key, machine) give equal code up to the name, so those three are the
key to share kernels by. Every address is proved to lie inside its buffer when a specification is
made; one that could leave it raises `ShapeError`.
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
