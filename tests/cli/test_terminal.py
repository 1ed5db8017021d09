"""`backlit step` on the full screen, driven by its keys."""

import asyncio

import numpy as np
import pytest
from rich.console import Console
from textual.widgets import Input

import backlit as bl
from backlit import nn, see
from backlit.cli import step as step_module
from backlit.cli.step import walk
from backlit.cli.stepper.dialogs import Find, Page
from backlit.cli.stepper.panes import histogram, sentence
from backlit.cli.stepper.tape import Scrub, Tape
from backlit.cli.stepper.terminal import Pane, Stepper
from backlit.cli.stepper.walking import Walk
from backlit.see.records.value import Value
from graphs import deep, lecture


def pilot(record, *scripts, size=(120, 40)):
    """Run coroutines over (app, pilot) one after the other in one application."""

    async def run():
        app = Stepper(record, "test")
        async with app.run_test(size=size) as p:
            await p.pause()
            for script in scripts:
                await script(app, p)
            return app

    return asyncio.run(run())


def shown(app, pane):
    return app.query_one(f"#{pane}", Pane).text.visual.plain


def rows(app):
    tape = app.query_one(Tape)
    return [tape.render_line(y).text.rstrip() for y in range(len(tape.rows))]


async def press(p, *keys):
    await p.press(*keys)
    await p.pause()


def test_values_fill_in_forward_and_gradients_backward():
    async def script(app, p):
        assert shown(app, "sentence") == "q = x + y = −2 + 5 = 3"
        assert [r.split() for r in rows(app)] == [
            ["x", "−2", "·"],
            ["y", "5", "·"],
            ["▶", "q", "=", "x", "+", "y", "3", "·"],
            ["z", "−4", "·"],
            ["m", "=", "max(y,", "z)", "·", "·"],
            ["f", "=", "q", "×", "m", "·", "·"],
        ]
        await press(p, "right", "n", "space")
        assert shown(app, "sentence").splitlines() == [
            "× switches: upstream 1",
            "  to q  1 · 5 = 5",
            "  to m  1 · 3 = 3",
        ]
        assert [r.split()[-1] for r in rows(app)] == ["·", "·", "5", "·", "3", "1"]
        await press(p, "end")
        assert [r.split()[-1] for r in rows(app)] == ["5", "8", "5", "0", "3", "1"]
        assert shown(app, "sentence").endswith("Σ y is used 2 times and adds up: 5 + 3 = 8")
        await press(p, "left")
        assert [r.split()[-1] for r in rows(app)] == ["·", "·", "5", "0", "3", "1"]
        await press(p, "right", "right", "home")
        assert app.walk_.place == 0

    pilot(lecture(), script)


@pytest.mark.slow
def test_the_gate_is_drawn_with_its_wires():
    async def script(app, p):
        await press(p, "b")
        lines = [line.rstrip() for line in shown(app, "gate").splitlines()]
        assert lines[:4] == [
            "  q  3     ──╮",
            "     5  ×5   ├──  ×  ── 15 ─▶ f",
            "  m  5     ──╯          1",
            "     3  ×3",
        ]
        assert lines[5].startswith("switcher: each input gets upstream times the other")
        await press(p, "home")
        assert "·" in shown(app, "gate").splitlines()[1]  # no gradient yet, and not 0

    pilot(lecture(), script)


@pytest.mark.slow
def test_other_nodes_are_looked_at_as_they_are_known_by_now():
    async def script(app, p):
        await press(p, "b", "home", "up")
        assert shown(app, "gate").splitlines()[0].split() == ["y", "leaf", "5"]
        assert "from m  not yet" in shown(app, "gate")
        assert "adder: the gradients of its uses add up to not yet" in shown(app, "gate")
        assert shown(app, "sentence").startswith("Looking at y")
        await press(p, "enter")
        assert app.walk_.place == 0  # a leaf has no stop of its own
        await press(p, "down", "down", "down", "enter")
        assert app.walk_.stop.node.label == "m"
        assert app.walk_.stop.phase == "forward"
        await press(p, "end", "pagedown", "enter")
        assert (app.walk_.stop.node.label, app.walk_.stop.phase) == ("f", "backward")
        await p.click(Tape, offset=(5, 1))
        await p.pause()
        assert shown(app, "gate").splitlines()[0].split() == ["y", "leaf", "5"]
        await p.click(Scrub, offset=(2, 0))
        await p.pause()
        assert app.walk_.place == 0

    pilot(lecture(), script)


@pytest.mark.slow
def test_runs_to_breakpoints():
    async def script(app, p):
        await press(p, "b", "n", "t")
        assert app.breakpoints == "at m"
        assert any("●" in r and "m = " in r for r in rows(app))
        await press(p, "home", "c")
        assert (app.walk_.stop.node.label, app.walk_.stop.phase) == ("m", "backward")
        await press(p, "d", "home", "g", "4", "enter")
        assert app.breakpoints == "above 4"
        await press(p, "c")
        assert app.walk_.stop.node.label == "q"
        await press(p, "g", "x", "enter")
        assert any("must be a number, got x" in n.message for n in app._notifications)
        await press(p, "g", "escape", "i", "home")
        assert app.breakpoints == "above 4, at nan or ∞"
        await press(p, "d", "c")
        assert app.walk_.place == app.walk_.last
        assert any(n.message == "No breakpoint: this is the end." for n in app._notifications)

    pilot(lecture(), script)


