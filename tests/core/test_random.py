"""Random numbers: the generator's bits, the distributions, streams, state."""

import math
import threading

import numpy as np
import pytest
from scipy import stats

import backlit as bl
from backlit import random
from backlit.compiler.api import interpreter
from backlit.errors import ArgumentError, DTypeError

# -- Philox 4x64-10, written anew from Salmon, Moraes, Dror & Shaw, SC 2011, sec. 3.3 ------

_MASK = 2**64 - 1
_MULTIPLIERS = (0xD2E7470EE14C6C93, 0xCA5A826395121157)
_WEYL = (0x9E3779B97F4A7C15, 0xBB67AE8584CAA73B)


def philox(counter, key):
    """One block: four 64-bit words of a counter of four words and a key of two."""
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for _ in range(10):
        p0, p1 = _MULTIPLIERS[0] * c0, _MULTIPLIERS[1] * c2
        c0, c1, c2, c3 = (p1 >> 64) ^ c1 ^ k0, p1 & _MASK, (p0 >> 64) ^ c3 ^ k1, p0 & _MASK
        k0, k1 = (k0 + _WEYL[0]) & _MASK, (k1 + _WEYL[1]) & _MASK
    return c0, c1, c2, c3


def block_words(seed, block):
    """The eight 32-bit words of one block of a seed's stream, low halves first."""
    words = philox((block & _MASK, block >> 64, 0, 0), (seed, 0))
    return [half for word in words for half in (word & 0xFFFFFFFF, word >> 32)]


def test_known_answers_of_the_reference_implementation():
    """Test vectors of Random123 1.14, file kat_vectors, lines philox4x64 10."""
    full = (_MASK,) * 4
    pi = (0x243F6A8885A308D3, 0x13198A2E03707344, 0xA4093822299F31D0, 0x082EFA98EC4E6C89)
    e = (0x452821E638D01377, 0xBE5466CF34E90C6C)
    assert philox((0,) * 4, (0, 0)) == (
        0x16554D9ECA36314C, 0xDB20FE9D672D0FDC, 0xD7E772CEE186176B, 0x7E68B68AEC7BA23B,
    )  # fmt: skip
    assert philox(full, (_MASK, _MASK)) == (
        0x87B092C3013FE90B, 0x438C3C67BE8D0224, 0x9CC7D7C69CD777B6, 0xA09CAEBF594F0BA0,
    )  # fmt: skip
    assert philox(pi, e) == (
        0xA528F45403E61D95, 0x38C72DBD566E9788, 0xA5A1610E72FD18B5, 0x57BD43B5E52B7FE6,
    )  # fmt: skip


@pytest.mark.parametrize("seed", [0, 1, 12345, 2**64 - 1])
def test_bits_are_the_blocks_of_philox_from_the_counter_on(seed):
    generator = bl.Generator(seed)
    got = generator.bits((20,)).tolist()
    # The counter counts the blocks drawn; as in NumPy it goes up before each block is made.
    want = [w for block in (1, 2, 3) for w in block_words(seed, block)]
    assert got == want[:20]


def test_the_stream_goes_on_where_it_ended():
    generator, whole = bl.Generator(5), bl.Generator(5)
    parts = [generator.bits((8,)).tolist(), generator.bits((2, 8)).tolist()]
    assert parts[0] + parts[1][0] + parts[1][1] == whole.bits((24,)).tolist()
    assert generator.counter.numpy().item() == 3


def test_draws_do_not_overlap():
    generator = bl.Generator(5)
    seen = [w for n in (1, 3, 8, 9, 5) for w in generator.bits((n,)).tolist()]
    assert len(set(seen)) == len(seen)


def test_counters_may_be_large():
    generator = bl.Generator(5)
    generator.counter.assign(np.array(2**63 + 11, np.uint64))
    got = generator.bits((8,)).tolist()
    assert got == block_words(5, 2**63 + 12)
    assert generator.counter.numpy().item() == 2**63 + 12


