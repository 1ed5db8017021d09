"""What if: a changed computation is what the program computes if it is run with the change."""

import numpy as np
import pytest

import backlit as bl
from backlit import nn, see
from backlit.errors import ArgumentError, DTypeError, GradientError, ShapeError
from backlit.nn import functional as F
from backlit.nn.utils.checkpoint import checkpoint
from backlit.see.show.edits import Edits
from graphs import deep, lecture

RNG = np.random.default_rng(0)
POINTS = RNG.standard_normal((6, 4), dtype=np.float32)
IMAGES = RNG.standard_normal((3, 1, 8, 8), dtype=np.float32)
SERIES = RNG.standard_normal((2, 5, 3), dtype=np.float32)


class Halves(nn.Module):
    """Two parts with a value between them, which can be set, and whose gradient can be."""

    def __init__(self, x, lower, upper):
        super().__init__()
        self.lower, self.upper = lower, upper
        self.x = bl.tensor(x, requires_grad=True)
        self.x.name = "x"

    def forward(self, inner=None, beyond=None, hook=None):
        bl.manual_seed(1)
        h = self.lower(self.x)
        if inner is not None:
            h = bl.asarray(inner)
            h.requires_grad_()
        if beyond is not None:
            h = h + (bl.asarray(beyond) - h).detach()
        if hook is not None:
            h.register_hook(hook)
        out = self.upper(h)
        labels = bl.asarray(np.arange(out.shape[0]) % out.shape[1])
        loss = F.cross_entropy(out, labels)
        return loss, h


class Last(nn.Module):
    def __init__(self):
        super().__init__()
        self.cells, self.head = nn.LSTM(3, 4, batch_first=True), nn.Linear(4, 3)

    def forward(self, x):
        return self.head(self.cells(x)[0][:, -1])


def mlp():
    upper = nn.Sequential(nn.BatchNorm1d(5), nn.ReLU(), nn.Dropout(0.5), nn.Linear(5, 3))
    return Halves(POINTS, nn.Linear(4, 5), upper)


def cnn():
    lower = nn.Sequential(nn.Conv2d(1, 3, 3, padding=1), nn.BatchNorm2d(3), nn.ReLU())
    upper = nn.Sequential(nn.MaxPool2d(2), nn.Dropout(0.3), nn.Flatten(), nn.Linear(48, 4))
    return Halves(IMAGES, lower, upper)


def lstm():
    return Halves(SERIES, nn.Tanh(), Last())


NETWORKS = {f.__name__: f for f in (mlp, cnn, lstm)}


def made(name):
    bl.manual_seed(0)
    return NETWORKS[name]()


def gradients(net):
    return {n: p.grad.numpy().copy() for n, p in (*net.named_parameters(), ("x", net.x))
            if p.grad is not None}  # fmt: skip


def run(net, **how):
    """The program itself: its loss, and all gradients."""
    for p in (*net.parameters(), net.x):
        p.grad = None
    loss, h = net(**how)
    h.retain_grad()
    loss.backward()
    return loss.numpy(), gradients(net), h.grad.numpy()


def watched(net, kind):
    """The record of the program, and the name of the value between the halves."""
    with see.recording() as r:
        loss, h = net()
    record = r.of(loss) if kind == "block" else see.record(loss)
    return record, record.find(h).label


def compare(record, loss, wanted):
    output = record.nodes[record.output].value.array
    assert np.array_equal(output, loss, equal_nan=True)
    found = {
        n.label.removeprefix("Halves."): n.upstream.array
        for n in record.leaves
        if n.requires_grad and n.upstream is not None
    }
    for name, g in wanted.items():
        assert np.array_equal(found[name], g, equal_nan=True), name


@pytest.mark.parametrize("kind", ["block", "tape"])
@pytest.mark.parametrize("name", NETWORKS)
def test_inputs_and_parameters(name, kind):
    net = made(name)
    record, _ = watched(net, kind)
    first = next(n for n, _ in net.named_parameters())
    p = net.get_parameter(first)
    w = p.numpy() * 1.5 + 0.25
    x = net.x.numpy()[::-1] * 2
    w_if = see.what_if(record, {first: w, "x": x})
    before = p.numpy().copy()
    with bl.no_grad():
        p.assign(w)
        net.x.assign(x.copy())
    loss, wanted, _ = run(net)
    compare(w_if.record, loss, wanted)
    assert not np.array_equal(w, before)
    assert w_if.output.after.item() == loss.item() != w_if.output.before.item()