@pytest.mark.slow
def test_breaks_at_the_first_gradient_that_is_not_finite():
    x = bl.tensor([0.0, 1.0], requires_grad=True)
    record = see.record((bl.sqrt(x) * 3.0).sum())

    async def script(app, p):
        await press(p, "i", "c")
        assert (app.walk_.stop.node.op, app.walk_.stop.phase) == ("sqrt", "backward")
        assert "1 inf" in shown(app, "numbers")

    pilot(record, script)


@pytest.mark.slow
def test_finds_and_explains():
    async def script(app, p):
        await press(p, "slash", "y", "enter", "x")
        assert isinstance(app.screen, Page)
        assert "2 paths lead from y to f" in app.screen.text.plain
        before = app.walk_.place
        await press(p, "n")
        assert app.walk_.place == before  # keys belong to the dialog
        await press(p, "escape", "slash")
        assert isinstance(app.screen, Find)
        await press(p, "n", "p", "space", "left", "home", "end", "backspace", "backspace")
        assert app.screen.query_one(Input).value == "n"  # letters are text there
        await press(p, "backspace", "w", "enter")
        assert any("no node is named 'w'" in n.message for n in app._notifications)
        await press(p, "question_mark")
        assert "next breakpoint" in app.screen.text.plain

    pilot(lecture(), script)


@pytest.mark.slow
def test_a_model_shows_modules_source_and_numbers():
    async def script(app, p):
        assert app.query_one("#source").border_title.startswith("graphs.py:")
        await press(p, "b", "n", "n", "n")
        texts = rows(app)
        assert any("block1.up: Linear" in r for r in texts)
        assert "▶" in shown(app, "source")
        numbers = shown(app, "numbers")
        assert "value  float64[6,3]" in numbers
        assert "… 2 more rows" in numbers
        await press(p, "right")

    pilot(deep(2), script)


def test_only_stops_that_lead_to_the_output_unless_asked():
    with see.recording() as recorded:
        bl.tensor([1.0, 2.0]) * 7.0
        w = bl.tensor(2.0, requires_grad=True)
        loss = w * 3.0
        loss.backward()
    record = recorded.record
    assert len(Walk(record).stops) == 3
    assert [s.number for s in Walk(record, related=True).stops] == [0, 1]

    async def script(app, p):
        assert len(app.walk_.stops) == 2
        await press(p, "n", "a")
        assert len(app.walk_.stops) == 3
        assert app.walk_.stop.phase == "backward"
        assert len(rows(app)) == len(record.nodes)
        await press(p, "a")
        assert len(app.walk_.stops) == 2

    pilot(record, script)


@pytest.mark.slow
def test_a_crash_is_walked_up_to_where_it_happened():
    x = bl.ones((2, 3)).requires_grad_()
    with pytest.raises(bl.errors.ShapeError), see.recording() as recorded:
        bl.exp(x) @ x

    async def script(app, p):
        await press(p, "end")
        assert "raised" in shown(app, "sentence")
        assert "raised" in app.query_one("#head").visual.plain

    pilot(recorded.record, script)


def test_a_record_from_a_file_can_be_walked(tmp_path):
    path = tmp_path / "run.json"
    net = nn.Linear(3, 2)
    see.record(net(bl.ones((4, 3))).sum()).save(path, arrays="elided")

    async def script(app, p):
        await press(p, "end")
        assert "to weight" in shown(app, "sentence")

    pilot(see.Record.load(path), script)


@pytest.mark.slow
def test_ten_thousand_stops_are_no_trouble():
    x = bl.tensor(0.5, requires_grad=True)
    y = x
    for _ in range(5000):
        y = bl.sin(y)
    record = see.record(y)

    async def script(app, p):
        await press(p, "b", "n", "pageup", "enter", "end")
        assert app.walk_.place == 9999
        assert app.query_one(Tape).scroll_offset.y == 0 or app.query_one(Tape).cursor < 40

    pilot(record, script)


@pytest.mark.slow
def test_python_needs_a_terminal_that_can_be_handed_over():
    async def script(app, p):
        await press(p, "exclamation_mark")
        assert any("cannot be handed over" in n.message for n in app._notifications)

    pilot(lecture(), script)


def test_small_screens_still_show_what_happens():
    async def script(app, p):
        await press(p, "b")
        assert "switches" in shown(app, "sentence")

    pilot(lecture(), script, size=(60, 18))


class Terminal(Console):
    is_terminal = True


def test_the_full_screen_is_for_terminals_with_textual(monkeypatch, capsys):
    started = []
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr(Stepper, "run", lambda self: started.append(self.heading))
    monkeypatch.setattr("click.prompt", lambda *_, **__: "q")
    walk(lecture(), Terminal(), title="f")
    assert started == ["f"]
    walk(lecture(), Terminal(), plain=True)
    walk(lecture(), Console())
    assert started == ["f"]
    monkeypatch.setattr(step_module, "find_spec", lambda name: None)
    walk(lecture(), Terminal(width=200))
    assert "pip install 'backlit[terminal]'. Line by line now." in capsys.readouterr().out
    assert started == ["f"]


def test_sentences_keep_all_their_words():
    for stop in see.steps(deep(1)):
        words = sentence(stop).plain.replace("\n", " ").replace(":", "").split()
        assert all(w.strip(":;.") in " ".join(words) for w in stop.sentence.split() if w != "+")


def test_histograms_show_where_elements_lie():
    x = Value(np.concatenate([np.zeros(90), np.linspace(0, 1, 10)]))
    bars = histogram(x, 10)
    assert bars[0] == "█"
    assert set(bars[1:]) == {"▁"}
    assert histogram(Value(np.ones(100)), 10) == ""
    assert histogram(Value(np.arange(3.0)), 10) == ""
