"""What to use here for names that NumPy or PyTorch have and Backlit spells otherwise."""

from __future__ import annotations

import difflib
import sys
from collections.abc import Iterable
from typing import NoReturn

from .errors import SpellingError

#: What is said wherever complex numbers or sparse Tensors are asked for.
COMPLEX = "there are no complex numbers; compute with the real and the imaginary part"
SPARSE = "there are no sparse Tensors; a dense one has the zeros"
#: What is said instead of "use …" of what has no other name here.
_NOTHING = (COMPLEX, SPARSE)
_QUANTISED = "x itself, because there are no quantised types"
_DENSE = "x itself, because all Tensors are dense"
_IN_PLACE = "x += y and the other operators, x[key] = value, or x.assign(value)"

#: Methods of NumPy's arrays and PyTorch's Tensors.
_METHODS = {
    **dict.fromkeys("angle cdouble cfloat chalf istft stft".split(), COMPLEX),
    **dict.fromkeys(
        "ccol_indices col_indices crow_indices dense_dim indices row_indices smm sparse_dim "
        "sparse_mask sspaddmm to_sparse_bsc to_sparse_bsr to_sparse_coo to_sparse_csc "
        "to_sparse_csr values".split(),
        SPARSE,
    ),
    **dict.fromkeys(
        "dequantize int_repr q_per_channel_axis q_per_channel_scales q_per_channel_zero_points "
        "q_scale q_zero_point qscheme".split(),
        _QUANTISED,
    ),
    **dict.fromkeys(
        "is_coalesced is_conj is_distributed is_ipu is_maia is_mkldnn is_mtia is_neg is_set_to "
        "is_sparse_csr is_vulkan is_xla to_mkldnn".split(),
        _DENSE,
    ),
    **dict.fromkeys("ipu mtia xpu record_stream".split(), "x itself, which is on the CPU"),
    **dict.fromkeys(
        "eig geqrf lstsq lu lu_solve orgqr ormqr solve symeig triangular_solve".split(),
        "the function of linalg: eigh, lstsq, solve, solve_triangular, qr, cholesky",
    ),
    **dict.fromkeys(
        "igamma igammac mvlgamma".split(), "scipy.special of x.numpy(), without a derivative"
    ),
    "_version": "x.clone() to compare with: writes in place overwrite nothing that the tape has",
    "as_strided_scatter": "x[...] = value",
    "as_subclass": "x itself, or a class that holds a Tensor",
    "const_data_ptr": "x.data_ptr()",
    "dim_order": "range(x.ndim), because elements lie in the order of the axes",
    "frexp": "e = x.abs().log2().floor() + 1, and x / 2**e",
    "grad_dtype": "x.dtype, which its gradient has",
    "hash_tensor": "hash(x.numpy().tobytes())",
    "index": "x[indices]",
    "module_load": "x.copy_(value)",
    "narrow_copy": "x.narrow(dim, start, length).clone()",
    "new_empty_strided": "x.new_empty(shape)",
    "nonzero_static": "x.nonzero(), because sizes depend on values",
    "register_post_accumulate_grad_hook": "x.register_hook(f), where f gets the gradient",
    "reinforce": "loss = -log_prob * reward, and loss.backward()",
    "resize_as": "x.reshape(y.shape)",
    "slice_inverse": "x[...] = value",
    "storage_type": "x.dtype",
    "to_padded_tensor": "nn.utils.rnn.pad_sequence of a list of Tensors",
    "as_strided": "x.unfold(dim, size, step), or x[...]",
    "concatenate": "backlit.concat(tensors, axis=0)",
    "copy": "x.clone()",
    "fill": "x.fill_(value)",
    "imag": COMPLEX,
    "real": "x itself, because there are no complex numbers",
    "resize": "x.reshape(shape)",
    "storage": "x.numpy(), which shares memory",
    "storage_offset": "nothing for it, because a part has no place in the memory of the whole",
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
    "average": "backlit.mean(x)",
    "cast": "x.astype(dtype)",
    "cat": "backlit.concat(tensors, axis=0)",
    "cholesky": "backlit.linalg.cholesky(x)",
    "clamp": "backlit.clip(x, low, high)",
    "clone": "x.clone()",
    "complex": COMPLEX,
    "complex128": COMPLEX,
    "complex64": COMPLEX,
    "concatenate": "backlit.concat(tensors, axis=0)",
    "constant": "backlit.tensor(data)",
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
    "fft": COMPLEX,
    "float": "backlit.float32",
    "from_numpy": "backlit.asarray(array)",
    "gather": "backlit.take_along_axis(x, indices, axis=axis)",
    "ge": "x >= y",
    "GradientTape": "loss.backward(), or backlit.grad(loss, x)",
    "gt": "x > y",
    "half": "backlit.float16",
    "identity": "backlit.eye(n)",
    "int": "backlit.int32",
    "inverse": "backlit.linalg.inv(x)",
    "keras": "backlit.nn",
    "le": "x <= y",
    "load": "backlit.load_tensors(path), or train.load_checkpoint(path)",
    "log_softmax": "backlit.nn.functional.log_softmax(x, dim=axis)",
    "long": "backlit.int64",
    "lt": "x < y",
    "mod": "backlit.remainder(x, y)",
    "mul": "x * y",
    "ndarray": "backlit.Tensor",
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
    "reduce_max": "backlit.max(x, axis=axis)",
    "reduce_mean": "backlit.mean(x, axis=axis)",
    "reduce_sum": "backlit.sum(x, axis=axis)",
    "relu": "backlit.nn.functional.relu(x)",
    "save": "backlit.save_tensors(path, tensors), or train.save_checkpoint(path, state)",
    "slogdet": "backlit.linalg.slogdet(x)",
    "softmax": "backlit.nn.functional.softmax(x, dim=axis)",
    "sub": "x - y",
    "svd": "backlit.linalg.svd(x)",
    "transpose": "backlit.permute_dims(x, axes), or x.mT",
    "unsqueeze": "backlit.expand_dims(x, axis=axis)",
    "Variable": "backlit.tensor(data, requires_grad=True)",
}


