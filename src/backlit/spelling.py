"""What to use here for names that NumPy or PyTorch have and Backlit spells otherwise."""

from __future__ import annotations

from typing import NoReturn

from .errors import SpellingError

_COMPLEX = "nothing for it, because there are no complex numbers: compute with their two parts"
_IN_PLACE = "x += y and the other operators, x[key] = value, or x.assign(value)"

#: Methods of NumPy's arrays and PyTorch's Tensors.
_METHODS = {
    "as_strided": "x.unfold(dim, size, step), or x[...]",
    "concatenate": "backlit.concat(tensors, axis=0)",
    "copy": "x.clone()",
    "fill": "x.fill_(value)",
    "imag": "nothing for it, because there are no complex numbers",
    "real": "x itself, because there are no complex numbers",
    "resize": "x.reshape(shape)",
    "storage": "x.numpy(), which shares memory",
    "untyped_storage": "x.numpy(), which shares memory",
    "volatile": "backlit.no_grad()",
}

#: Functions of the two.
_FUNCTIONS = {
    "absolute": "backlit.abs(x)",
    "arccos": "backlit.acos(x)",
    "arcsin": "backlit.asin(x)",
    "arctan": "backlit.atan(x)",
    "arctan2": "backlit.atan2(y, x)",
    "array": "backlit.tensor(data)",
    "as_tensor": "backlit.asarray(data)",
    "cat": "backlit.concat(tensors, axis=0)",
    "cholesky": "backlit.linalg.cholesky(x)",
    "clamp": "backlit.clip(x, low, high)",
    "clone": "x.clone()",
    "complex": _COMPLEX,
    "complex128": _COMPLEX,
    "complex64": _COMPLEX,
    "concatenate": "backlit.concat(tensors, axis=0)",
    "copy": "x.clone()",
    "cuda": "nothing for it, because Backlit computes on the CPU",
    "cumprod": "backlit.cumulative_prod(x, axis=0)",
    "cumsum": "backlit.cumulative_sum(x, axis=0)",
    "det": "backlit.linalg.det(x)",
    "device": 'the text "cpu"',
    "div": "x / y",
    "double": "backlit.float64",
    "eq": "x == y",
    "expand": "backlit.broadcast_to(x, shape)",
    "fft": _COMPLEX,
    "float": "backlit.float32",
    "from_numpy": "backlit.asarray(array)",
    "gather": "backlit.take_along_axis(x, indices, axis=axis)",
    "ge": "x >= y",
    "gt": "x > y",
    "half": "backlit.float16",
    "int": "backlit.int32",
    "inverse": "backlit.linalg.inv(x)",
    "le": "x <= y",
    "load": "backlit.load_tensors(path), or train.load_checkpoint(path)",
    "log_softmax": "backlit.nn.functional.log_softmax(x, dim=axis)",
    "long": "backlit.int64",
    "lt": "x < y",
    "mul": "x * y",
    "ne": "x != y",
    "neg": "-x",
    "norm": "backlit.linalg.norm(x)",
    "permute": "backlit.permute_dims(x, axes)",
    "pinverse": "backlit.linalg.pinv(x)",
    "power": "backlit.pow(x, y)",
    "qr": "backlit.linalg.qr(x)",
    "rand": "backlit.random.uniform(shape)",
    "randint": "backlit.random.integers(low, high, shape)",
    "randn": "backlit.random.normal(shape)",
    "randperm": "backlit.random.permutation(n)",
    "ravel": "x.flatten()",
    "relu": "backlit.nn.functional.relu(x)",
    "save": "backlit.save_tensors(path, tensors), or train.save_checkpoint(path, state)",
    "slogdet": "backlit.linalg.slogdet(x)",
    "softmax": "backlit.nn.functional.softmax(x, dim=axis)",
    "sub": "x - y",
    "svd": "backlit.linalg.svd(x)",
    "transpose": "backlit.permute_dims(x, axes), or x.mT",
    "unsqueeze": "backlit.expand_dims(x, axis=axis)",
}


