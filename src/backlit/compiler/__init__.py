"""From Python functions to graphs, and from graphs to results.

    step = compile(f); step(x)         which graph belongs to these arguments          `api`
        first call of a kind:
        run f on abstract Tensors: equations, and what they depend on  `capture.trace`
            what of Python's state f may read, guarded                 `capture.environment`
        write the graph in what native code knows                      `lower.legalize`
        drop, share and simplify equations                             `lower.passes`
        choose what lives in memory, and which loops make it           `lower.lower`
            the kind of each kernel                                    `lower.kinds`
        let contractions do the maps over their sums                   `loops.fusion`
        choose what is overwritten; place the buffers                  `plan.memory`
        write all kernels, and a driver that calls them in order       `plan.program`
            a loop nest, or a product with blocks and tiles            `loops`, `contraction`
            machine code of the text                                   `llvm.machine`
        every call:
        look whether what was guarded is still so                      `capture.guards`
        put the arrays' addresses into a table; run; hand out results  `plan.plan`
            on all threads, with a barrier between kernels             `plan.threads`

`Plan.__init__` is this sequence as code. The interpreter (`capture.interpreter`) runs the captured
graph itself, equation by equation with NumPy: it says what is right. Heavy ops outside a captured
function are captured one at a time and take the same way (`eager`).
"""

from .api import CompiledFunction, compile, interpreter, native
from .capture.evaluate import interpret
from .capture.graph import Equation, Graph, Variable
from .eager import (
    get_native_ops,
    native_ops_cache_clear,
    native_ops_cache_info,
    set_native_ops,
)
from .plan.threads import get_threads, set_threads

__all__ = [
    "CompiledFunction",
    "Equation",
    "Graph",
    "Variable",
    "compile",
    "get_native_ops",
    "get_threads",
    "interpret",
    "interpreter",
    "native",
    "native_ops_cache_clear",
    "native_ops_cache_info",
    "set_native_ops",
    "set_threads",
]
