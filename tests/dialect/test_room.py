"""The room `backlit.torch`: PyTorch's paths, what they answer, and what is not there."""

import copy
import functools
import importlib
import math
import pickle
import pkgutil
import re
import subprocess
import sys
from types import FunctionType

import numpy as np
import pytest

import backlit as bl
import backlit.torch as torch
from apart import printed
from backlit import nn, optim
from backlit.errors import ArgumentError, DTypeError, NonFiniteError, ShapeError, SpellingError
from backlit.torch.missing import MISSING

#: What scripts import: the path, and a name that is there.
PATHS = {
    "nn": "Linear",
    "nn.functional": "relu",
    "nn.init": "normal",
    "nn.modules": "Linear",
    "nn.modules.rnn": "LSTM",
    "nn.parallel": "DataParallel",
    "nn.parameter": "Parameter",
    "nn.utils": "clip_grad_norm_",
    "nn.utils.rnn": "pad_sequence",
    "optim": "Adam",
    "optim.lr_scheduler": "_LRScheduler",
    "optim.optimizer": "Optimizer",
    "utils.data": "DataLoader",
    "utils.data.dataset": "random_split",
    "autograd": "Function",
    "autograd.functional": "jacobian",
    "func": "vjp",
    "linalg": "norm",
    "special": "expit",
    "cuda": "is_available",
    "cuda.amp": "autocast",
    "amp": "GradScaler",
    "backends": "cudnn",
    "accelerator": "current_accelerator",
    "jit": "script",
    "testing": "assert_close",
    "version": "cuda",
}


def test_the_paths_that_scripts_import_are_there():
    for path, name in PATHS.items():
        try:
            module = importlib.import_module(f"backlit.torch.{path}")
        except ModuleNotFoundError:  # an attribute, as torch.cuda.amp
            module = torch
            for part in path.split("."):
                module = getattr(module, part)
        assert hasattr(module, name), path
        at = torch
        for part in path.split("."):
            at = getattr(at, part)
        assert hasattr(at, name), path


@pytest.mark.slow
def test_importing_backlit_does_not_import_the_room_and_the_words_change_with_it():
    printed(
        "import sys, backlit\n"
        "assert 'backlit.torch' not in sys.modules\n"
        "x = backlit.ones((2, 2))\n"
        "try:\n"
        "    x.max(1)\n"
        "    raise SystemExit('it did not raise')\n"
        "except backlit.errors.SpellingError:\n"
        "    pass\n"
        "import backlit.torch\n"
        "assert x.max(1).indices.tolist() == [0, 0]\n"
    )


def test_its_classes_are_backlits():
    assert torch.nn.Module is nn.Module
    assert torch.optim.Adam is optim.Adam
    assert torch.nn.Linear(2, 3).weight.requires_grad
    assert torch.__version__.startswith("2.")


def test_every_tensor_is_one_of_pytorchs_class_and_of_the_class_of_its_dtype():
    x, n = bl.ones(2), bl.tensor([1, 2])
    assert isinstance(x, torch.Tensor)
    assert isinstance(x, torch.FloatTensor)
    assert not isinstance(n, torch.FloatTensor)
    assert isinstance(n, torch.LongTensor)
    assert not isinstance(np.ones(2), torch.Tensor)
    assert issubclass(nn.Parameter, torch.Tensor)
    assert type(x) == torch.Tensor  # noqa: E721  (as scripts ask)
    assert isinstance(x, torch.autograd.Variable)
    assert isinstance(x.device, torch.device)
    assert torch.Tensor().shape == (0,)
    assert torch.Tensor(torch.Size([2])).shape == (2,)
    assert torch.DoubleTensor([1]).dtype == torch.double
    with pytest.raises(ArgumentError, match="Tensor: it takes sizes or one thing of numbers"):
        torch.Tensor([1], [2])


def test_what_is_not_there_says_what_to_do():
    for name, cure in MISSING.items():
        with pytest.raises(AttributeError, match=re.escape(f"not in Backlit; {cure}")):
            functools.reduce(getattr, [*name.split(".")[1:], "nothing"], torch)
    with pytest.raises(SpellingError, match=r"torch.distributed.init_process_group|torch.distribu"):
        _ = torch.distributed.init_process_group
    assert getattr(torch, "fft", None) is None
    for room in (torch.distributed, torch.xpu, torch.mps, torch.cuda):
        assert room.is_available() is False
    assert torch.distributed.is_initialized() is False
    assert torch.distributed.is_nccl_available() is False


