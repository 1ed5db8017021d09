"""Keywords of PyTorch's: each changes something, is refused, or is known to change nothing."""

import ast
from pathlib import Path

import numpy as np
import pytest

import backlit
from backlit import torch
from backlit.errors import ArgumentError, BacklitError, CallError, GradcheckError
from backlit.train.loggers import events

SOURCES = Path(backlit.__file__).parent
ROOMS = ("torch", "torchvision", "dialect", "nn", "optim/swa_utils.py")

_ONE_DEVICE = "there is one device"
_ORDER = "the order in memory is never seen"
_SAME = "it says how PyTorch computes, of which the result does not depend"
_EXACT = "it trades precision or order for time, and here the exact result is as cheap"
_FILES = "it says how a file is written; what is in it is the same"

#: Arguments that no function reads, and why that is no lie.
HARMLESS = {
    **dict.fromkeys(("device_ids", "output_device", "device_type", "devices"), _ONE_DEVICE),
    **dict.fromkeys(("pin_memory", "non_blocking", "check_device", "cache_enabled"), _ONE_DEVICE),
    **dict.fromkeys(("memory_format", "check_layout", "check_stride"), _ORDER),
    **dict.fromkeys("foreach use_reentrant determinism_check debug early_stop".split(), _SAME),
    **dict.fromkeys("backend backends mode dynamic reason recursive set_priority".split(), _SAME),
    **dict.fromkeys("vectorize strategy outer_jacobian_strategy chunk_size".split(), _SAME),
    **dict.fromkeys("enable_nested_tensor mask_check compute_mode sparse".split(), _SAME),
    **dict.fromkeys("options example_inputs only_inputs randomness args".split(), _SAME),
    **dict.fromkeys("stable niter".split(), _EXACT),
    **dict.fromkeys("pickle_module pickle_protocol pickle_load_args mmap".split(), _FILES),
    **dict.fromkeys("max_queue flush_secs new_style double_precision max_bins".split(), _FILES),
    **dict.fromkeys("hparam_domain_discrete input_to_model model verbose".split(), _FILES),
    **dict.fromkeys("num_threads env global_setup".split(), "one process measures one function"),
    **dict.fromkeys(
        "check_batched_grad check_batched_forward_grad check_forward_ad check_backward_ad "
        "check_fwd_over_rev check_rev_over_rev check_undefined_grad check_grad_dtypes fast_mode "
        "gen_non_contig_grad_outputs nondet_tol masked grad_outputs".split(),
        "the check is of what there is: derivatives backwards",
    ),
    "allow_subclasses": "Tensors have one class",
    "dim": "data_parallel: the batch is not divided",
    "eps": "gumbel_softmax, which does not read it in PyTorch; generalized_box_iou_loss, which has "
    "no divisor of 0",
    "progress": "there are no weights to fetch",
    "strict": "jvp: what depends on no input has the derivative 0",
    "t": "masks of pruning that depend on the shape alone",
    "input": "is_complex: of every Tensor it is False",
    "num_averaged": "get_ema_avg_fn: the share of the new weights is one for all steps",
}


def _is_text(expression):
    return isinstance(expression, ast.Constant)


def unread(function):
    """The arguments of a function that its body never names."""
    a = function.args
    several = [x for x in (a.vararg, a.kwarg) if x is not None]
    names = [x.arg for x in (*a.posonlyargs, *a.args, *a.kwonlyargs, *several)]
    body = [b for b in function.body if not (isinstance(b, ast.Expr) and _is_text(b.value))]
    if all(isinstance(b, ast.Raise | ast.Pass) for b in body):
        return []  # what always raises, or stands there for a subclass
    found = {x.id for b in body for x in ast.walk(b) if isinstance(x, ast.Name)}
    return [n for n in names if n not in found and n not in ("self", "cls", "xp")]


