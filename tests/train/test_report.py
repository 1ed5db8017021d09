"""The report of a run: it changes nothing, says what there is to say, and works in a browser."""

import base64
import json
import re
import shutil
import signal

import numpy as np
import pytest

import backlit
from backlit import nn, optim
from backlit.data import DataLoader, Dataset, TensorDataset
from backlit.errors import ArgumentError, DataError, NonFiniteError, ShapeError
from backlit.train import Accuracy, Report, Trainer, load_flight
from backlit.train.report import callback
from backlit.train.report.everywhere import SIDE, everywhere
from backlit.train.report.examples import data_uri
from backlit.train.report.looking import histogram, look
from backlit.train.training import Training


def pictures(n=60, classes=3, seed=0):
    rng = np.random.default_rng(seed)
    y = rng.integers(0, classes, n)
    x = rng.normal(0, 1, (n, 1, 6, 6)).astype(np.float32)
    x[np.arange(n), 0, y, y] += 2
    return TensorDataset(x, y)


def network(classes=3):
    backlit.manual_seed(3)
    return nn.Sequential(
        nn.Flatten(), nn.Linear(36, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.3),
        nn.Linear(8, classes),
    )  # fmt: skip


def trained(callbacks=(), *, epochs=3, model=None, data=None, loss=None, lr=0.01, **options):
    model = model or network()
    loader = DataLoader(data or pictures(), 16, shuffle=True, seed=1)
    options = {"metrics": [Accuracy()], "progress": "quiet", "compile": False, **options}
    trainer = Trainer(
        model,
        loss or nn.CrossEntropyLoss(),
        optim.Adam(model.parameters(), lr=lr),
        callbacks=callbacks,
        **options,
    )
    trainer.fit(loader, DataLoader(data or pictures(20, seed=5), 10), epochs=epochs)
    return trainer


def content(path):
    text = path.read_text("utf-8")
    return json.loads(re.search(r'id="data">(.*?)</script>', text, re.S)[1])


def state(trainer):
    parts = [trainer.model.state_dict(), trainer.optimizer.state_dict()["state"]]
    arrays = [t.numpy() for t in parts[0].values()]
    arrays += [t.numpy() for s in parts[1].values() for t in s.values()]
    return [a.tobytes() for a in arrays], trainer.history


# -- training is the same -------------------------------------------------------------------------


@pytest.mark.parametrize("compiled", [False, True])
def test_training_is_the_same_to_the_last_bit(tmp_path, compiled):
    plain = trained(compile=compiled)
    numbers = np.random.get_state()[1].copy(), backlit.random.normal((4,)).numpy()
    report = Report(tmp_path / "r.html", pictures(20, seed=5))
    np.random.seed(0)
    before = np.random.get_state()[1].copy()
    watched = trained([report], compile=compiled)
    assert np.array_equal(np.random.get_state()[1], before)
    assert backlit.random.normal((4,)).numpy().tobytes() == numbers[1].tobytes()
    assert state(plain) == state(watched)
    assert all(p.grad is None for p in watched.model.parameters())
    assert report.problems == []
    assert len(report.looks) == 4


def test_the_report_lets_the_trainer_run_many_steps_at_once(tmp_path):
    report = Report(tmp_path / "r.html", pictures())
    assert type(report).on_step_end is backlit.train.Callback.on_step_end


def test_a_loader_stays_where_it_is(tmp_path):
    loader = DataLoader(pictures(20), 5, shuffle=True, seed=2)
    before = json.dumps(loader.state_dict(), default=str)
    trained([Report(tmp_path / "r.html", loader)], epochs=1)
    assert json.dumps(loader.state_dict(), default=str) == before


# -- what is on the page --------------------------------------------------------------------------


def test_a_classifier_of_pictures(tmp_path):
    path = tmp_path / "r.html"
    test = pictures(50, seed=9)
    trainer = trained([Report(path, test, classes=["ant", "bee", "cat"])])
    data = content(path)
    assert data["state"] == "finished"
    assert data["curves"]["epoch"] == [1, 2, 3]
    assert data["curves"]["loss"] == pytest.approx([r["loss"] for r in trainer.history], rel=1e-6)
    assert data["percent"] == ["accuracy", "validation_accuracy"]
    results = data["results"]
    trainer.model.eval()
    with backlit.no_grad():
        scores = trainer.model(test.tensors[0]).numpy()
    truth, guess = test.tensors[1].numpy(), scores.argmax(1)
    expected = np.zeros((3, 3), int)
    for t, g in zip(truth, guess, strict=True):
        expected[t, g] += 1
    assert results["confusion"] == expected.tolist()
    assert results["classes"] == ["ant", "bee", "cat"]
    wrong = truth != guess
    assert results["wrong"] == wrong.sum() > 0
    worst = results["worst"][0]
    shifted = np.exp(scores - scores.max(1, keepdims=True))
    share = shifted[np.arange(50), truth] / shifted.sum(1)
    assert worst["row"] == np.where(wrong, -np.log(share), -1).argmax()
    assert worst["picture"].startswith("data:image/png;base64,")
    assert [k["epoch"] for k in data["looks"]] == [0, 1, 2, 3]
    assert "backlit" in data["graph"]
    assert data["problems"] == []


