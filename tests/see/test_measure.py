"""Per-sample gradients, curvature, and what the tape keeps, against their definitions."""

import numpy as np
import pytest

import backlit as bl
from backlit import models, nn, see
from backlit.errors import ArgumentError
from backlit.nn import functional as F
from sampling import only

cross_entropy = nn.CrossEntropyLoss()
RNG = np.random.default_rng


class Residual(nn.Module):
    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def forward(self, x):
        return x + self.inner(x)


def images():
    net = nn.Sequential(
        nn.Conv2d(1, 3, 3, padding=1),
        nn.BatchNorm2d(3),
        nn.Tanh(),
        Residual(nn.Conv2d(3, 3, 3, padding=1)),
        nn.AvgPool2d(2),
        nn.Flatten(),
        nn.LayerNorm(12),
        nn.Linear(12, 4),
    ).eval()
    rng = RNG(0)
    return net, (rng.standard_normal((5, 1, 4, 4)), rng.integers(0, 4, 5)), cross_entropy


def words():
    rng = RNG(1)
    net = models.WindowTagger(vocabulary=7, width=3, window=3, hidden=5, classes=4)
    return net, (rng.integers(0, 7, (6, 3)), rng.integers(0, 4, 6)), cross_entropy


def letters():
    rng = RNG(2)
    net = models.GPT2(5, context=4, layers=1, heads=2, width=4, dropout=0.0)
    return (
        net,
        (rng.integers(0, 5, (3, 4)), rng.integers(0, 5, (3, 4))),
        lambda z, y: cross_entropy(z.reshape(-1, 5), y.reshape(-1)),
    )


def recurrent():
    class Last(nn.Module):
        def __init__(self):
            super().__init__()
            self.lstm = nn.LSTM(2, 3, batch_first=True)

        def forward(self, x):
            return self.lstm(x)[0][:, -1]

    rng = RNG(3)
    batch = (rng.standard_normal((4, 5, 2)), rng.standard_normal((4, 3)))
    return Last(), batch, nn.MSELoss(reduction="sum")


PROBLEMS = {"images": images, "words": words, "letters": letters, "recurrent": recurrent}


@pytest.fixture(params=only("images words recurrent", PROBLEMS))
def problem(request):
    bl.manual_seed(0)
    net, batch, loss_fn = PROBLEMS[request.param]()
    return net.to(bl.float64), tuple(map(bl.asarray, batch)), loss_fn


def loss_gradient(net, batch, loss_fn) -> np.ndarray:
    """The gradient by all parameters in a row."""
    grads = bl.grad(loss_fn(net(*batch[:-1]), batch[-1]), list(net.parameters()), allow_unused=True)
    return np.concatenate(
        [
            np.zeros(p.size) if g is None else g.numpy().reshape(-1)
            for g, p in zip(grads, net.parameters(), strict=True)
        ]
    )


def flat(named) -> np.ndarray:
    return np.concatenate([np.asarray(v).reshape(-1) for v in named.values()])


def numerical_hessian(net, batch, loss_fn, step=1e-5) -> np.ndarray:
    """Central differences of the gradient, one parameter after the other."""
    columns = []
    for p in net.parameters():
        start = p.numpy().copy()
        for i in range(p.size):
            sides = []
            for sign in (1, -1):
                moved = start.copy().reshape(-1)
                moved[i] += sign * step
                p.assign(bl.asarray(moved.reshape(p.shape)))
                sides.append(loss_gradient(net, batch, loss_fn))
            columns.append((sides[0] - sides[1]) / (2 * step))
        p.assign(bl.asarray(start))
    return np.array(columns)


# -- per-sample gradients -------------------------------------------------------------------------