def public(tree):
    """Functions that a user may call: also those that others make."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            private = node.name.startswith("_") and node.name not in ("__init__", "__call__")
            if not private and node.name not in ("find_spec", "to_limit"):  # of Python's, of a loop
                yield node


def files():
    for room in ROOMS:
        path = SOURCES / room
        yield from [path] if path.is_file() else sorted(path.rglob("*.py"))


def test_every_argument_is_read_or_known_to_change_nothing():
    silent, met = [], set()
    for path in files():
        for function in public(ast.parse(path.read_text())):
            for name in unread(function):
                met.add(name)
                if name not in HARMLESS and not name.startswith("_"):
                    silent.append(f"{path.relative_to(SOURCES)}: {function.name}({name}=)")
    assert silent == []
    assert sorted(HARMLESS.keys() - met) == []


x = torch.ones(2, 3)

MAKERS = {
    "zeros": lambda **o: torch.zeros(2, **o),
    "ones": lambda **o: torch.ones(2, **o),
    "empty": lambda **o: torch.empty(2, **o),
    "rand": lambda **o: torch.rand(2, **o),
    "randn": lambda **o: torch.randn(2, **o),
    "zeros_like": lambda **o: torch.zeros_like(x, **o),
    "ones_like": lambda **o: torch.ones_like(x, **o),
    "empty_like": lambda **o: torch.empty_like(x, **o),
    "rand_like": lambda **o: torch.rand_like(x, **o),
    "randn_like": lambda **o: torch.randn_like(x, **o),
    "full": lambda **o: torch.full((2,), 1.0, **o),
    "full_like": lambda **o: torch.full_like(x, 1.0, **o),
    "arange": lambda **o: torch.arange(3, **o),
    "range": lambda **o: torch.range(0, 3, **o),
    "linspace": lambda **o: torch.linspace(0, 1, 3, **o),
    "logspace": lambda **o: torch.logspace(0, 1, 3, **o),
    "eye": lambda **o: torch.eye(3, **o),
    "randint": lambda **o: torch.randint(0, 3, (2,), **o),
    "randint_like": lambda **o: torch.randint_like(x, 3, **o),
    "randperm": lambda **o: torch.randperm(3, **o),
    "normal": lambda **o: torch.normal(0.0, 1.0, (2,), **o),
    "scalar_tensor": lambda **o: torch.scalar_tensor(1.0, **o),
    "hann_window": lambda **o: torch.hann_window(4, **o),
    "kaiser_window": lambda **o: torch.kaiser_window(4, **o),
    "new_zeros": lambda **o: x.new_zeros(2, **o),
    "new_full": lambda **o: x.new_full((2,), 1.0, **o),
    "tril_indices": lambda **o: torch.tril_indices(3, 3, **o),
    "triu_indices": lambda **o: torch.triu_indices(3, 3, **o),
}


@pytest.mark.parametrize("name", MAKERS)
def test_what_makes_a_tensor_refuses_other_layouts_devices_and_words(name):
    make = MAKERS[name]
    with pytest.raises(
        ArgumentError, match=r"layout: must be torch\.strided, got 'torch\.sparse_c"
    ):
        make(layout=torch.sparse_coo)
    with pytest.raises(ArgumentError, match="device: must be 'cpu', got 'cuda'"):
        make(device="cuda")
    with pytest.raises(BacklitError, match="complex64' is not supported; there are no complex"):
        make(dtype="complex64")
    with pytest.raises(CallError, match="it has no argument nonsense"):
        make(nonsense=1)
    assert isinstance(make(layout=torch.strided, device="cpu"), torch.Tensor)
    if "indices" not in name:
        with pytest.raises(BacklitError, match=r"requires_grad: only floating|dtype must be float"):
            make(dtype=torch.int64, requires_grad=True)


def test_zeros_draw_nothing_and_out_is_a_tensor():
    generator = torch.Generator()
    with pytest.raises(CallError, match="zeros: it has no argument generator; it takes size"):
        torch.zeros(2, generator=generator)
    assert torch.rand_like(x, generator=generator).shape == (2, 3)
    with pytest.raises(ArgumentError, match="out must be one Tensor for one result"):
        torch.zeros(2, out="a")
    with pytest.raises(ArgumentError, match="out must be one Tensor for one result"):
        torch.randperm(2, out=[1])


def test_devices_are_checked_by_all_that_take_them():
    nn = torch.nn
    refused = [
        lambda: nn.Transformer.generate_square_subsequent_mask(2, device="cuda"),
        lambda: nn.UninitializedParameter(device="cuda"),
        lambda: nn.UninitializedBuffer(device="cuda"),
        lambda: torch.optim.swa_utils.update_bn([], nn.Linear(1, 1), device="cuda"),
        lambda: torch.accelerator.set_device_index(0),
    ]
    for call in refused:
        with pytest.raises(ArgumentError, match=r"device: must be 'cpu', got .*cuda"):
            call()


def test_backward_adds_to_the_inputs_that_are_named_alone():
    a, b = (torch.ones(2, requires_grad=True) for _ in range(2))
    a.grad = torch.ones(2)
    torch.autograd.backward((a * b * 3.0).sum(), inputs=[a])
    assert a.grad.tolist() == [4.0, 4.0]
    assert b.grad is None
    with pytest.raises(ArgumentError, match="is_grads_batched must be False, got True; use torch"):
        torch.autograd.grad((a * b).sum(), a, is_grads_batched=True)


def test_gradcheck_takes_tolerances_and_may_answer_false():
    class Wrong(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2.0

        @staticmethod
        def backward(ctx, grad):
            return grad * 2.01

    inputs = torch.ones(2, dtype=torch.float64, requires_grad=True)
    check = torch.autograd.gradcheck
    assert check(Wrong.apply, inputs, raise_exception=False) is False
    assert check(Wrong.apply, inputs, rtol=0.1)
    with pytest.raises(GradcheckError):
        check(Wrong.apply, inputs)
    with pytest.raises(CallError, match="no argument tolerance"):
        check(Wrong.apply, inputs, tolerance=3)


def test_assert_close_says_what_it_is_told_to():
    with pytest.raises(AssertionError, match=r"^my words$"):
        torch.testing.assert_close(x, x + 1.0, msg="my words")
    with pytest.raises(AssertionError, match=r"^at step 3: .*shapes must be equal"):
        torch.testing.assert_close(x, x[0], msg=lambda text: f"at step 3: {text}")
    torch.testing.assert_close(x, x, msg="my words")
    with pytest.raises(CallError, match="no argument tolerance"):
        torch.testing.assert_close(x, x, tolerance=3)


def test_checkpoint_refuses_contexts():
    with pytest.raises(
        ArgumentError, match=r"context_fn must be None: .* enter the contexts inside"
    ):
        torch.utils.checkpoint.checkpoint(torch.sin, x, context_fn=lambda: None)


def test_a_histogram_has_the_bins_that_were_asked_for():
    few, many = (events.histogram("h", np.arange(9.0), bins) for bins in (2, 20))
    assert len(few) < len(events.histogram("h", np.arange(9.0), "tensorflow"))
    assert len(few) < len(many)


def test_models_of_a_module_are_listed_alone():
    from backlit.torchvision import models

    class Some:
        resnet18 = models.resnet18

    assert models.list_models(Some) == ["resnet18"]
    assert len(models.list_models()) > 1