def test_every_room_is_what_its_parent_calls_by_its_name_and_says_what_it_has_not():
    beside = ("instead", "missing", "mirror", "differences", "kinds", "creation", "settings")
    for found in pkgutil.walk_packages(torch.__path__, f"{torch.__name__}."):
        name = found.name.rpartition(".")[2]
        if name.startswith(("_", *beside)) or name in ("function", "serialization", "compiling"):
            continue
        room = importlib.import_module(found.name)
        parent = sys.modules[found.name.rpartition(".")[0]]
        if name != "optimizer":
            with pytest.raises(AttributeError, match="qwertz"):
                _ = room.qwertz
        if name not in ("parameter", "version"):  # functions and texts of the same name
            assert getattr(parent, name) is room, found.name
    assert torch.optim.lr_scheduler._LRScheduler is bl.optim.lr_scheduler.LRScheduler
    assert torch.distributions.normal.Normal is bl.distributions.Normal
    assert torch.autograd.function.Function is torch.autograd.Function
    with pytest.raises(SpellingError, match="SyncBatchNorm: not in Backlit; there is one process"):
        _ = torch.nn.modules.batchnorm.SyncBatchNorm


@pytest.mark.parametrize(
    ("look_up", "text"),
    [
        (lambda: torch.zeroes, "module 'backlit.torch' has no attribute 'zeroes'; did you mean ze"),
        (lambda: torch.nn.Liner, "module 'backlit.torch.nn' has no attribute 'Liner'; did you m"),
        (lambda: torch.optim.Adams, "has no attribute 'Adams'; did you mean Adam"),
        (lambda: torch.qwertz, "module 'backlit.torch' has no attribute 'qwertz'"),
    ],
)
def test_a_misspelled_name_says_what_is_meant(look_up, text):
    with pytest.raises(AttributeError, match=re.escape(text)):
        look_up()


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda x: torch.sum(x, dmi=0), TypeError, "sum: it has no argument dmi; it takes input"),
        (lambda x: torch.sum(x, 0, dim=0), TypeError, "sum: dim was given twice"),
        (lambda x: x.add_(2, x), TypeError, "got 3 arguments by place; give alpha= by name, after"),
        (lambda x: x.to("meta"), ArgumentError, "device: must be 'cpu', got 'meta'; Backlit comp"),
        (
            lambda x: torch.nn.Linear(1, 1).to("meta"),
            ArgumentError,
            "device: must be 'cpu', got 'm",
        ),
        (lambda x: torch.gather(x, 0), TypeError, "gather: it takes gather(input, dim, index), in"),
        (lambda x: torch.tril(x, 0, 0), TypeError, "tril: it takes tril(input, diagonal), got 3"),
        (lambda x: torch.zeros(2, sized=1), TypeError, "zeros: it has no argument sized"),
        (lambda x: torch.randint(3), TypeError, "randint: the size must be a tuple, as randint("),
        (lambda x: torch.from_numpy([1]), TypeError, "from_numpy: it takes a NumPy array, got"),
        (lambda x: torch.max(x, 0, out=(x, x)), ArgumentError, "max: out must be one Tensor for"),
        (lambda x: torch.zeros(2, device="cuda"), ArgumentError, "device: must be 'cpu', got 'cud"),
        (lambda x: x.cuda(), ArgumentError, "Backlit computes on the CPU"),
        (lambda x: x.to(torch.device("cuda")), ArgumentError, "Backlit computes on the CPU"),
        (lambda x: torch.cuda.set_device(0), ArgumentError, "Backlit computes on the CPU"),
        (lambda x: torch.autocast("cuda"), ArgumentError, "Backlit computes on the CPU"),
        (lambda x: torch.set_default_dtype(torch.int64), DTypeError, "d must be a floating dtype"),
        (
            lambda x: torch.set_default_tensor_type("torch.cuda.FloatTensor"),
            ArgumentError,
            "t must be a class of floating Tensors on the CPU, got torch.cuda.FloatTensor; use",
        ),
        (
            lambda x: x.view(torch.int32),
            ArgumentError,
            "view: the bits of a Tensor are not read as",
        ),
        (lambda x: x.expand(3), ShapeError, "expand: the sizes must fit float32[2,2] from the las"),
        (lambda x: x.repeat(2), ShapeError, "repeat: there must be a number for each axis of floa"),
        (lambda x: torch.t(x[None]), ShapeError, "t: x must have at most 2 axes, got float32[1,2,"),
        (lambda x: x.flatten(1, 0), ShapeError, "flatten: start_dim must not lie behind end_dim"),
        (lambda x: x.unfold(0, 3, 1), ShapeError, "unfold: size must lie in [0, 2] and step be po"),
        (lambda x: x.size(2), ShapeError, "size: dim must lie in [-2, 2), got 2"),
        (
            lambda x: x.gather(1, torch.tensor([0])),
            ShapeError,
            "gather: index must have as many ax",
        ),
        (
            lambda x: torch.gather(x, 1, torch.zeros(3, 1).long()),
            ShapeError,
            "gather: index must n",
        ),
        (
            lambda x: torch.div(x, 2, rounding_mode="up"),
            ArgumentError,
            "div: rounding_mode must be",
        ),
        (lambda x: x.to_sparse(), ArgumentError, "to_sparse: there are no sparse Tensors; a d"),
        (
            lambda x: torch.bernoulli(x.long()),
            ArgumentError,
            "bernoulli: probabilities must be flo",
        ),
        (lambda x: torch.bernoulli(1.5 * x), ArgumentError, "p must lie in [0, 1], got 1.5"),
        (lambda x: torch.Generator(device="cuda"), ArgumentError, "Backlit computes on the CPU"),
    ],
)
def test_a_call_that_cannot_be_says_why(call, error, text):
    with pytest.raises(error, match=re.escape(text)):
        call(torch.ones(2, 2))