def test_the_page_fetches_nothing_and_names_cannot_break_out_of_it(tmp_path):
    path = tmp_path / "r.html"
    evil = "</script><script>alert(1)</script>"
    trained([Report(path, pictures(20), classes=[evil, "b", "c"], title=evil)], epochs=1)
    text = path.read_text("utf-8")
    assert evil not in text
    assert text.count("</script>") == 2
    assert not re.search(r"""(src|href)\s*=\s*["']?(https?:)?//|@import|url\(""", text)
    assert content(path)["title"] == evil


def test_names_of_the_pages_own_parts_are_only_names(tmp_path):
    path, odd = tmp_path / "r.html", "{{script}} {{data}} half \ud800"
    plain = tmp_path / "plain.html"
    trained([Report(path, pictures(20), classes=[odd, "b", "c"], title=odd)], epochs=1)
    trained([Report(plain, pictures(20), classes=["a", "b", "c"])], epochs=1)
    assert content(path)["title"] == odd.replace("\ud800", "?")
    pages = [p.read_text("utf-8") for p in (path, plain)]
    assert "<title>{{script}} {{data}} half ?</title>" in pages[0]
    scripts = [re.findall(r"<(?:script|style)>(.*?)</", text, re.S) for text in pages]
    assert scripts[0] == scripts[1]


def test_numbers_instead_of_classes(tmp_path):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(40, 3)).astype(np.float32)
    data = TensorDataset(x, x.sum(1, keepdims=True))
    path = tmp_path / "r.html"
    model = nn.Linear(3, 1)
    trained([Report(path, data)], model=model, data=data, loss=nn.MSELoss(), metrics=[], epochs=2)
    results = content(path)["results"]
    assert results["kind"] == "numbers"
    with backlit.no_grad():
        error = np.abs(model(data.tensors[0]).numpy() - data.tensors[1].numpy())[:, 0]
    assert results["mean_absolute"] == pytest.approx(error.mean(), rel=1e-5)
    assert results["worst"][0]["row"] == error.argmax()
    assert results["worst"][0]["text"].count(",") == 2
    assert len(results["points"]) == 40


@pytest.mark.parametrize("loss", [nn.BCEWithLogitsLoss(), nn.BCELoss()])
def test_two_classes_by_one_score(tmp_path, loss):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(40, 2)).astype(np.float32)
    data = TensorDataset(x, (x[:, :1] > 0).astype(np.float32))
    layers = [nn.Linear(2, 1)] + ([nn.Sigmoid()] if isinstance(loss, nn.BCELoss) else [])
    model, path = nn.Sequential(*layers), tmp_path / "r.html"
    trained([Report(path, data)], model=model, data=data, loss=loss, metrics=[], epochs=1)
    results = content(path)["results"]
    with backlit.no_grad():
        guess = model(data.tensors[0]).numpy() > (0.5 if isinstance(loss, nn.BCELoss) else 0)
    assert results["right"] == (guess == (data.tensors[1].numpy() > 0)).sum()
    assert results["classes"] == ["0", "1"]


def test_several_labels_are_judged_each(tmp_path):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(40, 2)).astype(np.float32)
    truth = np.stack([x[:, 0] > 0, x[:, 1] > 0.5, np.zeros(40)], axis=1).astype(np.float32)
    data, model, path = TensorDataset(x, truth), nn.Linear(2, 3), tmp_path / "r.html"
    report = Report(path, data, classes=["warm", "loud", "never"])
    report.tested = {"test F1": "81.00 %"}
    trained([report], model=model, data=data, loss=nn.BCEWithLogitsLoss(), metrics=[], epochs=1)
    assert content(path)["tested"] == {"test F1": "81.00 %"}
    results = content(path)["results"]
    with backlit.no_grad():
        said = model(data.tensors[0]).numpy() > 0
    for i, (name, count, precision, recall, f1) in enumerate(results["by_label"]):
        hits = (said[:, i] & (truth[:, i] == 1)).sum()
        assert (name, count) == (["warm", "loud", "never"][i], truth[:, i].sum())
        if hits:
            wanted = (hits / said[:, i].sum(), hits / truth[:, i].sum())
            assert (precision, recall) == pytest.approx(wanted)
            assert f1 == pytest.approx(2 * precision * recall / (precision + recall))
    assert results["by_label"][2][3] is None
    worst = results["worst"][0]
    assert {worst["truth"], worst["says"]} in [{n, f"not {n}"} for n in ("warm", "loud", "never")]