def test_bits_are_uint32_of_any_shape():
    x = bl.Generator(0).bits((2, 3))
    assert (x.shape, x.dtype) == ((2, 3), bl.uint32)
    assert bl.Generator(0).bits((0,)).shape == (0,)
    assert bl.Generator(0).bits(()).shape == ()


# -- distributions ------------------------------------------------------------------

N = 200_000


def kolmogorov(sample, distribution):
    assert stats.kstest(sample.numpy().ravel().astype(np.float64), distribution).pvalue > 1e-3


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_uniform(dtype):
    x = bl.Generator(1).uniform((N,), dtype=dtype)
    assert x.dtype == np.dtype(dtype)
    a = x.numpy().astype(np.float64)
    assert 0 <= a.min() < 1e-4
    assert 1 - 1e-4 < a.max() < 1
    assert a.mean() == pytest.approx(0.5, abs=5 / math.sqrt(12 * N))
    kolmogorov(x, "uniform")


def test_uniform_numbers_are_multiples_of_a_power_of_two():
    a = bl.Generator(1).uniform((1000,)).numpy().astype(np.float64) * 2**24
    assert (a == np.floor(a)).all()
    b = bl.Generator(1).uniform((1000,), dtype="float64").numpy() * 2.0**53
    assert (b == np.floor(b)).all()
    assert (b % 2 == 1).any()


def test_uniform_numbers_use_the_leading_bits():
    w = bl.Generator(1).bits((50,)).numpy().astype(np.float64)
    assert bl.Generator(1).uniform((50,)).tolist() == (np.floor(w / 2**8) / 2**24).tolist()
    high, low = bl.Generator(1).bits((2, 50)).numpy().astype(np.float64)
    want = (np.floor(high / 2**5) * 2**26 + np.floor(low / 2**6)) / 2**53
    assert bl.Generator(1).uniform((50,), dtype="float64").tolist() == want.tolist()


def test_uniform_between_limits():
    x = bl.Generator(2).uniform((N,), -3.0, 5.0).numpy()
    assert x.min() >= -3
    assert x.max() <= 5
    assert stats.kstest(x.astype(np.float64), "uniform", (-3, 8)).pvalue > 1e-3


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_normal(dtype):
    x = bl.Generator(3).normal((N,), dtype=dtype)
    a = x.numpy().astype(np.float64)
    assert x.dtype == np.dtype(dtype)
    assert np.isfinite(a).all()
    assert a.mean() == pytest.approx(0, abs=5 / math.sqrt(N))
    assert a.var() == pytest.approx(1, abs=5 * math.sqrt(2 / N))
    assert stats.skew(a) == pytest.approx(0, abs=5 * math.sqrt(6 / N))
    assert stats.kurtosis(a) == pytest.approx(0, abs=5 * math.sqrt(24 / N))
    kolmogorov(x, "norm")


def test_normal_with_mean_and_deviation_and_odd_sizes():
    x = bl.Generator(3).normal((333, 333), 10.0, 0.5).numpy().astype(np.float64)
    assert x.shape == (333, 333)
    assert stats.kstest(x.ravel(), stats.norm(10, 0.5).cdf).pvalue > 1e-3


def test_normal_of_the_smallest_uniform_number_is_finite(monkeypatch):
    generator = bl.Generator(0)
    monkeypatch.setattr(generator, "bits", lambda shape: bl.zeros(shape, dtype="uint32"))
    assert generator.uniform((2,)).tolist() == [0.0, 0.0]
    assert np.isfinite(generator.normal((4,)).numpy()).all()