@pytest.mark.parametrize("kind", ["block", "tape"])
@pytest.mark.parametrize("name", NETWORKS)
def test_a_value_in_the_middle(name, kind):
    net = made(name)
    record, h = watched(net, kind)
    new = record.find(h).value.array * np.float32(0.5) + np.float32(1)
    cut = see.what_if(record, {h: new})
    loss, wanted, arrived = run(net, inner=new)
    compare(cut.record, loss, wanted)
    assert np.array_equal(cut[h].upstream.array, arrived)
    assert cut[h].given == "value"
    assert cut["x"].upstream is None  # not 0: it was not computed
    through = see.what_if(record, {h: new}, beyond=True).record
    found = through.find("x").upstream.array
    loss, wanted, _ = run(net, beyond=new)
    assert np.allclose(found, wanted["x"], rtol=1e-4, atol=1e-6)
    assert through.nodes[through.output].value.item() == pytest.approx(loss.item(), rel=1e-5)


@pytest.mark.parametrize("name", NETWORKS)
def test_an_upstream_gradient(name):
    net = made(name)
    record, h = watched(net, "block")
    new = RNG.standard_normal(record.find(h).shape).astype(np.float32)
    for change, hook in [
        (new, lambda g: bl.asarray(new)),
        (lambda g: -3 * g, lambda g: -3 * g),
    ]:
        loss, wanted, _ = run(net, hook=hook)
        changed = see.what_if(record, upstream={h: change})
        compare(changed.record, loss, wanted)
        assert changed[h].given == "gradient"


def test_a_function_is_given_what_the_value_would_be():
    net = made("mlp")
    record, h = watched(net, "block")
    x = POINTS * 3
    changed = see.what_if(record, {"x": x, h: lambda value: value - 1})
    with bl.no_grad():
        net.x.assign(x)
        middle = net.lower(net.x).numpy() - 1
    loss, wanted, _ = run(net, inner=middle)
    compare(changed.record, loss, wanted)


def test_only_what_depends_on_the_change_is_computed_again():
    record = deep(3)
    changed = see.what_if(record, {"block2.up.bias": 0.5})
    same = [a.value is b.value for a, b in zip(record, changed.record, strict=True)]
    assert same.index(False) == record.find("block2.up.bias").id
    assert sum(same) > len(same) / 2
    assert record.find("block2.up.bias").value.array.max() == 0  # the record is as it was


def test_what_has_changed_is_listed_in_order():
    record = lecture()
    changed = see.what_if(record, {"q": 10.0})
    assert [repr(c) for c in changed.changes] == [
        "Change(q, value: 3 → 10)",
        "Change(f, value: 15 → 50)",
        "Change(m, gradient: 3 → 10)",
        "Change(y, gradient: 8 → 10)",
        "Change(x, gradient: 5 → none)",
    ]
    assert changed.changes[0].largest == 7
    assert str(changed).splitlines()[:2] == ["f: 15 → 50", "  q  value     3 → 10  (set)"]
    assert str(see.what_if(record, {"q": 3.0})).splitlines() == [
        "f: 15 → 15 (as it was)",
        "  y  gradient  8 → 3",
        "  x  gradient  5 → none",
    ]
    assert "nothing changes" in str(see.what_if(record, {"x": -2.0}))
    one = see.what_if(deep(1), {"embed.bias": 1.0})
    assert "largest difference 1" in str(one)
    assert "more, in `changes`" in str(see.what_if(deep(12), {"embed.bias": 1.0}))


def test_whatever_reads_records_reads_what_if():
    changed = see.what_if(lecture(), {"q": 10.0})
    assert [s.sentence for s in see.steps(changed)][:2] == [
        "m = max(y, z) = max(5, −4) = 5",
        "f = q × m = 10 × 5 = 50",
    ]
    row = see.draw(changed).text().splitlines()[3]
    assert row.split() == ["q", "leaf", "10", "5", "value", "set"]
    assert see.explain("y", changed).count == 1
    again = see.what_if(changed, {"q": 3.0})
    assert again.output.after.item() == 15


def test_what_is_set_is_told_as_set():
    record = lecture()
    shifted = [s.sentence for s in see.steps(see.what_if(record, {"q": 10.0}, beyond=True))]
    assert shifted[0] == "q = x + y is set to 10"
    pulled = see.what_if(record, upstream={"q": 7.0, "y": 1.0})
    told = [s.sentence for s in see.steps(pulled)]
    assert told[-1] == (
        "+ distributes: upstream set to 7; to x: 7 · 1 = 7; to y: 7 · 1 = 7. "
        "y is used 2 times; its gradient is set to 1"
    )
    assert "adder" not in see.draw(pulled).text()
    assert see.draw(pulled).html()
    with pytest.raises(GradientError, match=r"the gradient of (y|q) is set by what_if"):
        see.explain("x", pulled)