def test_sample_gradients_are_those_of_samples_alone(problem) -> None:
    net, batch, loss_fn = problem
    state = {n: t.numpy().copy() for n, t in net.state_dict().items()}
    found = see.sample_gradients(net, batch, loss_fn)
    assert list(found) == [n for n, _ in net.named_parameters()]
    for i in range(len(batch[0])):
        alone = loss_gradient(net, tuple(t[i : i + 1] for t in batch), loss_fn)
        mine = np.concatenate([g[i].reshape(-1) for g in found.values()])
        np.testing.assert_allclose(mine, alone, rtol=1e-10, atol=1e-13)
        np.testing.assert_allclose(found.norms[i], np.linalg.norm(alone), rtol=1e-10)
    assert all(np.array_equal(t.numpy(), state[n]) for n, t in net.state_dict().items())
    assert all(p.grad is None for p in net.parameters())


def test_noise_is_that_of_its_definition() -> None:
    """w x with loss (w x)² / 1: gᵢ = 2 w xᵢ², so that everything is known."""
    net = nn.Linear(1, 1, bias=False).to(bl.float64)
    w = net.weight.numpy().item()
    x = np.array([1.0, 2.0, 3.0, 0.5])
    batch = bl.asarray(x[:, None]), bl.zeros((4, 1), dtype=bl.float64)
    found = see.sample_gradients(net, batch, nn.MSELoss())
    g = 2 * w * x**2
    noise = found.noise["weight"]
    assert noise.samples == 4
    np.testing.assert_allclose(noise.mean, [[g.mean()]])
    np.testing.assert_allclose(noise.spread, g.var(ddof=1))
    power = g.mean() ** 2 - g.var(ddof=1) / 4
    np.testing.assert_allclose(noise.power, power)
    np.testing.assert_allclose(noise.snr, max(power, 0) / g.var(ddof=1))
    np.testing.assert_allclose(found.total.scale, g.var(ddof=1) / power)
    text = repr(found)
    assert "weight" in text
    assert "4 samples" in text
    assert "(sample 2)" in text


def test_noise_without_signal_and_signal_without_noise() -> None:
    only_noise = see.Noise(np.zeros(2), np.ones(2), np.ones(5))
    assert only_noise.scale == np.inf
    assert only_noise.snr == 0
    only_signal = see.Noise(np.ones(2), np.zeros(2), np.ones(5))
    assert only_signal.scale == 0
    assert only_signal.snr == np.inf


def test_one_sample_has_no_variance() -> None:
    net = nn.Linear(2, 1)
    found = see.sample_gradients(net, (bl.ones((1, 2)), bl.ones((1, 1))), nn.MSELoss())
    assert np.isnan(found.noise["weight"].variance).all()


