"""What the guide's page for users of NumPy and PyTorch says of the three, asked of the three."""

import inspect

import numpy as np
import pytest
import torch

import backlit
from backlit import data, nn, optim
from backlit.nn import functional, init

pytestmark = pytest.mark.parity
NAN, INF = float("nan"), float("inf")


def test_types_of_data_and_of_mixtures():
    floats, integers = [1.0, 2.0], [1, 2]
    single = np.ones(2, np.float32)
    rows = {
        "floats": (np.array(floats), torch.tensor(floats), backlit.tensor(floats)),
        "integers": (np.array(integers), torch.tensor(integers), backlit.tensor(integers)),
        "number": (single + 1.5, torch.ones(2) + 1.5, backlit.ones(2) + 1.5),
        "wide": (
            single + np.ones(2),
            torch.ones(2) + torch.ones(2, dtype=torch.float64),
            backlit.ones(2) + backlit.ones(2, dtype="float64"),
        ),
        "mixed": (
            single + np.array(integers),
            torch.ones(2) + torch.tensor(integers),
            backlit.ones(2) + backlit.tensor(integers),
        ),
        "quotient": (
            np.array(integers) / np.array(integers),
            torch.tensor(integers) / torch.tensor(integers),
            backlit.tensor(integers) / backlit.tensor(integers),
        ),
    }
    found = {name: [str(x.dtype).removeprefix("torch.") for x in row] for name, row in rows.items()}
    assert found == {
        "floats": ["float64", "float32", "float32"],
        "integers": ["int64", "int64", "int64"],
        "number": ["float32", "float32", "float32"],
        "wide": ["float64", "float64", "float64"],
        "mixed": ["float64", "float32", "float32"],
        "quotient": ["float64", "float32", "float32"],
    }


@pytest.mark.parametrize(
    ("name", "theirs", "ours", "point", "expected"),
    [
        ("maximum", lambda x: torch.maximum(x[0], x[1]), lambda x: backlit.maximum(x[0], x[1]),
         [3.0, 3.0], ([0.5, 0.5], [0.5, 0.5])),
        ("max along an axis", lambda x: x.max(dim=0).values, lambda x: x.max(axis=0),
         [3.0, 3.0, 1.0], ([1.0, 0.0, 0.0], [0.5, 0.5, 0.0])),
        ("min along an axis", lambda x: x.min(dim=0).values, lambda x: x.min(axis=0),
         [3.0, 3.0, 5.0], ([1.0, 0.0, 0.0], [0.5, 0.5, 0.0])),
        ("max-pooling", lambda x: torch.nn.functional.max_pool1d(x[None, None], 2),
         lambda x: functional.max_pool1d(x[None, None], 2), [3.0, 3.0], ([1.0, 0.0], [1.0, 0.0])),
        ("relu", torch.relu, functional.relu, [0.0], ([0.0], [0.0])),
        ("abs", torch.abs, backlit.abs, [0.0], ([0.0], [0.0])),
        ("norm", torch.linalg.vector_norm, backlit.vector_norm,
         [0.0, 0.0], ([0.0, 0.0], [0.0, 0.0])),
        ("std", lambda x: x.std(correction=0), backlit.std, [2.0, 2.0], ([0.0, 0.0], [0.0, 0.0])),
        ("relu of NaN", torch.relu, functional.relu, [NAN], ([1.0], [NAN])),
        ("leaky_relu of NaN", lambda x: torch.nn.functional.leaky_relu(x, 0.5),
         lambda x: functional.leaky_relu(x, 0.5), [NAN], ([0.5], [NAN])),
        ("maximum of NaN", lambda x: torch.maximum(x[0], x[1]),
         lambda x: backlit.maximum(x[0], x[1]), [NAN, 3.0], ([1.0, 1.0], [NAN, NAN])),
        ("clip of NaN", lambda x: torch.clip(x, 0.0, 1.0), lambda x: backlit.clip(x, 0.0, 1.0),
         [NAN], ([0.0], [NAN])),
        ("abs of NaN", torch.abs, backlit.abs, [NAN], ([0.0], [NAN])),
        ("max-pooling of NaN", lambda x: torch.nn.functional.max_pool1d(x[None, None], 2),
         lambda x: functional.max_pool1d(x[None, None], 2), [3.0, NAN], ([0.0, 1.0], [0.0, NAN])),
        ("hypot", lambda x: torch.hypot(x[0], x[1]), lambda x: backlit.hypot(x[0], x[1]),
         [0.0, 0.0], ([NAN, NAN], [0.0, 0.0])),
        ("logsumexp", lambda x: torch.logsumexp(x, 0), backlit.logsumexp,
         [-INF, -INF], ([NAN, NAN], [0.0, 0.0])),
        ("logaddexp of -∞", lambda x: torch.logaddexp(x[0], x[1]),
         lambda x: backlit.logaddexp(x[0], x[1]), [-INF, -INF], ([NAN, NAN], [0.0, 0.0])),
        ("logaddexp of ∞", lambda x: torch.logaddexp(x[0], x[1]),
         lambda x: backlit.logaddexp(x[0], x[1]), [INF, INF], ([NAN, NAN], [0.5, 0.5])),
        ("hinge", lambda x: torch.nn.functional.hinge_embedding_loss(x, torch.tensor([-1.0])),
         lambda x: functional.hinge_embedding_loss(x, backlit.tensor([-1.0])),
         [1.0], ([-1.0], [0.0])),
    ],
)  # fmt: skip
def test_gradients_at_ties_and_kinks(name, theirs, ours, point, expected):
    t = torch.tensor(point, requires_grad=True)
    theirs(t).sum().backward()
    b = backlit.tensor(point, requires_grad=True)
    ours(b).sum().backward()
    np.testing.assert_array_equal([t.grad.tolist(), b.grad.tolist()], expected)