def test_the_start_of_the_backward_pass_can_be_set():
    record = lecture()
    doubled = see.what_if(record, upstream={"f": 2.0})
    assert [doubled[n].upstream.item() for n in "xyzqmf"] == [10, 16, 0, 10, 6, 2]
    assert str(see.explain("x", doubled)).splitlines()[1:] == [
        "  2·∂f/∂x = 2·∂f/∂q·∂q/∂x = 2·5·1 = 10",
        "  1. x → q → f: 2 · 5 · 1 = 10",
    ]
    x = bl.tensor([1.0, 2.0], requires_grad=True)
    square = x * x
    no_seed = see.record(square)
    seeded = see.what_if(no_seed, upstream={"square": [1.0, 10.0]})
    assert seeded["x"].upstream.array.tolist() == [2, 40]
    with pytest.raises(ArgumentError, match=r"square is no single number; set its gradient, too"):
        see.what_if(no_seed, upstream={"x": 1.0})


def test_what_is_not_finite_may_be_set_and_numbers_fill_arrays():
    record = deep(1)
    changed = see.what_if(record, {"head.bias": np.nan})
    assert np.isnan(changed.output.after.item())
    assert "6×3" not in str(changed)
    assert np.isnan(changed["head.bias"].value.array).all()
    assert "18 not finite" in str(changed)


def test_a_detached_value_follows_and_a_condition_only_if_it_was_seen():
    x = bl.tensor([1.0, -2.0], requires_grad=True)

    def loss():
        return (bl.where(x > 0, x, 0.1 * x) * x.detach()).sum()

    with see.recording() as r:
        loss()
    seen = see.what_if(r, {"x": [-1.0, -2.0]})
    assert seen.output.after.item() == pytest.approx(0.5)
    assert seen.notes == []
    unseen = see.what_if(see.record(loss()), {"x": [-1.0, -2.0]})
    assert unseen.output.after.item() == pytest.approx(1.4)
    (note,) = unseen.notes
    assert "is as it was; if it is computed from what changes, record the code with see.rec" in note


def test_a_number_that_was_read_does_not_follow_and_that_is_told():
    x = bl.tensor(2.0, requires_grad=True)
    with see.recording() as r:
        h = x * 3
        y = x * h.item()
        y.backward()
    changed = see.what_if(r.of_loss(), {"x": 1.0})
    assert changed.output.after.item() == 6
    (note,) = changed.notes
    assert note.startswith("the value of h was read by item() (line ")
    assert "  note: the value of h" in str(changed)


@pytest.mark.parametrize("name", ["live", "file"])
def test_a_record_from_a_file_can_be_changed(tmp_path, name):
    net = made("cnn")
    record, h = watched(net, "block")
    record.save(tmp_path / "record.json")
    loaded = see.Record.load(tmp_path / "record.json")
    mine = see.what_if(loaded, {"lower.0.bias": 1.0}, upstream={h: 0.5}).record
    live = see.what_if(record, {"lower.0.bias": 1.0}, upstream={h: 0.5}).record
    for a, b in zip(mine, live, strict=True):
        if b.upstream is not None:
            assert np.array_equal(a.upstream.array, b.upstream.array)
    live.save(tmp_path / "changed.json")
    again = see.Record.load(tmp_path / "changed.json")
    assert [n.given for n in again] == [n.given for n in live]
    record.save(tmp_path / "short.json", arrays="elided")
    with pytest.raises(ArgumentError, match='save it with arrays="complete"'):
        see.what_if(see.Record.load(tmp_path / "short.json"), {"lower.0.bias": 1.0})


def test_other_types_and_shapes_are_told():
    record = lecture()
    with pytest.raises(ArgumentError, match=r"no node is named 'qq'; did you mean q\?"):
        see.what_if(record, {"qq": 1.0})
    with pytest.raises(
        ShapeError, match=r"the value of q must have the shape \(\), got \(2,\); a single number"
    ):
        see.what_if(record, {"q": [1.0, 2.0]})
    with pytest.raises(ShapeError, match="must be numbers of one shape"):
        see.what_if(record, {"q": [[1.0], [2.0, 3.0]]})
    with pytest.raises(DTypeError, match=r"q must be float32, got bool; convert it with \.astype"):
        see.what_if(record, {"q": np.array(True)})
    with pytest.raises(DTypeError, match=r"the gradient of x must be float32, got complex128"):
        see.what_if(record, upstream={"x": 1j})
    with pytest.raises(DTypeError, match=r"q must be numbers, got \['a'\]"):
        see.what_if(record, {"q": "a"})
    with pytest.raises(ArgumentError, match="values must be a dictionary of names with"):
        see.what_if(record, 3)
    with pytest.raises(ArgumentError, match="q is set twice"):
        see.what_if(record, {"q": 1.0, record.find("q").id: 2.0})