def test_text_is_shown_as_the_user_describes_it(tmp_path):
    words = ["the", "cat", "sat", "down"]
    rng = np.random.default_rng(0)
    data = TensorDataset(rng.integers(0, 4, (30, 5)), rng.integers(0, 3, 30))
    model = nn.Sequential(nn.Embedding(4, 6), nn.Flatten(), nn.Linear(30, 3))
    path = tmp_path / "r.html"
    report = Report(path, data, describe=lambda tokens: " ".join(words[i] for i in tokens))
    trained([report], model=model, data=data, epochs=1)
    worst = content(path)["results"]["worst"][0]
    assert worst["text"] == " ".join(words[i] for i in data.tensors[0].numpy()[worst["row"]])


def test_labels_of_positions_and_ignored_ones():
    scores = np.zeros((2, 3, 4))
    scores[:, 1] = 5
    truth = np.full((2, 4), 1)
    truth[1, 2], truth[0, 0] = 2, -100
    results = callback.look_at_examples(
        _Says(scores), None, (backlit.zeros((2, 1)), backlit.tensor(truth))
    )
    assert results["confusion"] == [[0, 0, 0], [0, 6, 0], [0, 1, 0]]
    assert [w["where"] for w in results["worst"]] == [[2]]


class _Says(nn.Module):
    def __init__(self, scores):
        super().__init__()
        self.scores = scores

    def forward(self, x):
        return backlit.tensor(self.scores[: len(x)])


def test_numbers_are_told_in_the_units_of_the_data():
    said, truth = np.array([[0.0], [2.0]]), np.array([[1.0], [2.0]])
    x = backlit.zeros((2, 1)), backlit.tensor(truth)
    words = callback.Words(units=lambda z: 80 * z + 310)
    results = callback.look_at_examples(_Says(said), None, x, words)
    assert results["mean_absolute"] == 40
    assert results["points"] == [[390, 310], [470, 470]]
    assert [(w["truth"], w["says"], w["loss"]) for w in results["worst"]] == [("390", "310", 80)]


def test_rates_and_updates_are_those_that_were_used_and_not_the_zero_after_them(tmp_path):
    path = tmp_path / "r.html"
    model = nn.Linear(2, 2)
    optimizer = optim.SGD(model.parameters(), lr=0.5)
    data = TensorDataset(backlit.random.normal((8, 2)), backlit.tensor([0, 1] * 4))
    trainer = Trainer(
        model, nn.CrossEntropyLoss(), optimizer, callbacks=[Report(path, data)], progress="quiet",
        schedule=optim.lr_scheduler.CosineAnnealingLR(optimizer, 4), schedule_every="step",
    )  # fmt: skip
    trainer.fit(DataLoader(data, 4), epochs=2)
    assert optimizer.param_groups[0]["lr"] == 0
    seen = content(path)
    used = 0.25 * (1 + np.cos(np.pi * 3 / 4))
    assert seen["curves"]["lr"][-1] == pytest.approx(used, rel=1e-6)
    layer = seen["looks"][-1]["layers"][0]
    step = used * layer["gradient_norm"] / layer["norm"]
    assert layer["update"] == pytest.approx(step, rel=1e-2)


def test_many_classes_are_limited_to_the_most_confused():
    scores = np.eye(200)
    scores[7, 9] = 5
    x = backlit.zeros((200, 1)), backlit.tensor(np.arange(200))
    results = callback.look_at_examples(_Rows(scores), None, x)
    assert results["classes_of"] == 200
    assert len(results["classes"]) == 40
    assert {"7", "9"} <= set(results["classes"])


class _Rows(nn.Module):
    def __init__(self, scores):
        super().__init__()
        self.scores, self.done = scores, 0

    def forward(self, x):
        self.done += len(x)
        return backlit.tensor(self.scores[self.done - len(x) : self.done])


# -- layers ---------------------------------------------------------------------------------------