def test_normal_halves_are_independent():
    x = bl.Generator(3).normal((N,)).numpy().astype(np.float64)
    assert abs(np.corrcoef(x[: N // 2], x[N // 2 :])[0, 1]) < 5 / math.sqrt(N / 2)
    assert abs(np.corrcoef(x[:-1], x[1:])[0, 1]) < 5 / math.sqrt(N)


def test_sixteen_bit_numbers():
    x = bl.Generator(1).normal((1000,), dtype="bfloat16")
    assert x.dtype == bl.bfloat16
    assert bl.Generator(1).uniform((10,), dtype="float16").dtype == bl.float16


def test_integers():
    x = bl.Generator(4).integers(-3, 4, (N,)).numpy()
    assert x.dtype == np.int64
    counts = np.bincount(x + 3, minlength=7)
    assert counts.size == 7
    assert stats.chisquare(counts).pvalue > 1e-3


def test_permutation():
    x = bl.Generator(5).permutation(1000).numpy()
    assert sorted(x) == list(range(1000))
    firsts = [bl.Generator(seed).permutation(4).tolist()[0] for seed in range(800)]
    assert stats.chisquare(np.bincount(firsts, minlength=4)).pvalue > 1e-3
    assert bl.Generator(5).permutation(0).shape == (0,)


def chances(counts, weights):
    """Whether counts are those of draws in proportion to weights."""
    weights = np.asarray(weights, float)
    drawn = weights > 0
    assert not counts[~drawn].any()
    expected = weights[drawn] / weights.sum() * counts.sum()
    return stats.chisquare(counts[drawn], expected).pvalue > 1e-3


def test_classes_are_drawn_in_proportion_to_their_weights():
    weights = np.array([3.0, 0.0, 1.0, 4.0, 2.0, 0.0])
    p = bl.tensor(np.stack([weights, weights[::-1]]))
    drawn = bl.Generator(3).multinomial(p, N // 10, replacement=True)
    assert (drawn.shape, drawn.dtype) == ((2, N // 10), bl.int64)
    for row, own in zip(drawn.numpy(), p.numpy(), strict=True):
        assert chances(np.bincount(row, minlength=6), own)
    several = bl.Generator(4).multinomial(bl.tensor(np.tile(weights, (N // 10, 1))), 2).numpy()
    assert (several[:, 0] != several[:, 1]).all()
    assert chances(np.bincount(several[:, 0], minlength=6), weights)
    left = weights.copy()
    left[3] = 0  # of those whose first was class 3, the second is drawn among the others
    assert chances(np.bincount(several[several[:, 0] == 3, 1], minlength=6), left)


def test_without_replacement_all_classes_can_be_drawn():
    drawn = bl.Generator(1).multinomial(bl.ones((50, 7)), 7).numpy()
    assert (np.sort(drawn, 1) == np.arange(7)).all()
    assert len({tuple(row) for row in drawn}) > 40


def test_bernoulli_and_exponential_numbers():
    p = bl.tensor([0.0, 1.0, 0.3], dtype="float16")
    drawn = bl.Generator(1).bernoulli(bl.broadcast_to(p, (N // 10, 3)))
    assert drawn.dtype == bl.float16
    none, every, some = drawn.numpy().astype(float).mean(0)
    assert (none, every) == (0, 1)
    assert some == pytest.approx(0.3, abs=5 * math.sqrt(0.21 / (N // 10)))
    for dtype in ("float32", "float64"):
        x = bl.Generator(2).exponential((N,), 4.0, dtype=dtype)
        assert x.dtype.name == dtype
        kolmogorov(x, stats.expon(scale=0.25).cdf)


def test_poisson_numbers():
    mean = bl.tensor([0.3, 7.0, 400.0], dtype="float64")
    drawn = bl.Generator(6).poisson(bl.broadcast_to(mean, (N // 10, 3))).numpy()
    for column, m in zip(drawn.T, mean.tolist(), strict=True):
        cuts = stats.poisson(m).ppf([0.2, 0.4, 0.6, 0.8])
        own = np.diff(stats.poisson(m).cdf(cuts), prepend=0, append=1)
        assert chances(np.bincount(np.searchsorted(cuts, column), minlength=5), own)
    generator = bl.Generator(6)
    again = [generator.poisson(mean).tolist() for _ in range(20)]
    assert len({tuple(a) for a in again}) > 10
    compiled = bl.Generator(6)
    step = bl.compile(compiled.poisson)
    assert [step(mean).tolist() for _ in range(20)] == again


def test_a_draw_of_classes_is_the_same_compiled_and_takes_scores_that_want_gradients():
    def step(generator, scores):
        p = bl.nn.functional.softmax(scores, dim=-1)
        return (
            generator.multinomial(p, 3),
            generator.multinomial(p, 3, True),
            generator.bernoulli(p.detach()),
        )

    scores = bl.tensor(np.linspace(-1, 1, 12).reshape(2, 6), requires_grad=True)
    eager, compiled = bl.Generator(9), bl.Generator(9)
    fast = bl.compile(lambda x: step(compiled, x))
    for _ in range(3):
        for a, b in zip(step(eager, scores), fast(scores), strict=True):
            assert a.tolist() == b.tolist()


@pytest.mark.parametrize(
    ("draw", "text"),
    [
        (lambda: random.multinomial(bl.ones(2), 3), r"3 different classes cannot be drawn of 2; u"),
        (lambda: random.multinomial(bl.ones(2), 0), r"num_samples must be a positive integer, got"),
        (lambda: random.multinomial(bl.tensor([1, 2]), 1), r"p must be floating weights of at lea"),
        (lambda: random.multinomial(bl.tensor([1.0, -1.0]), 1), r"must be finite and not negative"),
        (lambda: random.multinomial(bl.tensor([1.0, 0.0]), 2),
         r"multinomial: at least 2 classes must have a weight above 0, got 1; draw fewer, or with"),
        (lambda: random.multinomial(bl.zeros(2), 1, True),
         r"multinomial: at least one class must have a weight above 0, got 0"),
        (lambda: random.bernoulli(bl.tensor([1.5])), r"bernoulli: p must lie in \[0, 1\], got 1.5"),
        (lambda: random.exponential(2, 0.0), r"exponential: rate must be positive, got 0.0"),
    ],
)  # fmt: skip
def test_what_cannot_be_drawn_is_explained(draw, text):
    with pytest.raises(ArgumentError, match=text):
        draw()
    with pytest.raises(DTypeError, match=r"exponential: dtype must be floating, got int64"):
        random.exponential(2, dtype="int64")


# -- streams ------------------------------------------------------------------------


def test_the_seed_determines_the_stream():
    assert bl.Generator(1).normal((5,)).tolist() == bl.Generator(1).normal((5,)).tolist()
    assert bl.Generator(1).normal((5,)).tolist() != bl.Generator(2).normal((5,)).tolist()
    generator = bl.Generator(1)
    first = generator.uniform((3,)).tolist()
    assert generator.uniform((3,)).tolist() != first
    assert generator.manual_seed(1) is generator
    assert generator.uniform((3,)).tolist() == first


def test_the_default_generator():
    bl.manual_seed(9)
    got = [f((3,)).tolist() for f in (random.uniform, random.normal)]
    got += [random.integers(0, 10, (3,)).tolist(), random.permutation(5).tolist()]
    g = bl.Generator(9)
    want = [g.uniform((3,)).tolist(), g.normal((3,)).tolist(), g.integers(0, 10, (3,)).tolist()]
    assert got == [*want, g.permutation(5).tolist()]


def test_each_thread_has_a_default_generator_of_its_own():
    bl.manual_seed(1)
    before = random.default_generator().counter.numpy().item()
    results = {}

    def work(name):
        results[name] = (random.uniform((4,)).tolist(), random.default_generator())

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    fresh = bl.Generator(0).uniform((4,)).tolist()
    assert all(numbers == fresh for numbers, _ in results.values())
    assert len({id(g) for _, g in results.values()} | {id(random.default_generator())}) == 5
    assert random.default_generator().counter.numpy().item() == before


def test_state_dict_continues_the_stream():
    generator = bl.Generator(3)
    generator.normal((7,))
    saved = generator.state_dict()
    want = generator.normal((5,)).tolist()
    other = bl.Generator(0)
    other.load_state_dict(saved)
    assert other.normal((5,)).tolist() == want
    assert other.normal((5,)).tolist() != want
    other.load_state_dict(saved)
    assert other.normal((5,)).tolist() == want


def test_captured_draws_are_eager_draws():
    def draw(generator):
        return (
            generator.bits((5,)),
            generator.uniform((3, 2)),
            generator.uniform((3,), dtype="float64"),
            generator.normal((5,), 2.0, 3.0),
            generator.integers(0, 9, (4,)),
            generator.permutation(6),
        )

    eager, captured = bl.Generator(11), bl.Generator(11)
    f = bl.compile(lambda: draw(captured), executor=interpreter)
    for _ in range(3):
        for a, b in zip(draw(eager), f(), strict=True):
            assert a.dtype == b.dtype
            assert a.numpy().tobytes() == b.numpy().tobytes()
    assert len(f.graphs) == 1
    assert eager.counter.item() == captured.counter.item()


def test_a_new_seed_reaches_a_captured_function():
    generator = bl.Generator(1)
    f = bl.compile(lambda: generator.uniform((3,)), executor=interpreter)
    f()
    generator.manual_seed(2)
    assert f().tolist() == bl.Generator(2).uniform((3,)).tolist()


def test_drawing_puts_nothing_on_the_tape():
    assert not bl.Generator(0).normal((3,)).requires_grad


# -- bad input ----------------------------------------------------------------------


@pytest.mark.parametrize("seed", [-1, 2**64, 1.5, "a", None])
def test_bad_seeds(seed):
    limit = "below" if seed == 2**64 else "an integer that is not negative, got"
    with pytest.raises(ArgumentError, match=f"manual_seed: seed must be {limit}"):
        bl.Generator(seed)


def test_bad_arguments():
    g = bl.Generator(0)
    with pytest.raises(DTypeError, match=r"uniform: dtype must be floating, got int32; use int"):
        g.uniform((3,), dtype="int32")
    with pytest.raises(DTypeError, match="normal: dtype must be floating, got int32"):
        g.normal((3,), dtype="int32")
    with pytest.raises(ArgumentError, match="integers: low must be below high, got 3 and 3"):
        g.integers(3, 3, (2,))


@pytest.mark.parametrize("dtype", ["float32", "float64", "bfloat16"])
@pytest.mark.parametrize("counter", [5, 2**64 - 20])
def test_many_numbers_are_drawn_in_pieces_and_are_the_same(monkeypatch, dtype, counter):
    def drawn(count):
        generator = bl.Generator(3)
        generator.counter.assign(np.array(counter, np.uint64))
        found = [
            generator.uniform((count,), dtype=dtype),
            generator.uniform((count,), -2.0, 3.0, dtype=dtype),
            generator.normal((count,), dtype=dtype),
            generator.normal((1, count), 1.0, 0.3, dtype=dtype),
        ]
        return [(x.shape, x.dtype, x.array.tobytes()) for x in found], int(generator.counter.array)

    counts = (0, 1, 64, 65, 1001, 2048)
    whole = [drawn(count) for count in counts]
    monkeypatch.setattr("backlit.random.PIECE", 64)
    assert [drawn(count) for count in counts] == whole


def test_the_order_of_words_is_stable_also_where_places_do_not_fit_in_them():
    rng = np.random.default_rng(0)
    for high, shape in ((50, (3, 5000)), (2**53, (5000,)), (2**64 - 1, (2, 4096))):
        words = rng.integers(0, high, shape, dtype=np.uint64)
        words[..., 7] = words[..., 4000]  # and one pair that only its last bits tell apart
        words[..., 9] = words[..., 11] ^ np.uint64(1)
        for descending in (False, True):
            got = bl.argsort(bl.asarray(words), descending=descending).numpy()
            signed = words if not descending else ~words
            assert (got == np.argsort(signed, axis=-1, stable=True)).all()