def test_values_of_nan():
    assert np.isnan(functional.relu(backlit.tensor(NAN)).item())
    assert torch.relu(torch.tensor(NAN)).isnan().item()
    assert (torch.sign(torch.tensor(NAN)).item(), np.isnan(np.sign(NAN))) == (0.0, True)
    assert np.isnan(backlit.sign(backlit.tensor(NAN)).item())


def test_dlpack_goes_both_ways():
    t = backlit.asarray(np.arange(3.0))
    assert torch.from_dlpack(t).tolist() == [0.0, 1.0, 2.0]
    assert backlit.from_dlpack(torch.arange(3.0)).tolist() == [0.0, 1.0, 2.0]


#: Where a thing of one name leaves something else out: what PyTorch takes, what Backlit does.
DEFAULTS = {
    # The same in other words:
    ("ModuleDict", "modules"): (None, ()),
    ("ModuleList", "modules"): (None, ()),
    ("PackedSequence", "batch_sizes"): (None, inspect.Parameter.empty),
    ("DataLoader", "shuffle"): (None, False),
    ("random_split", "generator"): (torch.default_generator, None),
    ("Buffer", "data"): (None, inspect.Parameter.empty),
    ("Parameter", "data"): (None, inspect.Parameter.empty),
    ("Transformer", "activation"): (torch.nn.functional.relu, "relu"),
    ("TransformerDecoderLayer", "activation"): (torch.nn.functional.relu, "relu"),
    ("TransformerEncoderLayer", "activation"): (torch.nn.functional.relu, "relu"),
    ("batch_norm", "running_mean"): (inspect.Parameter.empty, None),
    ("batch_norm", "running_var"): (inspect.Parameter.empty, None),
}


def shared():
    """Each thing that both have by one name, with our signature and PyTorch's."""
    for ours, theirs in (
        (nn, torch.nn),
        (functional, torch.nn.functional),
        (init, torch.nn.init),
        (optim, torch.optim),
        (optim.lr_scheduler, torch.optim.lr_scheduler),
        (nn.utils, torch.nn.utils),
        (data, torch.utils.data),
        (nn.utils.rnn, torch.nn.utils.rnn),
    ):
        for name in sorted(vars(ours)):
            a, b = getattr(ours, name), getattr(theirs, name, None)
            if name.startswith("_") or not callable(a) or not callable(b) or name == "Tensor":
                continue
            try:
                yield name, inspect.signature(a).parameters, inspect.signature(b).parameters
            except ValueError:
                continue  # PyTorch's is written in C++


def test_what_is_left_out_means_the_same():
    found, compared = {}, 0
    for name, ours, theirs in shared():
        for key in ours.keys() & theirs.keys() - {"dtype"}:
            compared += 1
            a, b = theirs[key].default, ours[key].default
            if a != b or isinstance(a, bool) is not isinstance(b, bool):
                found[name, key] = (a, b)
    assert found == DEFAULTS
    assert compared > 250


def positional(parameters):
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return [n for n, p in parameters.items() if p.kind in kinds]


def test_an_argument_without_a_name_means_the_same():
    found = {
        name
        for name, ours, theirs in shared()
        if set(positional(theirs)) >= set(positional(ours))
        and positional(theirs)[: len(positional(ours))] != positional(ours)
    }
    assert not found


def test_results_of_another_kind():
    array = np.array([[1.0, 3.0, 0.0], [2.0, 2.0, 5.0]], np.float32)
    x, t = backlit.tensor(array), torch.tensor(array)
    assert x.std(correction=0).item() == pytest.approx(array.std()) != pytest.approx(t.std().item())
    assert x.var(correction=1).item() == pytest.approx(t.var().item())
    cube, torch_cube = backlit.stack([x, 2 * x]), torch.stack([t, 2 * t])
    with pytest.warns(UserWarning, match="softmax: dim is not given, so axis 0 of float32"):
        got = functional.softmax(cube).numpy()
    np.testing.assert_allclose(got, torch.softmax(torch_cube, 0).numpy(), rtol=1e-6)
    grid = [g.tolist() for g in backlit.meshgrid(x[0], x[1, :2])]
    assert grid == [g.tolist() for g in np.meshgrid(array[0], array[1, :2])]
    assert grid == [g.tolist() for g in torch.meshgrid(t[0], t[1, :2], indexing="xy")]
    assert grid != [g.tolist() for g in torch.meshgrid(t[0], t[1, :2], indexing="ij")]
    assert x.max(axis=0).tolist() == t.max(dim=0).values.tolist()
    assert backlit.sort(x).tolist() == torch.sort(t).values.tolist()
    assert np.array_equal(np.stack(backlit.nonzero(x), 1), torch.nonzero(t).numpy())
    assert (backlit.equal(x, x).shape, torch.equal(t, t)) == ((2, 3), True)
    assert backlit.mean(backlit.tensor([1, 2])).item() == 1.5
    with pytest.raises(RuntimeError, match="mean"):
        torch.tensor([1, 2]).mean()
    w = torch.tensor(array, requires_grad=True)
    (theirs,) = torch.autograd.grad((w * w).sum(), w)
    v = backlit.tensor(array, requires_grad=True)
    assert backlit.grad((v * v).sum(), v).tolist() == theirs.tolist()