def test_results_can_be_put_into_a_tensor_that_is_there():
    x, y = torch.tensor([1.0, 4.0]), torch.zeros(2)
    assert torch.sqrt(x, out=y) is y
    assert y.tolist() == [1, 2]
    assert torch.zeros(2, out=y).tolist() == y.tolist() == [0, 0]


def test_gradients_have_pytorchs_forms():
    w = torch.tensor([1.0, 2.0], requires_grad=True)
    (g,) = torch.autograd.grad((w * w).sum(), w)
    assert g.tolist() == [2, 4]
    v = torch.ones(2, requires_grad=True)
    found = torch.autograd.grad(w.sum(), [w, v], allow_unused=True)
    assert found[1] is None
    found = torch.autograd.grad(w.sum(), [w, v], materialize_grads=True)
    assert found[1].tolist() == [0, 0]
    torch.autograd.backward([w.sum(), (2 * w).sum()])
    assert w.grad.tolist() == [3, 3]
    h = w.register_hook(lambda g: 2 * g)
    w.sum().backward()
    h.remove()
    h.remove()
    assert w.grad.tolist() == [5, 5]
    assert (w * 2).grad_fn is not None
    assert w.grad_fn is None
    (before, _), (number, _) = (w.exp() * 2).grad_fn.next_functions
    ((leaf, at),) = before.next_functions
    assert (before.op.name, number, at) == ("exp", None, 0)
    assert leaf.variable is w
    assert (repr(leaf), leaf.next_functions) == ("<AccumulateGrad>", ())
    assert torch.autograd.Variable(w * 2).requires_grad is False
    assert torch.autograd.Variable(torch.ones(1), requires_grad=True).is_leaf
    assert torch.autograd.gradcheck(lambda t: t * t, torch.ones(2).double().requires_grad_())


def test_modes_of_gradients_are_blocks_decorators_and_switches():
    w = torch.ones(1, requires_grad=True)

    @torch.no_grad
    def bare(x):
        return x * 2

    @torch.inference_mode()
    def called(x):
        return x * 2

    @torch.set_grad_enabled(False)
    def switched(x):
        return x * 2

    assert not any(f(w).requires_grad for f in (bare, called, switched))
    assert torch.is_grad_enabled()
    with torch.set_grad_enabled(False):
        assert not (w * 2).requires_grad
        with torch.enable_grad():
            assert (w * 2).requires_grad
    torch.set_grad_enabled(False)
    assert not torch.is_grad_enabled()
    torch.set_grad_enabled(True)
    with torch.inference_mode(False), torch.autograd.set_detect_anomaly(True):
        assert (w * 2).requires_grad