def test_mixed_or_random_samples_are_an_error() -> None:
    x, y = bl.asarray(RNG(0).standard_normal((6, 3))), bl.asarray(RNG(1).standard_normal((6, 3)))
    mixing = nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3), nn.Dropout()).to(bl.float64)
    with pytest.raises(ArgumentError, match=r"BatchNorm1d 1, Dropout 2 in training mode.*eval\(\)"):
        see.sample_gradients(mixing, (x, y), nn.MSELoss())

    class Centred(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = nn.Linear(3, 3)

        def forward(self, x):
            z = self.inner(x)
            return z - z.mean(axis=0, keepdims=True)

    with pytest.raises(ArgumentError, match="neither; the loss weighs samples differently, or the"):
        see.sample_gradients(Centred().to(bl.float64), (x, y), nn.MSELoss())


def test_bad_input_to_sample_gradients() -> None:
    net = nn.Linear(2, 1)
    loss = nn.MSELoss()
    with pytest.raises(ArgumentError, match="sample_gradients: needs a Module, got int"):
        see.sample_gradients(3, (1, 2), loss)
    with pytest.raises(ArgumentError, match="a batch is a tuple of the model's inputs, then the"):
        see.sample_gradients(net, bl.ones((2, 2)), loss)
    with pytest.raises(ArgumentError, match=r"same number of samples.*\(3, 2\), \(2, 1\)"):
        see.sample_gradients(net, (bl.ones((3, 2)), bl.ones((2, 1))), loss)
    with pytest.raises(ArgumentError, match=r"must be a single number, got float32\[1,1\]|got .*2"):
        see.sample_gradients(
            net, (bl.ones((3, 2)), bl.ones((3, 1))), lambda z, y: bl.concat([z, y])
        )
    with pytest.raises(ArgumentError, match="no parameter that requires a gradient"):
        see.sample_gradients(nn.ReLU(), (bl.ones((3, 2)), bl.ones((3, 1))), loss)
    large = nn.Linear(30_000, 10, bias=False)
    batch = bl.zeros((2000, 30_000), dtype=bl.float32), bl.zeros((2000, 10))
    with pytest.raises(ArgumentError, match=r"2000 samples × 300,000 .* 2\.2 GiB.*give 1789 at a"):
        see.sample_gradients(large, batch, loss)


def test_a_model_that_cannot_be_captured_is_run_as_it_is() -> None:
    class Branching(nn.Module):
        def __init__(self):
            super().__init__()
            self.a = nn.Linear(2, 1)

        def forward(self, x):
            return self.a(x) if x.sum().item() > 0 else -self.a(x)

    net = Branching().to(bl.float64)
    x = bl.asarray(np.array([[1.0, 2.0], [-1.0, -3.0]]))
    y = bl.zeros((2, 1), dtype=bl.float64)
    found = see.sample_gradients(net, (x, y), lambda z, y: ((z - y) ** 2).sum() / len(y))
    for i in range(2):
        alone = loss_gradient(net, (x[i : i + 1], y[:1]), lambda z, y: ((z - y) ** 2).sum())
        np.testing.assert_allclose(flat({n: g[i] for n, g in found.items()}), alone)


# -- curvature ------------------------------------------------------------------------------------


@pytest.mark.slow
def test_products_and_diagonal_are_those_of_the_hessian(problem) -> None:
    net, batch, loss_fn = problem
    curvature = see.curvature(net, batch, loss_fn)
    matrix = numerical_hessian(net, batch, loss_fn)
    scale = np.abs(matrix).max()
    v = RNG(5).standard_normal(len(matrix))
    named = dict(zip(curvature.problem.names, curvature._split(v), strict=True))
    near = {"rtol": 1e-5, "atol": 1e-6 * scale}  # the matrix is one of differences
    np.testing.assert_allclose(flat(curvature.hvp(named)), matrix @ v, **near)
    np.testing.assert_allclose(flat(curvature.hvp(list(named.values()))), matrix @ v, **near)
    np.testing.assert_allclose(flat(curvature.diagonal()), np.diag(matrix), **near)
    top = curvature.top_eigenvalue(tolerance=1e-7)
    np.testing.assert_allclose(top.value, np.linalg.eigvalsh(matrix)[-1], rtol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(flat(top.vector)), 1.0)
    u = flat(top.vector)
    np.testing.assert_allclose(matrix @ u, top.value * u, atol=1e-5 * scale)


@pytest.mark.long
def test_estimates_come_near_and_do_not_depend_on_what_ran_before() -> None:
    bl.manual_seed(0)
    net, batch, loss_fn = words()
    net = net.to(bl.float64)
    batch = tuple(map(bl.asarray, batch))
    curvature = see.curvature(net, batch, loss_fn)
    exact, estimate = flat(curvature.diagonal()), flat(curvature.diagonal(samples=3000))
    assert np.linalg.norm(exact - estimate) < 0.15 * np.linalg.norm(exact)
    trace, error = curvature.trace(samples=300)
    assert abs(trace - exact.sum()) < 4 * error < 0.5 * abs(exact.sum())
    again = see.curvature(net, batch, loss_fn)
    assert np.array_equal(flat(again.diagonal(samples=5)), flat(curvature.diagonal(samples=5)))
    assert not np.array_equal(flat(again.diagonal(samples=5, seed=1)), flat(again.diagonal(5)))
    gauss_newton = flat(curvature.gauss_newton_diagonal())
    sampled = flat(curvature.gauss_newton_diagonal(samples=2000))
    assert np.linalg.norm(gauss_newton - sampled) < 0.1 * np.linalg.norm(gauss_newton)


@pytest.mark.slow
def test_the_gauss_newton_diagonal_is_that_of_its_definition(problem) -> None:
    """Jᵀ L J with the Jacobian row by row, and the loss's Hessian in closed form."""
    net, batch, loss_fn = problem
    inputs = batch[:-1]
    found = flat(see.curvature(net, batch, loss_fn).gauss_newton_diagonal())
    outputs = net(*inputs)
    z = outputs.numpy()
    rows = [
        loss_gradient(net, (*inputs, i), lambda out, i: out.reshape(-1)[i.item()])
        for i in map(bl.asarray, range(outputs.size))
    ]
    jacobian = np.array(rows)
    if isinstance(loss_fn, nn.MSELoss):
        middle = 2 * np.eye(z.size)
    else:
        p = np.exp(z - z.max(-1, keepdims=True)).reshape(-1, z.shape[-1])
        p /= p.sum(-1, keepdims=True)
        middle = np.zeros((z.size, z.size))
        for n, q in enumerate(p):
            part = slice(n * len(q), (n + 1) * len(q))
            middle[part, part] = (np.diag(q) - np.outer(q, q)) / len(p)
    expected = np.diag(jacobian.T @ middle @ jacobian)
    np.testing.assert_allclose(found, expected, rtol=1e-8, atol=1e-12)


def test_curvature_leaves_everything_as_it_was() -> None:
    net = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 1)).to(bl.float64)
    x, y = bl.asarray(RNG(0).standard_normal((6, 3))), bl.asarray(RNG(1).standard_normal((6, 1)))
    before = {n: t.numpy().copy() for n, t in net.state_dict().items()}
    state = bl.random.default_generator().state_dict()
    curvature = see.curvature(net, (x, y), nn.MSELoss())  # in training mode: all samples together
    diagonal = curvature.diagonal()
    for n, t in net.state_dict().items():
        assert np.array_equal(t.numpy(), before[n]), n
    assert bl.random.default_generator().state_dict() == state
    matrix = numerical_hessian(net, (x, y), nn.MSELoss())
    np.testing.assert_allclose(flat(diagonal), np.diag(matrix), atol=1e-6 * np.abs(matrix).max())