#: Of the module of layers.
_LAYERS = {
    "Activation": "nn.ReLU() and its like",
    "AveragePooling2D": "nn.AvgPool2d(size)",
    "BatchNormalization": "nn.BatchNorm1d or nn.BatchNorm2d",
    "Dense": "nn.Linear(inputs, outputs)",
    "GlobalAveragePooling2D": "nn.AdaptiveAvgPool2d(1)",
    "LayerNormalization": "nn.LayerNorm(shape)",
    "MaxPooling2D": "nn.MaxPool2d(size)",
    "Model": "nn.Module",
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


#: Functions of NumPy's and PyTorch's that draw.
_DRAWS = {
    "choice": "permutation(n)[:k], or multinomial(p, k)",
    "default_rng": "Generator(seed)",
    "gauss": "normal(shape)",
    "rand": "uniform(shape)",
    "randint": "integers(low, high, shape)",
    "randn": "normal(shape)",
    "random": "uniform(shape)",
    "random_sample": "uniform(shape)",
    "randperm": "permutation(n)",
    "RandomState": "Generator(seed)",
    "seed": "manual_seed(seed)",
    "shuffle": "permutation(n), and index with it",
    "standard_normal": "normal(shape)",
}


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
    raise SpellingError(f"Tensor.{name}: no such name; {_told(cure)}")


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

    >>> layer("Dense")
    Traceback (most recent call last):
        ...
    backlit.errors.SpellingError: backlit.nn.Dense: no such name; use nn.Linear(inputs, outputs)
    """
    _missing("backlit.nn", name, _LAYERS.get(name))


def layer_function(name: str) -> NoReturn:
    """Raise for a name that `nn.functional` has not, with the one that is perhaps meant."""
    _missing("backlit.nn.functional", name, None)


def dataset(name: str) -> NoReturn:
    """Raise for a name that `data` has not, with the one that is perhaps meant."""
    _missing("backlit.data", name, None)


def recipe(name: str) -> NoReturn:
    """Raise for a name that `recipes` has not, with the one that is perhaps meant."""
    _missing("backlit.recipes", name, None)


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


def draw(name: str) -> NoReturn:
    """Raise for a name that `random` has not, with what to use instead where it is known.

    >>> draw("randn")
    Traceback (most recent call last):
        ...
    backlit.errors.SpellingError: backlit.random.randn: no such name; use \
backlit.random.normal(shape)
    """
    cure = _DRAWS.get(name)
    _missing("backlit.random", name, cure and f"backlit.random.{cure}")


def instead_of_numpy(name: str) -> str:
    """What to write instead of a function of NumPy's that would lose a gradient.

    >>> instead_of_numpy("concatenate")
    'use backlit.concat, or t.detach().numpy() (of one number item()) if none is wanted'
    """
    name = {"concatenate": "concat", "dot": "matmul"}.get(name, name)
    function = f"backlit.{name}" if name in FUNCTIONS else "the function in backlit"
    return f"use {function}, or t.detach().numpy() (of one number item()) if none is wanted"


def near_name(name: str, names: Iterable[str], alike: float = 0.8) -> str | None:
    """The name that is perhaps meant: with other capitals, or alike to this degree.

    >>> near_name("Conv2D", ["Conv1d", "Conv2d"]), near_name("x", ["Linear"])
    ('Conv2d', None)
    """
    small = {n.lower(): n for n in names if not n.startswith("_")}
    found = [] if name.startswith("_") else difflib.get_close_matches(name.lower(), small, 1, alike)
    return small[found[0]] if found else None


def _missing(module: str, name: str, cure: str | None) -> NoReturn:
    if cure is None:
        there = sys.modules[module]
        listed = vars(there).get("__all__")  # not getattr: it would ask here for `__all__`
        near = near_name(name, listed or dir(there))
        hint = f"; did you mean {near}?" if near else ""
        raise AttributeError(f"module {module!r} has no attribute {name!r}{hint}")
    raise SpellingError(f"{module}.{name}: no such name; {_told(cure)}")


def _told(cure: str) -> str:
    return cure if cure in _NOTHING else f"use {cure}"


__all__ = [
    "COMPLEX",
    "FUNCTIONS",
    "SPARSE",
    "dataset",
    "decomposition",
    "draw",
    "function",
    "instead_of_numpy",
    "layer",
    "layer_function",
    "method",
    "near_name",
    "optimizer",
    "recipe",
]