def test_generators_and_seeds():
    g = torch.Generator().manual_seed(3)
    a = torch.rand(3, generator=g)
    state = g.get_state()
    b = torch.randn(3, generator=g)
    assert torch.rand(3, generator=torch.Generator().manual_seed(3)).tolist() == a.tolist()
    assert torch.randn(3, generator=g.set_state(state)).tolist() == b.tolist()
    assert g.initial_seed() == 3
    torch.manual_seed(1)
    a = torch.randperm(5)
    torch.manual_seed(1)
    assert torch.randperm(5).tolist() == a.tolist()
    assert torch.initial_seed() == 1
    state = torch.get_rng_state()
    a = torch.normal(torch.zeros(2), 1.0)
    torch.set_rng_state(state)
    assert torch.normal(torch.zeros(2), 1.0).tolist() == a.tolist()
    with torch.random.fork_rng():
        inside = torch.rand(1)
    assert torch.rand(1).tolist() == inside.tolist()
    assert torch.seed() == torch.initial_seed()
    torch.manual_seed(0)


def test_a_compiled_model_trains_as_it_stands_and_infers_in_native_code():
    model = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.Tanh())
    fast = torch.compile(model, mode="max-autotune")
    x = torch.ones(4, 3)
    fast(x).sum().backward()
    assert model[0].weight.grad.shape == (2, 3)
    with torch.no_grad():
        np.testing.assert_allclose(fast(x).numpy(), model(x).numpy(), rtol=1e-5)
    assert fast[0] is model[0] if hasattr(fast, "__getitem__") else fast.training
    assert sum(p.numel() for p in fast.parameters()) == 8
    assert [n for n, _ in fast.named_parameters()] == ["_orig_mod.0.weight", "_orig_mod.0.bias"]
    assert torch.compile(model, disable=True) is model
    square = torch.compile(lambda t: t * t)
    assert square(torch.tensor([3.0])).tolist() == [9]