def test_curvature_follows_the_parameters() -> None:
    net = nn.Linear(1, 1, bias=False).to(bl.float64)
    x, y = bl.ones((1, 1), dtype=bl.float64), bl.zeros((1, 1), dtype=bl.float64)
    curvature = see.curvature(net, (x, y), lambda z, y: (z**4).sum())
    for w in (1.0, 2.0):
        net.weight.assign(bl.asarray([[w]], dtype=bl.float64))
        np.testing.assert_allclose(curvature.diagonal()["weight"], [[12 * w * w]])


def test_bad_input_to_curvature() -> None:
    net = nn.Linear(2, 1)
    batch = bl.ones((3, 2)), bl.ones((3, 1))
    curvature = see.curvature(net, batch, nn.MSELoss())
    with pytest.raises(ArgumentError, match=r"no trained parameter is called 'w'.*weight, bias"):
        curvature.hvp({"w": [1.0]})
    with pytest.raises(ArgumentError, match=r"must have its shape \(1, 2\), got \(2,\)"):
        curvature.hvp({"weight": [1.0, 2.0]})
    with pytest.raises(ArgumentError, match="each of the 2 parameters is needed, got 1"):
        curvature.hvp([np.ones((1, 2))])
    for call in (curvature.diagonal, curvature.trace, curvature.gauss_newton_diagonal):
        with pytest.raises(ArgumentError, match="samples must be at least 1, got 0"):
            call(samples=0)
    with pytest.raises(ArgumentError, match="steps must be at least 1, got 0"):
        curvature.top_eigenvalue(steps=0)
    wide = see.curvature(nn.Linear(200, 200), (bl.ones((1, 200)), bl.ones((1, 200))), nn.MSELoss())
    with pytest.raises(ArgumentError, match=r"40,200 parameters.*samples=100"):
        wide.diagonal()
    noise = type("Noise", (nn.Dropout,), {})()  # known by what it is, not by its name
    for layer in (nn.Dropout(), nn.AlphaDropout(), nn.RReLU(), noise):
        with pytest.raises(ArgumentError, match=rf"{type(layer).__name__} 0 in training mode"):
            see.curvature(nn.Sequential(layer, net), batch, nn.MSELoss())
    many = nn.Linear(1, 2000)
    with pytest.raises(ArgumentError, match=r"may have 1024 elements, got 2000"):
        see.curvature(
            many, (bl.ones((1, 1)), bl.ones((1, 2000))), nn.MSELoss()
        ).gauss_newton_diagonal()

    class Two(nn.Module):
        def __init__(self):
            super().__init__()
            self.a = nn.Linear(2, 1)

        def forward(self, x):
            return self.a(x), x

    with pytest.raises(ArgumentError, match="must return one Tensor, got tuple"):
        see.curvature(Two(), batch, lambda z, y: ((z[0] - y) ** 2).mean()).gauss_newton_diagonal()