#: Of the module of layers.
_LAYERS = {
    "SyncBatchNorm": "nn.BatchNorm1d or nn.BatchNorm2d, because there is one device",
}

#: Of linear algebra.
_LINEAR_ALGEBRA = {
    "eig": "linalg.eigh of a symmetric matrix, because others have complex eigenvalues",
    "eigvals": "linalg.eigvalsh of a symmetric matrix, because others have complex eigenvalues",
    "inverse": "linalg.inv(x)",
}


#: Of the module of optimizers.
_OPTIMIZERS = {
    "SparseAdam": "optim.Adam, because every gradient is dense (which PyTorch's refuses)",
}


#: The names of the functions that the package has, which `array_api` puts here.
FUNCTIONS: set[str] = set()


def method(name: str) -> None:
    """Raise for the name of a method that is spelled otherwise, else return.

    >>> method("fill")
    Traceback (most recent call last):
        ...
    backlit.errors.SpellingError: Tensor.fill: no such name; use x.fill_(value)
    """
    cure = _METHODS.get(name) or _FUNCTIONS.get(name)
    if cure is None:
        if name.endswith("_") and not name.startswith("_"):
            cure = _IN_PLACE
        elif name in FUNCTIONS:
            cure = f"backlit.{name}(x, ...)"
        else:
            return
    raise SpellingError(f"Tensor.{name}: no such name; use {cure}")


def function(name: str) -> NoReturn:
    """Raise for a name that the package has not, with what to use instead where it is known.

    >>> function("randn")
    Traceback (most recent call last):
        ...
    backlit.errors.SpellingError: backlit.randn: no such name; use backlit.random.normal(shape)
    """
    _missing("backlit", name, _FUNCTIONS.get(name))


def layer(name: str) -> NoReturn:
    """Raise for a name that `nn` has not, with what to use instead where it is known.

    >>> layer("Conv2D")
    Traceback (most recent call last):
        ...
    AttributeError: module 'backlit.nn' has no attribute 'Conv2D'
    """
    _missing("backlit.nn", name, _LAYERS.get(name))


def optimizer(name: str) -> NoReturn:
    """Raise for a name that `optim` has not, with what to use instead where it is known.

    >>> optimizer("SparseAdam")
    Traceback (most recent call last):
        ...
    backlit.errors.SpellingError: backlit.optim.SparseAdam: no such name; use optim.Adam, because \
every gradient is dense (which PyTorch's refuses)
    """
    _missing("backlit.optim", name, _OPTIMIZERS.get(name))


def decomposition(name: str) -> NoReturn:
    """Raise for a name that `linalg` has not, with what to use instead where it is known.

    >>> decomposition("inverse")
    Traceback (most recent call last):
        ...
    backlit.errors.SpellingError: backlit.linalg.inverse: no such name; use linalg.inv(x)
    """
    _missing("backlit.linalg", name, _LINEAR_ALGEBRA.get(name))


def instead_of_numpy(name: str) -> str:
    """What to write instead of a function of NumPy's that would lose a gradient.

    >>> instead_of_numpy("concatenate")
    'use backlit.concat, or t.detach().numpy() (of one number item()) if none is wanted'
    """
    name = {"concatenate": "concat", "dot": "matmul"}.get(name, name)
    function = f"backlit.{name}" if name in FUNCTIONS else "the function in backlit"
    return f"use {function}, or t.detach().numpy() (of one number item()) if none is wanted"


def _missing(module: str, name: str, cure: str | None) -> NoReturn:
    if cure is None:
        raise AttributeError(f"module {module!r} has no attribute {name!r}")
    raise SpellingError(f"{module}.{name}: no such name; use {cure}")


__all__ = [
    "FUNCTIONS",
    "decomposition",
    "function",
    "instead_of_numpy",
    "layer",
    "method",
    "optimizer",
]