def test_a_compiled_function_is_differentiated_as_it_stands():
    model = torch.nn.Sequential(torch.nn.Linear(2, 1), torch.nn.BatchNorm1d(1))

    class Counted(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.inner, self.calls, self.last = model, 0, None

        @torch.compile
        def forward(self, x):
            self.calls += 1
            self.last = self.inner(x)
            return self.last.mean()

    def square(w):
        return (w**2).sum()

    point = torch.tensor([1.0, 2.0])
    w = point.clone().requires_grad_()
    for fast in (torch.compile(square), torch.compile(square, fullgraph=True)):
        assert fast(point).item() == 5
        assert torch.func.grad(fast)(point).tolist() == [2, 4]
        assert torch.func.jacrev(fast)(point).tolist() == [2, 4]
        assert torch.func.jvp(fast, (point,), (point,))[1].item() == 10
        assert torch.autograd.functional.jacobian(fast, point).tolist() == [2, 4]
        assert torch.autograd.grad(fast(w), w)[0].tolist() == [2, 4]
    counted, data = Counted(), torch.tensor([[1.0, 2.0], [3.0, 5.0]])
    counted(data).backward()
    torch.compile(lambda x: model(x).mean())(data).backward()
    assert (counted.calls, model[1].num_batches_tracked.item()) == (1, 2)
    assert counted.last.requires_grad
    assert model[1].bias.grad.tolist() == [2]
    with torch.no_grad():
        assert counted(data).item() == pytest.approx(0, abs=1e-6)
    model.eval().compile()
    with torch.no_grad():
        expected = model[1](model[0](data)).tolist()
        for m in (model, copy.deepcopy(model)):
            np.testing.assert_allclose(m(data).tolist(), expected, rtol=1e-5)
        assert model.forward.graphs


def test_what_cannot_be_compiled_runs_as_it_stands_and_says_so_once():
    def branch(x):
        return x * 2 if x.sum() > 0 else -x

    fast = torch.compile(branch)
    with pytest.warns(
        UserWarning, match=r"torch.compile: it runs as it stands: bool\(\): a captur"
    ):
        assert fast(torch.tensor([1.0])).tolist() == [2]
    assert fast(torch.tensor([-1.0])).tolist() == [1]
    whole = torch.compile(branch, fullgraph=True)
    with pytest.raises(bl.errors.TraceError, match="a captured function cannot ask for a value"):
        whole(torch.tensor([1.0]))
    inner = torch.compile(lambda x: x * 3)
    assert bl.compile(lambda x: inner(x) + 1)(torch.tensor([1.0])).tolist() == [4]


def test_what_is_said_of_devices_and_threads_is_harmless():
    assert torch.accelerator.current_accelerator() is None
    assert torch.cuda.memory_allocated() == torch.cuda.device_count() == 0
    torch.cuda.manual_seed_all(0)
    torch.cuda.empty_cache()
    torch.backends.cudnn.benchmark = True
    torch.backends.cuda.matmul.allow_tf32 = True
    torch.set_float32_matmul_precision("high")
    torch.use_deterministic_algorithms(True)
    threads = torch.get_num_threads()
    torch.set_num_threads(threads)
    with torch.device("cpu"), torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.ones(1).device == torch.device("cpu")
    scaler = torch.amp.GradScaler(enabled=False)
    w = torch.nn.Parameter(torch.ones(1))
    optimizer = torch.optim.SGD([w], lr=0.1)
    scaler.scale((w * w).sum()).backward()
    scaler.unscale_(optimizer)
    scaler.step(optimizer)
    scaler.update()
    assert w.item() == pytest.approx(0.8)
    assert copy.deepcopy(w).requires_grad


def test_results_are_close_or_not():
    torch.testing.assert_close(torch.ones(2), torch.ones(2) + 1e-7)
    with pytest.raises(AssertionError, match="the dtypes must be equal, got float64 and float32"):
        torch.testing.assert_close(torch.ones(2).double(), torch.ones(2))
    with pytest.raises(AssertionError, match=r"the shapes must be equal, got \(2,\) and \(3,\)"):
        torch.testing.assert_close(torch.ones(2), torch.ones(3))
    with pytest.raises(AssertionError, match="Not equal to tolerance"):
        torch.testing.assert_close([torch.ones(2)], [torch.zeros(2)])


def test_what_is_left_of_the_paths_does_what_it_says():
    w = torch.tensor([1.0, 2.0], requires_grad=True)
    (g,) = torch.autograd.grad(torch.utils.checkpoint.checkpoint(lambda q: q * q, w).sum(), w)
    assert g.tolist() == [2, 4]
    model = torch.nn.Sequential(torch.nn.ReLU(), torch.nn.Tanh())
    y = torch.utils.checkpoint.checkpoint_sequential(model, 2, torch.tensor([-1.0]))
    assert y.tolist() == [0]
    assert repr(torch.device("cuda", 1)) == "device(type='cuda', index=1)"
    assert torch.nn.functional.mse_loss(input=w, target=w).item() == 0
    assert torch.nn.MSELoss()(input=w, target=w).item() == 0
    assert torch.nn.ReLU()(input=w).tolist() == [1, 2]
    assert torch.nn.Softmax(dim=0)(torch.tensor(3.0)).item() == 1
    with pytest.raises(TypeError, match="ReLU: it has no argument imput; it takes x; did you m"):
        torch.nn.ReLU()(imput=w)
    assert torch.relu_(torch.tensor([-1.0])).tolist() == [0]
    assert torch.ones(2, 3).fill_diagonal_(0).tolist() == [[0, 1, 1], [1, 0, 1]]
    with pytest.raises(ArgumentError, match="fill_diagonal_: wrap is not here"):
        torch.ones(4, 2).fill_diagonal_(0, wrap=True)


def test_the_default_dtype_is_that_of_new_numbers_and_layers():
    halve = torch.compile(lambda n: n * 0.5 + torch.ones(()))
    three = torch.tensor(3)
    try:
        for kind in (torch.float64, torch.bfloat16, torch.float32):
            torch.set_default_dtype(kind)
            layer = torch.nn.Linear(1, 1)
            made = [torch.tensor(1.0), torch.Tensor(2), torch.randn(2), three / 2, halve(three)]
            made += [layer.weight, layer(torch.ones(1, 1)), torch.distributions.Normal(0, 1).mean]
            assert {t.dtype for t in made} == {torch.get_default_dtype()} == {kind}
        torch.set_default_tensor_type(torch.DoubleTensor)
        assert bl.ones(1).dtype == torch.float64
        with pytest.raises(bl.errors.TraceError, match="a captured function cannot set it"):
            bl.compile(lambda: torch.set_default_dtype(torch.float32))()
        u = torch.func.grad(lambda x: torch.sin(3 * x))(torch.tensor(0.5))
        assert u.item() == pytest.approx(3 * math.cos(1.5), rel=1e-15)
    finally:
        torch.set_default_tensor_type("torch.FloatTensor")
    assert halve(three).dtype == torch.float32


def test_what_recipes_call_is_there():
    weight = torch.zeros(4, 3, 5)
    assert torch.nn.init._calculate_fan_in_and_fan_out(weight) == (15, 20)
    assert torch.nn.init._calculate_correct_fan(weight, "fan_out") == 20
    with pytest.raises(ArgumentError, match="mode must be 'fan_in' or 'fan_out', got 'in'"):
        torch.nn.init._calculate_correct_fan(weight, "in")
    assert torch.utils.data.get_worker_info() is None
    assert torch.finfo(torch.float32).tiny == np.finfo(np.float32).tiny
    asked = []
    inner = torch.compiler.disable(lambda x: asked.append(torch.compiler.is_compiling()) or x)
    bl.compile(inner)(inner(torch.ones(1)))
    assert asked == [False, True]

    class Double(torch.autograd.Function):
        @staticmethod
        @torch.amp.custom_fwd(device_type="cpu")
        def forward(ctx, x):
            return x * 2

        @staticmethod
        @torch.amp.custom_bwd
        def backward(ctx, grad):
            return grad * 2

    assert torch.func.grad(Double.apply)(torch.tensor(3.0)).item() == 2


def test_a_dtype_of_another_kind_is_refused():
    with pytest.raises(DTypeError, match="is not supported"):
        torch.zeros(2, dtype="complex64")
    assert torch.zeros(2, dtype=float).dtype == torch.float64
    assert torch.zeros(2, dtype=int).dtype == torch.int64


def test_a_freed_graph_has_no_next_functions() -> None:
    y = torch.ones(2, requires_grad=True) * 2
    assert repr(y.grad_fn.next_functions[0][0]) == "<AccumulateGrad>"
    y.sum().backward()
    assert not hasattr(y.grad_fn, "next_functions")
    with pytest.raises(AttributeError, match=r"was freed by backward\(\); ask before it"):
        _ = y.grad_fn.next_functions


def test_how_tensors_are_printed_can_be_set():
    x = torch.tensor([0.12345, 100.0, 1e-6])
    usual = str(x), str(torch.zeros(200))
    try:
        torch.set_printoptions(precision=2, sci_mode=False)
        assert str(x).startswith("Tensor([  0.12, 100.  ,   0.  ]")
        torch.set_printoptions(sci_mode=True)
        assert str(x).startswith("Tensor([1.23e-01, 1.00e+02, 1.00e-06]")
        torch.set_printoptions(profile="full")
        assert str(torch.zeros(200)).count("0.") == 200
        torch.set_printoptions(threshold=float("inf"), edgeitems=1, linewidth=400)
        assert str(torch.zeros(200)).count("0.") == 200
        with pytest.raises(ArgumentError, match="profile must be default, short, full, got 'long'"):
            torch.set_printoptions(profile="long")
    finally:
        torch.set_printoptions(profile="default")
    assert (str(x), str(torch.zeros(200))) == usual


def test_a_timer_measures_a_statement():
    benchmark = torch.utils.benchmark
    done = []
    timer = benchmark.Timer("f(1)", setup="f = done.append", globals={"done": done}, label="append")
    found = timer.timeit(100)
    assert len(done) == 102
    assert 0 < found.mean == found.median < 1
    assert repr(found).startswith("append\n  ")
    many = timer.blocked_autorange(min_run_time=0.002)
    assert sum(many.raw_times) >= 0.002
    assert many.iqr >= 0
    with pytest.raises(ArgumentError, match="language must be 'python', got 'c\\+\\+'"):
        benchmark.Timer("1", language="c++")


def test_the_classes_of_data_may_say_in_annotations_of_what_they_are():
    data = torch.utils.data

    class Lengths(data.Sampler[list[int]]):
        def __iter__(self):
            return iter([[1, 2], [0]])

    class Squares(data.Dataset[torch.Tensor]):
        def __len__(self):
            return 3

        def __getitem__(self, index):
            return index * index

    loader: data.DataLoader[torch.Tensor] = data.DataLoader(Squares(), batch_sampler=Lengths())
    assert [batch.tolist() for batch in loader] == [[1, 4], [0]]
    assert data.IterableDataset[int].__origin__ is data.IterableDataset


def test_courses_find_the_weights_of_a_recurrent_layer_and_its_starting_values_by_name():
    layer = torch.nn.GRU(2, 3, num_layers=2)
    for name in layer._flat_weights_names:
        if "weight" in name:
            torch.nn.init.ones_(layer._parameters[name])
    assert layer._flat_weights_names[0] == "weight_ih_l0"
    assert [p.shape for p in layer._flat_weights] == [p.shape for p in layer.parameters()]
    assert float(layer._flat_weights[5].detach().min()) == 1


def test_a_model_for_several_devices_is_the_model():
    layer, x = torch.nn.Linear(2, 3), torch.ones(4, 2)
    assert torch.equal(torch.nn.parallel.data_parallel(layer, x, [0, 1]), layer(x))
    assert torch.equal(torch.nn.parallel.data_parallel(layer, (x,), module_kwargs={}), layer(x))


def test_nothing_is_being_scripted_or_traced():
    assert torch.jit.is_scripting() is torch.jit.is_tracing() is False


def test_functions_can_be_sent_to_other_processes_and_saved_with_a_model():
    rooms = (torch, torch.nn.functional, torch.special, torch.linalg, torch.func, torch.autograd)
    functions = {
        f"{room.__name__}.{name}": getattr(room, name)
        for room in rooms
        for name in dir(room)
        if not name.startswith("_") and isinstance(getattr(room, name, None), FunctionType)
    }
    assert len(functions) > 500
    for name, function in functions.items():
        assert pickle.loads(pickle.dumps(function)) is function, name
    assert pickle.loads(pickle.dumps(torch.linalg.cross)) is not torch.cross
    with pytest.raises(AttributeError, match=r"'backlit.dialect' has no attribute 'qwertz'"):
        _ = bl.dialect.qwertz


def test_numbers_are_given_with_force_and_without():
    x = torch.ones(2, requires_grad=True)
    assert x.numpy(force=True).tolist() == x.numpy().tolist() == [1, 1]


@pytest.mark.parametrize(
    "name", ["backends.cudnn", "backends.cuda.matmul", "backends.mps", "cuda.amp"]
)
def test_rooms_in_rooms_can_be_imported_by_their_path(name):
    found = subprocess.run(
        [sys.executable, "-c", f"import backlit.torch.{name} as room; print(room.__name__)"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.returncode == 0, found.stderr


def test_a_switch_of_a_room_in_a_room_is_one():
    import backlit.torch.backends.cudnn as cudnn

    before = cudnn.benchmark
    cudnn.benchmark = True
    assert torch.backends.cudnn.benchmark is True
    cudnn.benchmark = before


def test_detect_anomaly_raises_where_a_gradient_is_nan_first():
    def run():
        x = torch.tensor([0.0, 4.0], requires_grad=True)
        (torch.sqrt(x) * torch.tensor([0.0, 1.0])).sum().backward()
        return x.grad

    said = r"detect_anomaly: the backward of sqrt gives nan for its input 0 \(test_room.py:\d+.*\)"
    with torch.autograd.detect_anomaly(), pytest.raises(RuntimeError, match=said):
        run()
    assert run()[0].isnan()
    torch.autograd.set_detect_anomaly(True)
    with pytest.raises(NonFiniteError, match=said):
        run()
    with torch.autograd.set_detect_anomaly(False):
        assert run()[0].isnan()
    with pytest.raises(NonFiniteError, match=said):
        run()
    torch.autograd.set_detect_anomaly(False)
    with torch.autograd.set_detect_anomaly(True, check_nan=False):
        assert run()[0].isnan()