# -- what the tape keeps --------------------------------------------------------------------------


def test_saved_arrays_are_counted_once_with_their_owners() -> None:
    net = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 2))
    x = bl.ones((16, 4))
    y = net(x)
    kept = see.saved(F.cross_entropy(y, bl.zeros((16,), dtype=bl.int64)))
    tanh = [a for a in kept if a.op == "tanh"]
    assert [(a.shape, a.bytes, a.module) for a in tanh] == [((16, 8), 16 * 8 * 4, "Sequential.1")]
    assert tanh[0].shared == 2  # the next linear layer needs it, too
    assert tanh[0].line.startswith("test_measure.py:")
    assert not any(a.bytes for a in kept if a.parameter and a.op == "tanh")
    assert kept.bytes == sum(kept.by("op").values()) == sum(kept.by("module").values())
    assert kept.bytes == sum(kept.by("line").values())
    assert "bytes are kept for backward" in repr(kept)


def test_views_count_as_the_memory_they_keep_alive() -> None:
    base = bl.tensor(np.arange(1000.0), requires_grad=True) * 2.0
    kept = see.saved(bl.exp(base[:10]).sum() + bl.square(base[5:7]).sum())
    square = [a for a in kept if a.op == "square"]
    assert [a.bytes for a in square] == [8000]


def test_bad_input_to_saved() -> None:
    with pytest.raises(ArgumentError, match="saved: needs a Tensor, got float"):
        see.saved(1.0)
    with pytest.raises(ArgumentError, match="this one is a leaf"):
        see.saved(bl.tensor(1.0, requires_grad=True))
    with pytest.raises(ArgumentError, match="this one has no graph"):
        see.saved(bl.ones(2) * 2)
    x = bl.tensor(2.0, requires_grad=True)
    with pytest.raises(ArgumentError, match=r'"line", "module" or "op", got \'size\''):
        see.saved(x * x).by("size")


def test_curvature_says_what_it_is():
    model = bl.nn.Linear(2, 1)
    c = see.curvature(model, (bl.ones((3, 2)), bl.ones((3, 1))), bl.nn.MSELoss())
    assert repr(c).startswith("Curvature(Linear, 3 parameters; ask for diagonal(),")


def test_samples_of_a_parameter_that_is_not_there():
    samples = see.sample_gradients(
        bl.nn.Linear(2, 1), (bl.ones((3, 2)), bl.ones((3, 1))), bl.nn.MSELoss()
    )
    with pytest.raises(KeyError, match=r"'w'; there are weight, bias"):
        samples["w"]


def test_a_generator_of_the_model_is_put_back() -> None:
    class Noisy(nn.Module):
        def __init__(self):
            super().__init__()
            self.noise = bl.Generator(5)
            self.linear = nn.Linear(2, 1)

        def forward(self, x):
            return self.linear(x) + 0.0 * self.noise.normal((1, 1))

    net = Noisy()
    batch = bl.ones((3, 2)), bl.zeros((3, 1))
    see.sample_gradients(net, batch, nn.MSELoss())
    see.curvature(net, batch, nn.MSELoss()).top_eigenvalue(steps=2)
    assert int(net.noise.counter) == 0
