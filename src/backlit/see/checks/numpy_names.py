"""What are NumPy's functions called in a text, and which of them is written for which by mistake?

All are words that a user's backward is written in, looked for and put there as text.
"""

from __future__ import annotations

#: What NumPy and its like are usually imported as, and what its functions are taken from.
MODULES = ("np", "numpy", "xp", "math", "cp", "jnp", "torch", "F")
#: Those that fold axes away, of which one is taken for the other.
FOLDS = ("sum", "mean")
#: Those whose first argument after the array is an axis, and which count before it.
WITH_AXIS = {
    "sum": 0, "mean": 0, "max": 0, "min": 0, "flip": 0, "softmax": 0, "cumsum": 0, "repeat": 1,
}  # fmt: skip
#: Those whose two arguments mean another thing in the other order.
ORDERED = ("dot", "matmul", "outer", "subtract", "divide")
#: Those that join the arrays of a list.
JOINING = ("concatenate", "hstack", "vstack", "stack")
#: Those that are told an order of axes, or lengths.
REARRANGING = ("transpose", "reshape", "swapaxes", "moveaxis", "permute_dims")
#: Those of one number that a factor may lack.
OF_A_NUMBER = ("exp", "sign", "log", "sqrt", "tanh", "cos", "sin")
#: What is written by mistake, and what belonged there.
MISTAKEN = {
    "sum": ("mean", "cumsum"),
    "mean": ("sum",),
    "max": ("min", "sum"),
    "min": ("max",),
    "zeros_like": ("ones_like",),
    "ones_like": ("zeros_like",),
    "zeros": ("ones",),
    "ones": ("zeros",),
    "tile": ("repeat",),
    "repeat": ("tile",),
    "sin": ("cos",),
    "cos": ("sin",),
    "maximum": ("minimum",),
    "minimum": ("maximum",),
    "floor": ("ceil",),
    "tanh": ("cosh",),
    "sinh": ("cosh",),
    "cosh": ("sinh",),
    "exp": ("log", "expm1"),
    "log": ("exp", "log1p"),
    "tril": ("triu",),
    "triu": ("tril",),
    "argmax": ("argmin",),
    "argmin": ("argmax",),
    "std": ("var",),
    "var": ("std",),
    "outer": ("dot", "multiply"),
    "multiply": ("dot", "divide"),
    "dot": ("multiply", "outer"),
    "add": ("subtract",),
    "subtract": ("add",),
    "sign": ("abs",),
    "abs": ("sign",),
}