def test_labels_are_whole_numbers_in_their_range():
    net = made("mlp")
    record, _ = watched(net, "block")
    labels = next(n.label for n in record.leaves if n.dtype.kind == "i" and n.shape == (6,))
    changed = see.what_if(record, {labels: [0, 0, 0, 1, 1, 1]})
    assert changed.output.after.item() != changed.output.before.item()
    with pytest.raises(DTypeError, match="must be int64, got float64"):
        see.what_if(record, {labels: 0.5})
    with pytest.raises(ArgumentError, match=r"what_if: loss.* then raises: .*index|class"):
        see.what_if(record, {labels: 7})


def test_where_no_gradient_arrives_there_is_none_to_set():
    record = lecture()
    with pytest.raises(ArgumentError, match=r"arrives at x.* only to values that are set"):
        see.what_if(record, {"q": 1.0}, upstream={"x": 1.0})
    x = bl.tensor(2.0, requires_grad=True)
    with see.recording() as r:
        other = x * 2
        x * 3
    with pytest.raises(ArgumentError, match=r"no gradient arrives at other.*does not depend on it"):
        see.what_if(r, upstream={"other": 1.0})
    assert other.item() == 4
    with pytest.raises(ArgumentError, match=r"no gradient arrives at .*; it requires none"):
        see.what_if(see.record((x * bl.tensor([1.0])).sum()), upstream={1: 1.0})
    with see.recording() as r:
        bl.tensor([1.0, 2.0]) * 2
    with pytest.raises(ArgumentError, match="upstream needs a backward pass, and the record has"):
        see.what_if(r, upstream={1: 1.0})


def test_what_cannot_be_computed_again_is_told():
    x = bl.tensor([1.0, 2.0], requires_grad=True)
    y = checkpoint(lambda x: bl.tanh(x) * x, x)
    with pytest.raises(ArgumentError, match=r"cannot be computed again from the record: .*; run"):
        see.what_if(see.record(y.sum()), {"x": 1.0})
    with pytest.raises(bl.errors.ShapeError), see.recording() as r:
        (x + 1) @ bl.ones((3, 3))
    crashed = see.what_if(r, {"x": 0.0})
    assert crashed["add_1"].value.array.tolist() == [1, 1]
    assert crashed.record.error == r.record.error
    with pytest.raises(ArgumentError, match=r"matmul_\d+ raised, so there is no value to set"):
        see.what_if(r, {r.record.failed.label: 1.0})


def test_a_shape_that_depends_on_values_is_told():
    class Positive(bl.Op):
        def forward(self, xp, x):
            return x[x > 0]

    x = bl.tensor([1.0, -2.0])
    with see.recording() as r:
        bl.apply(Positive(), x) * 1
    with pytest.raises(ArgumentError, match=r"then has the shape \(2,\) in the place of \(1,\)"):
        see.what_if(r, {"x": [1.0, 2.0]})


def test_what_an_optimizer_made_of_a_parameter_is_as_it_was_and_that_is_told():
    net = nn.Linear(3, 1)
    x = bl.ones((2, 3))
    sgd = bl.optim.SGD(net.parameters(), lr=0.1)
    with see.recording() as r:
        (net(x) ** 2).mean().backward()
        sgd.step()
        net(x).sum()
    changed = see.what_if(r.of_loss(), {"weight": 0.0})
    (note,) = changed.notes
    assert note.startswith("Linear.weight got new values later (parameter ")


def test_what_is_typed_on_a_page_is_read_and_never_run():
    edits = Edits(see.record((bl.tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True) ** 2).sum()))

    def typed(text, what="value"):
        edits.set(0, what, text)
        node = edits.record.nodes[0]
        return (node.value if what == "value" else node.upstream).array.tolist()

    assert typed("7") == [[7, 7], [7, 7]]
    assert typed("[[1, -2], [inf, 4e-1]]")[1][0] == np.inf
    assert typed("[0, 1] = −5") == [[1, -5], [np.inf, pytest.approx(0.4)]]
    assert typed("[1] = [8, 9]")[1] == [8, 9]
    assert typed("[..., 0] = 3") == [[3, -5], [3, 9]]
    assert typed("[:1, ::2] = 0")[0] == [0, -5]
    assert typed("[0, 0] = 100", "upstream") == [[100, -10], [6, 18]]
    for text in ("__import__('os')", "value * 2", "[0, x] = 1", "'a'", "", "[9] = 1", "1 +"):
        with pytest.raises(ArgumentError, match="is no value"):
            typed(text)
    with pytest.raises(ArgumentError, match="what must be 'value' or 'upstream', got 'local'"):
        edits.set(0, "local", "1")
    assert len(edits) == 2