def test_updates_are_what_the_optimizer_would_do():
    model = nn.Sequential(nn.Linear(4, 3), nn.Tanh(), nn.Linear(3, 2))
    rng = np.random.default_rng(0)
    batch = backlit.tensor(rng.normal(size=(8, 4)).astype(np.float32)), backlit.tensor([0, 1] * 4)
    loss_fn = nn.CrossEntropyLoss()
    optimizer = optim.AdamW(model.parameters(), lr=0.01)
    for _ in range(3):
        seen = look(Training(model, loss_fn, optimizer, clip_norm=0.1), batch)
        before = {n: p.numpy().copy() for n, p in model.named_parameters()}
        optimizer.zero_grad()
        loss_fn(model(batch[0]), batch[1]).backward()
        found = {n: p.grad.numpy().copy() for n, p in model.named_parameters()}
        optim.clip_grad_norm_(model.parameters(), 0.1)
        optimizer.step()
        for layer in seen["layers"]:
            old = before[layer["name"]]
            moved = model.get_submodule(layer["name"][0])
            new = getattr(moved, layer["name"][2:]).numpy()
            ratio = np.linalg.norm(new - old) / np.linalg.norm(old)
            assert layer["update"] == pytest.approx(ratio, rel=1e-3)
            assert layer["gradient_norm"] == pytest.approx(
                np.linalg.norm(found[layer["name"]]), rel=1e-4
            )


def test_histograms():
    h = histogram(np.array([0.0, 1.0, 24.0, np.nan, np.inf, -np.inf]))
    assert (h["low"], h["high"], h["zeros"], h["bad"], h["size"]) == (0, 24, 1, 3, 6)
    assert sum(h["counts"]) == 3
    h = histogram(np.array([0.0, -0.01, 100.0]), logarithmic=True)
    assert (h["low"], h["high"], sum(h["counts"])) == (-2, 2, 2)
    assert histogram(np.zeros((0, 3)))["counts"] == [0]
    assert histogram(np.full(5, 2.0))["counts"] == [5]
    assert sum(histogram(np.arange(10.0**6))["counts"]) <= 1 << 18


def test_a_long_run_and_a_large_model_stay_small(tmp_path, monkeypatch):
    monkeypatch.setattr(callback, "LOOKS", 4)
    layers = [layer for _ in range(20) for layer in (nn.Linear(6, 6), nn.Tanh())]
    model = nn.Sequential(nn.Flatten(), nn.Linear(36, 6), *layers, nn.Linear(6, 3))
    report = Report(tmp_path / "r.html", pictures(40))
    trained([report], epochs=18, model=model)
    looks = content(report.path)["looks"]
    assert [k["epoch"] for k in looks] == [0, 8, 16, 18]
    assert len(looks[0]["layers"]) == len(looks[0]["outputs"]) == 24
    assert looks[0]["left_out"] == 44 - 24
    monkeypatch.setattr(callback, "NODES", 10)
    report.write(trained(epochs=1))
    assert content(report.path)["graph"] is None
    assert "too many" in content(report.path)["problems"][0]


# -- when things go wrong -------------------------------------------------------------------------


def test_an_earlier_page_is_renamed(tmp_path):
    path = tmp_path / "r.html"
    for _ in range(3):
        trained([Report(path)], epochs=1)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["r.1.html", "r.2.html", "r.html"]


def test_a_resumed_run_goes_on_with_its_page(tmp_path):
    path, data = tmp_path / "r.html", pictures(20)

    def go(epochs, resume):
        model = network()
        report = Report(path, data)
        trainer = Trainer(
            model, nn.CrossEntropyLoss(), optim.Adam(model.parameters()), callbacks=[report],
            checkpoints=tmp_path / "saved", progress="quiet", compile=False,
        )  # fmt: skip
        trainer.fit(DataLoader(pictures(), 16), epochs=epochs, resume=resume)

    go(2, resume=False)
    go(4, resume=True)
    assert [k["epoch"] for k in content(path)["looks"]] == [0, 1, 2, 3, 4]
    assert content(path)["curves"]["epoch"] == [1, 2, 3, 4]
    assert not (tmp_path / "r.1.html").exists()


def test_without_examples_and_before_the_first_epoch(tmp_path):
    class Stops(backlit.train.Callback):
        def on_train_start(self, trainer):
            raise KeyboardInterrupt

    path = tmp_path / "new" / "r.html"
    with pytest.raises(KeyboardInterrupt):
        trained([Report(path), Stops()])
    data = content(path)
    assert (data["state"], data["epochs"], data["curves"]) == ("interrupted", 0, {})
    assert data["results"]["why"] == "the report was given no examples"


