"""Backlit: a deep-learning framework you can see through."""

from .dtypes import (
    bfloat16,
    can_cast,
    finfo,
    float16,
    float32,
    float64,
    iinfo,
    int8,
    int16,
    int32,
    int64,
    isdtype,
    result_type,
    uint8,
    uint16,
    uint32,
    uint64,
)
from .dtypes import bool_ as bool
from .functions import *
from .autograd import (
    backward,
    enable_grad,
    grad,
    hessian,
    hvp,
    is_grad_enabled,
    jacobian,
    jvp,
    no_grad,
    value_and_grad,
    vjp,
)
from .gradcheck import gradcheck
from .tensor import Tensor, tensor