def test_a_loss_that_is_not_finite(tmp_path):
    class Bad(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(36, 3)

        def forward(self, x):
            return backlit.log(self.layer(x.reshape((-1, 36))))

    path = tmp_path / "r.html"
    report = Report(path, pictures(20))
    with pytest.raises(NonFiniteError):
        trained([report], model=Bad())
    data = content(path)
    assert data["looks"][0]["loss"] is None
    assert data["results"]["unusable"] > 0
    text = path.read_text("utf-8").split('id="data">')[1].split("</script>")[0]
    json.loads(text, parse_constant=pytest.fail)  # JSON has no NaN


def on_a_plane(classes, n=40):
    rng = np.random.default_rng(0)
    x = rng.uniform(-1, 1, (n, 2)).astype(np.float32)
    return TensorDataset(x, (x[:, 0] > 0).astype(int) + (classes - 2) * (x[:, 1] > 0))


def unpacked(text):
    return np.frombuffer(base64.b64decode(text), np.uint8).reshape(SIDE, SIDE)


def places(spans):
    x, y = np.meshgrid(*(np.linspace(*s, SIDE) for s in spans))
    return np.stack([x, y], -1).reshape(-1, 2).astype(np.float32)


def test_what_a_classifier_says_all_over_the_plane(tmp_path):
    for classes in (2, 3):
        report = Report(tmp_path / f"{classes}.html", on_a_plane(classes))
        model = nn.Sequential(nn.Linear(2, 8), nn.Tanh(), nn.Linear(8, classes))
        trained([report], model=model, data=on_a_plane(classes), epochs=2)
        data = content(report.path)
        assert [k["epoch"] for k in data["looks"] if k["everywhere"]] == [0, 1, 2]
        found = data["looks"][-1]["everywhere"]
        (low, high), _ = found["spans"]
        assert -1.3 < low < -1.0
        assert 1.0 < high < 1.3
        shares = nn.functional.softmax(model(backlit.tensor(places(found["spans"]))), dim=1)
        guess = shares.numpy().argmax(1).reshape(SIDE, SIDE)
        assert (unpacked(found["guess"]) == guess).mean() > 0.999
        sure = 255 * shares.numpy().max(1).reshape(SIDE, SIDE)
        assert np.abs(unpacked(found["sure"]) - sure).max() <= 1
        assert len(data["results"]["places"]) == 40
        assert {p[2] for p in data["results"]["places"]} == set(range(classes))


def test_one_score_for_two_classes_and_numbers_on_a_plane_and_on_a_line():
    x = np.random.default_rng(0).uniform(-1, 1, (30, 2)).astype(np.float32)
    model = nn.Linear(2, 1)
    model.weight.assign([[2.0, 0.0]])
    model.bias.assign([0.0])
    inputs = [backlit.tensor(x)]
    found = everywhere(model, nn.BCEWithLogitsLoss(), inputs, 2)
    at = places(found["spans"])[:, 0].reshape(SIDE, SIDE)
    np.testing.assert_array_equal(unpacked(found["guess"]), at > 0)
    sure = 1 / (1 + np.exp(-np.abs(2 * at)))
    assert np.abs(unpacked(found["sure"]) - 255 * sure).max() <= 1
    found = everywhere(model, nn.MSELoss(), inputs, None)
    values = found["low"] + (found["high"] - found["low"]) * unpacked(found["values"]) / 255
    np.testing.assert_allclose(values, 2 * at, atol=0.02)
    line = everywhere(nn.Linear(1, 1), nn.MSELoss(), [backlit.tensor(x[:, :1])], None)
    assert len(line["line"]) == 160
    assert np.ptp(np.diff(line["line"])) < 3e-4
    wide = backlit.zeros((4, 3))
    assert everywhere(nn.Linear(3, 1), nn.MSELoss(), [wide], None) is None
    assert everywhere(nn.Linear(2, 2), nn.MSELoss(), inputs, None) is None  # two numbers a place


class Writes(nn.Module):
    """Scores (N, classes, T) for the next of a few letters."""

    def __init__(self):
        super().__init__()
        self.table = nn.Embedding(3, 3)

    def forward(self, x):
        return self.table(x).transpose(1, 2)


def test_texts_have_samples_and_mistakes_in_tokens(tmp_path):
    ids = np.tile([0, 1, 2, 2], (8, 20))
    data = TensorDataset(ids[:, :-1], ids[:, 1:])
    letters = ["a", "b", " "]
    report = Report(tmp_path / "r.html", data, tokens=letters, samples=lambda m: "aab" * 500)
    trained([report], model=Writes(), data=data, epochs=2, metrics=[])
    found = content(report.path)
    assert [k["samples"][0][:4] for k in found["looks"]] == ["aaba"] * 3
    assert len(found["looks"][0]["samples"][0]) == 600
    assert found["results"]["classes"] == letters
    worst = found["results"]["worst"][0]
    place = worst["where"][0]
    assert worst["from"] + worst["at"] == place
    assert len(worst["tokens"]) <= 48
    assert worst["tokens"][worst["at"]] == letters[ids[worst["row"], place]]
    assert worst["truth"] == letters[ids[worst["row"], place + 1]]


def test_samples_that_fail_are_told_and_end_nothing(tmp_path):
    report = Report(tmp_path / "r.html", pictures(20), samples=lambda m: 1 / 0)
    assert trained([report], epochs=1).epoch == 1
    assert content(report.path)["problems"] == ["samples: ZeroDivisionError: division by zero"]


class Roots(nn.Module):
    """The root of 0, whose derivative is infinite."""

    def __init__(self):
        super().__init__()
        backlit.manual_seed(0)
        self.layer = nn.Linear(36, 3)

    def forward(self, x):
        h = self.layer(x.reshape((-1, 36)))
        return backlit.sqrt((h - h.detach()) ** 2)


class Narrows(nn.Module):
    """Of the fourth batch, which has 12 rows, it makes something else."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(36, 3)

    def forward(self, x):
        x = x.reshape((-1, 36))
        return self.layer(x if len(x) == 16 else x[:, :5])


def told(path):
    account = content(path)["account"]
    return account, "\n".join(text for _, text in account["cause"])


@pytest.mark.slow
def test_a_failed_run_says_cause_cure_and_how_to_replay(tmp_path):
    report, flight = Report(tmp_path / "r.html", pictures(20)), tmp_path / "flight.safetensors"
    data = {"callbacks": [report], "loss": nn.CrossEntropyLoss(), "lr": 1.0, "flight": flight}
    with pytest.raises(NonFiniteError):
        trained(model=Roots(), compile=True, **data)
    account, cause = told(report.path)
    assert re.match(r"Failed in epoch 1, step \d: the loss was (nan|inf)", account["title"])
    assert content(report.path)["state"] == "failed: the loss was not finite"
    assert "layer.weight holds" in cause
    assert "the derivative of √x at 0 is infinite" in cause
    assert "at test_report.py:" in cause
    assert account["cure"] == "write backlit.abs(h - h.detach())"
    assert account["command"] == f"backlit replay {flight}"
    steps = [row[0] for row in account["past"]["rows"]]
    assert steps == list(range(1, len(steps) + 1))
    model = Roots()
    optimizer = optim.Adam(model.parameters(), lr=1.0)
    again = repr(load_flight(flight).replay(model, nn.CrossEntropyLoss(), optimizer))
    assert re.search(r"step \d already had gradients that were not finite:\n +backward", again)
    for _, line in account["cause"][1:]:
        assert line in again  # the same words


def test_a_run_that_raises_says_where_and_how_to_replay(tmp_path):
    report, flight = Report(tmp_path / "r.html", pictures(20)), tmp_path / "flight.safetensors"
    with pytest.raises(ShapeError):
        trained([report], model=Narrows(), flight=flight)
    account, cause = told(report.path)
    assert account["title"] == "Failed in epoch 1, step 4: the step raised an exception"
    assert "ShapeError: linear: x.shape[-1] must equal in_features, got 5 and 36" in cause
    assert "self.layer(x if len(x) == 16 else x[:, :5])" in cause
    assert account["command"] == f"backlit replay {flight}"
    assert [row[0] for row in account["past"]["rows"]] == [1, 2, 3]
    assert content(report.path)["state"] == "failed: ShapeError"
    report = Report(tmp_path / "other.html", pictures(20))
    with pytest.raises(ShapeError):
        trained([report], model=Narrows())  # with no place for a flight
    account, cause = told(report.path)
    assert (account["command"], account["past"]) == ("", None)
    assert "must equal in_features" in cause


class Hook(backlit.train.Callback):
    def __init__(self, **does):
        for name, f in does.items():
            setattr(self, name, f)
        self.seen = []

    def on_step_end(self, trainer, loss):
        self.at_step()

    def on_exception(self, trainer, error):
        self.seen.append(error)
        raise RuntimeError("and so did this")


def test_exceptions_outside_of_steps_and_callbacks_that_fail_at_them(tmp_path):
    def fails():
        raise LookupError("not in the table")

    hook, report = Hook(at_step=fails), Report(tmp_path / "r.html", pictures(20))
    with pytest.raises(LookupError, match="not in the table") as caught:
        trained([hook, report])
    assert hook.seen == [caught.value]
    assert caught.value.__notes__ == ["Hook failed, too: RuntimeError: and so did this"]
    account, cause = told(report.path)
    assert account["title"] == "Failed in epoch 1, after step 1"
    assert "LookupError: not in the table" in cause
    assert 'raise LookupError("not in the table")' in cause
    assert account["command"] == ""


@pytest.mark.parametrize("saved", [True, False])
def test_an_interrupted_run_says_how_it_goes_on(tmp_path, saved):
    report = Report(tmp_path / "r.html", pictures(20))
    hook = Hook(at_step=lambda: signal.raise_signal(signal.SIGINT))
    trained([hook, report], **({"checkpoints": tmp_path} if saved else {}))
    account, _ = told(report.path)
    assert account["title"] == "Interrupted in epoch 1, after step 1"
    assert account["cure"].startswith("go on with fit(" if saved else "nothing was saved; give")
    assert content(report.path)["state"] == "interrupted"

    def at_once():
        raise KeyboardInterrupt

    report = Report(tmp_path / "again.html", pictures(20))
    with pytest.raises(KeyboardInterrupt):
        trained([Hook(at_step=at_once), report])
    account, _ = told(report.path)
    assert account["title"] == "Ended at once in epoch 1, after step 1, by KeyboardInterrupt"
    assert content(report.path)["results"]["kind"] == "none"


def test_looking_never_ends_a_training(tmp_path):
    report = Report(tmp_path / "r.html", (np.zeros((5, 7)), np.zeros(5, int)))  # of a wrong width
    trainer = trained([report], epochs=2)
    assert trainer.epoch == 2
    problems = content(report.path)["problems"]
    assert [p.partition(":")[0] for p in problems] == ["layers", "examples", "graph"]


def test_a_page_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match=r"r\.html"):
        trained([Report(tmp_path / "file" / "r.html")])

    class Closes(backlit.train.Callback):
        def on_epoch_end(self, trainer, record):
            shutil.rmtree(tmp_path / "folder")
            (tmp_path / "folder").write_text("")

    with pytest.warns(UserWarning, match=r"Report: .*; the training goes on"):
        trainer = trained([Report(tmp_path / "folder" / "r.html"), Closes()], epochs=1)
    assert trainer.epoch == 1


def test_bad_arguments(tmp_path):
    with pytest.raises(ArgumentError, match=r"name must end in \.html, got 'r\.txt'"):
        Report("r.txt")
    path = tmp_path / "r.html"
    for examples, text in (
        (iter([1]), "a data set with a length, a DataLoader of one, or a tuple of arrays, got"),
        ((np.zeros(3),), "the model's inputs, then the target, got tuple"),
        ((np.zeros((3, 36)), np.zeros(2)), "equally many inputs and targets, .* got 3 and 2"),
        (TensorDataset(np.zeros((0, 36)), np.zeros(0)), "at least one, got 0 and 0"),
    ):
        with pytest.raises(ArgumentError, match=text):
            trained([Report(path, examples)])


def test_a_data_set_without_batches(tmp_path):
    class Rows(Dataset):
        def __len__(self):
            return 12

        def __getitem__(self, i):
            return np.full((1, 6, 6), i, np.float32), i % 3

    report = Report(tmp_path / "r.html", Rows())
    trained([report], epochs=1)
    assert content(report.path)["results"]["total"] == 12


def test_pictures_are_png_files():
    import base64

    image = np.arange(16.0).reshape(1, 4, 4)
    raw = base64.b64decode(data_uri(image).partition(",")[2])
    assert raw[:8] == b"\x89PNG\r\n\x1a\n"
    assert raw[16:24] == (4).to_bytes(4, "big") * 2
    assert len(data_uri(np.random.default_rng(0).normal(size=(3, 900, 700)))) < 40_000


# -- in a browser ---------------------------------------------------------------------------------


def show(browser, path):
    browser.get(path.as_uri())
    assert browser.get_log("browser") == []


def run(browser, script, *args):
    return browser.execute_script(f"return {script}", *args)


@pytest.mark.browser
def test_the_page_shows_everything(browser, tmp_path):
    path = tmp_path / "r.html"
    trainer = trained([Report(path, pictures(50, seed=9))])
    show(browser, path)
    titles = run(browser, "[...document.querySelectorAll('h2[id]')].map(h => h.textContent)")
    assert titles == ["Curves", "Layers", "Confusion matrix", "Worst mistakes", "Graph"]
    assert run(browser, "document.getElementById('state').textContent") == "finished after 3 epochs"
    wrong = content(path)["results"]["wrong"]
    loaded = "[...document.querySelectorAll('.worst img')].map(i => (i.loading = 'eager', i.alt))"
    assert len(run(browser, loaded)) == min(24, wrong)
    assert len(run(browser, "[...document.querySelectorAll('.heat canvas')]")) >= 12
    assert run(browser, "document.documentElement.scrollWidth <= innerWidth")
    unnamed = "[...document.querySelectorAll('[role=img]')].filter(e => !e.ariaLabel).length"
    assert run(browser, unnamed) == 0
    from selenium.webdriver.common.by import By

    chart = browser.find_element(By.CSS_SELECTOR, "#curves svg[role=img]")
    chart.send_keys("\ue010")  # End
    text = run(browser, "document.getElementById('tip').textContent")
    assert text.splitlines()[0] == "epoch 3"
    assert f"{trainer.history[-1]['loss']:.3g}"[:4] in text
    button = browser.find_element(By.CSS_SELECTOR, "#curves button")
    button.send_keys("\n")
    assert button.get_attribute("aria-pressed") == "true"
    run(browser, "document.getElementById('graph').scrollIntoView()")
    browser.switch_to.frame(browser.find_element(By.TAG_NAME, "iframe"))
    from selenium.webdriver.support.ui import WebDriverWait

    ready = "return document.querySelectorAll('#world .box').length"
    WebDriverWait(browser, 20).until(lambda b: b.execute_script(ready) > 0)
    browser.switch_to.default_content()
    assert browser.get_log("browser") == []


@pytest.mark.browser
def test_planes_residuals_and_texts_in_a_browser(browser, tmp_path):
    path = tmp_path / "plane.html"
    model = nn.Sequential(nn.Linear(2, 8), nn.Tanh(), nn.Linear(8, 3))
    trained([Report(path, on_a_plane(3))], model=model, data=on_a_plane(3), epochs=3)
    show(browser, path)
    assert run(browser, "document.querySelectorAll('#everywhere .dot').length") == 43  # and 3 keys
    label = "document.querySelector('#everywhere output').textContent"
    assert run(browser, label) == "epoch 3"
    slider = browser.find_element("css selector", "#everywhere input")
    slider.send_keys("\ue011")  # Home
    assert run(browser, label) == "epoch 0"
    assert (
        run(browser, "document.querySelector('#everywhere image').href.baseVal")[:10]
        == "data:image"
    )
    path = tmp_path / "text.html"
    ids = np.tile([0, 1, 2, 2], (8, 20))
    data = TensorDataset(ids[:, :-1], ids[:, 1:])
    report = Report(path, data, tokens=["a", "b", "\n"], samples=lambda m: "<b>")
    trained([report], model=Writes(), data=data, epochs=1, metrics=[])
    show(browser, path)
    assert run(browser, "document.querySelector('#samples pre').textContent") == "<b>"
    assert run(browser, "document.querySelectorAll('#mistakes mark').length") > 0
    path = tmp_path / "numbers.html"
    x = np.random.default_rng(0).normal(0, 1, (30, 1)).astype(np.float32)
    line = TensorDataset(x, 3 * x)
    report = Report(path, line)
    trained([report], model=nn.Linear(1, 1), data=line, loss=nn.MSELoss(), metrics=[])
    show(browser, path)
    assert run(browser, "document.querySelectorAll('#errors svg').length") == 3
    assert "epoch 3" in run(browser, "document.querySelector('#everywhere').textContent")


@pytest.mark.browser
def test_a_failed_run_in_a_browser(browser, tmp_path):
    report = Report(tmp_path / "r.html", pictures(20))
    with pytest.raises(ShapeError):
        trained([report], model=Narrows(), flight=tmp_path / "flight.safetensors")
    show(browser, report.path)
    assert run(browser, "document.querySelector('main').firstElementChild.id") == "account"
    text = run(browser, "document.getElementById('account').textContent")
    assert "Failed in epoch 1, step 4" in text
    assert "backlit replay" in text


@pytest.mark.browser
def test_a_phone_and_an_empty_run(browser, tmp_path):
    path = tmp_path / "r.html"
    report = Report(path)
    trainer = trained(epochs=1)
    trainer.history, trainer.epoch = [], 0
    report.write(trainer, "interrupted")
    metrics = {"width": 390, "height": 844, "deviceScaleFactor": 1, "mobile": True}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    try:
        show(browser, path)
        assert "No epoch was finished" in run(
            browser, "document.getElementById('curves').textContent"
        )
        trained([report], epochs=2)
        show(browser, path)
        assert run(browser, "document.documentElement.scrollWidth") <= 390
    finally:
        browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
