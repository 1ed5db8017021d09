"""`backlit step` in windows of any size: names, numbers and keys are whole, on a real terminal."""

import asyncio
import os
import re
import select
import signal
import struct
import sys
import time

import numpy as np
import pytest
from rich.text import Text

import backlit as bl
from backlit import models, nn, see
from backlit.cli.stepper.finding import search
from backlit.cli.stepper.panes import fit, short
from backlit.cli.stepper.pictures import picture
from backlit.cli.stepper.tape import Tape
from backlit.cli.stepper.terminal import Pane, Stepper
from backlit.nn import functional as F
from backlit.see.records.value import Value
from cli.screens import Screen
from graphs import deep, lecture

SIZES = [(60, 20), (80, 24), (120, 40), (200, 60)]


class LeNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(1, 4, 5, padding=2), nn.Conv2d(4, 8, 5)
        self.fc1, self.fc2 = nn.Linear(200, 20), nn.Linear(20, 10)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2)
        return self.fc2(F.relu(self.fc1(x.reshape(len(x), -1))))


class Series(nn.Module):
    def __init__(self):
        super().__init__()
        self.cell, self.head = nn.LSTMCell(3, 5), nn.Linear(5, 1)

    def forward(self, series):
        state = None
        for x in series:
            state = self.cell(x, state)
        return self.head(state[0])


def lenet():
    bl.manual_seed(0)
    images = bl.random.uniform((2, 1, 28, 28))
    return see.record(F.cross_entropy(LeNet()(images), bl.asarray([3, 1])))


def block():
    bl.manual_seed(0)
    model = models.GPT2(65, context=8, layers=1, heads=2, width=16, dropout=0.0)
    tokens = bl.asarray(np.arange(8)[None])
    return see.record(F.cross_entropy(model(tokens).reshape(-1, 65), tokens.reshape(-1)))


def lstm():
    bl.manual_seed(0)
    return see.record((Series()(bl.random.normal((200, 2, 3))) ** 2).mean())


RECORDS = {f.__name__: f for f in (lecture, deep, lenet, block, lstm)}


def screen(app):
    strips = app.screen._compositor.render_strips()
    return ["".join(piece.text for piece in strip).rstrip() for strip in strips]


def drive(record, size, script):
    async def run():
        app = Stepper(record, "net.py")
        async with app.run_test(size=size) as p:
            await p.pause()
            await script(app, p)

    asyncio.run(run())


def check(app, lines):
    """What must hold of every screen."""
    text = "\n".join(lines)
    for cut in re.finditer(r"[\d.]…", text):
        raise AssertionError(f"a number is cut: {text[cut.start() - 20 : cut.end()]}\n{text}")
    assert lines[-1].endswith("? help  q quit"), text
    stop = app.walk_.stop
    assert f"stop {stop.number + 1} of {len(app.walk_.stops)}" in lines[0]
    tapes = [line.split("││")[0] for line in lines]
    here = next((tape for tape in tapes if "▶ " in tape and "─▶" not in tape), "no stop")
    assert f"{stop.node.op}_{stop.node.id}" in here or stop.node.label in here, text
    if stop.phase == "backward":
        assert "upstream" in text


@pytest.mark.long
@pytest.mark.parametrize("name", RECORDS)
def test_nothing_is_cut_in_the_middle_of_a_number(name):
    record = RECORDS[name]()

    async def script(app, p):
        for size in SIZES:
            await p.resize_terminal(*size)
            for keys in (["home"], ["right"] * 3, ["b"], ["right"] * 4, ["v"], ["v", "v", "v"]):
                await p.press(*keys)
                await p.pause()
                if app.pane_shown != "source":
                    check(app, screen(app))

    for node in record.nodes:  # lines of source are longer than windows
        node.file = ""
    drive(record, SIZES[0], script)


@pytest.mark.slow
def test_parameters_stand_under_their_module():
    async def script(app, p):
        tape = app.query_one(Tape)
        rows = [tape.render_line(y).text.strip() for y in range(len(tape.rows))]
        at = rows.index("fc1: Linear")
        assert [r.split()[0] for r in rows[at + 1 : at + 4]] == [
            "fc1.weight",
            "fc1.bias",
            next(n.label for n in app.walk_.record if n.op == "linear"),
        ]

    drive(lenet(), (80, 24), script)


@pytest.mark.slow
def test_search_finds_modules_parameters_ops_and_lines():
    record = lenet()

    def kinds(text):
        return [h.kind for h in search(record, text)]

    assert kinds("fc1")[0] == "module"
    assert {"module", "parameter", "line"} <= set(kinds("fc1"))
    assert search(record, "FC1.weight")[0].text == "fc1.weight"
    assert kinds("max_pool")[0] == "op"
    (line,) = [h for h in search(record, "self.fc1(x.reshape") if h.kind == "line"]
    assert line.text.startswith("test_screens.py:")
    assert search(record, "conv2d(4, 8")[0].kind == "module"
    assert search(record, "conv3d") == []
    assert search(record, " ") == []

    async def script(app, p):
        await p.press("slash", *"conv2", "down", "enter")
        await p.pause()
        assert record.nodes[app.looked].label == "LeNet.conv2.weight"
        assert "conv2.weight" in "\n".join(screen(app))
        await p.press("slash", *"nowhere", "enter")
        await p.pause()
        assert any("no node is named 'nowhere'" in n.message for n in app._notifications)

    drive(record, (80, 24), script)


@pytest.mark.slow
def test_values_and_gradients_are_set_and_taken_back():
    async def script(app, p):
        await p.press("right", "s", *"value * 2", "enter")
        await p.pause()
        assert "f: 15 → 30" in app.screen.text.plain
        await p.press("escape", "b", "right")
        await p.pause()
        lines = screen(app)
        assert "what if f 15 → 30" in lines[0]
        row = next(line for line in lines if line.startswith("◆"))
        assert row.split() == ["◆", "m", "Δ10", "3"]
        assert app.walk_.stop.node.label == "q"
        await p.press("u", *"7", "enter", "escape", "w")
        await p.pause()
        assert "q  gradient  10 → 7" not in app.screen.text.plain  # what it was: 5
        assert "q  gradient  5 → 7  (set)" in app.screen.text.plain
        await p.press("escape", "v")
        await p.pause()
        assert "7   float32[]   before 5" in "\n".join(screen(app))
        await p.press("z", "z", "z")
        await p.pause()
        said = [n.message for n in app._notifications]
        assert "Taken back: the upstream of q." in said
        assert "Nothing is set." in said
        assert app.changes.now is None
        await p.press("w", "s", *"[1, 2]", "enter")
        await p.pause()
        assert any("must have the shape ()" in n.message for n in app._notifications)

    drive(lecture(), (80, 24), script)


def test_one_element_can_be_set():
    async def script(app, p):
        node = app.walk_.record.find("embed.bias")
        changed = app.changes.set(node.id, "value", "[0] = 5")
        assert changed[node.id].value.array.tolist() == [5, 0, 0, 0, 0, 0, 0, 0]
        changed = app.changes.set(node.id, "value", "np.arange(8)")
        assert changed[node.id].value.array.tolist() == list(range(8))
        with pytest.raises(bl.errors.ArgumentError, match=r"'\[9\] = 5' is no value: IndexError"):
            app.changes.set(node.id, "value", "[9] = 5")
        assert app.changes.record.find("embed.bias").value.array.max() == 7

    drive(deep(1), (80, 24), script)


def test_pictures_have_the_values_signs_and_leave_the_numbers_alone():
    x = np.zeros((4, 6), np.float32)
    x[0, 0], x[1, 1], x[3, 5] = 4.0, -4.0, np.nan
    drawn = picture(Value(x), 40, 8)
    assert drawn.plain.split("\n") == ["▀" * 6] * 2
    colors = [
        [(s.style.color.name, s.style.bgcolor.name) for s in line.spans] for line in drawn.split()
    ]
    assert colors[0][0] == ("#ff9a4a", "#22282f")
    assert colors[0][1] == ("#22282f", "#56b4e9")
    assert colors[1][5] == ("#22282f", "#ff3c50")
    several = picture(Value(np.ones((2, 3, 8, 8))), 40, 4)
    assert [len(line) for line in several.plain.split("\n")] == [35] * 4
    assert picture(Value(np.ones(3)), 40, 8) == Text("")
    assert picture(None, 40, 8) == Text("")


def test_texts_are_as_wide_as_their_cells():
    assert fit("重み重み", 6) == "重み…"
    v = Value(np.array([0.123456, -0.25, 0.3]))
    shown = [short(v, n) for n in (30, 11, 7, 5)]
    assert shown == ["[0.123, −0.25, 0.3]", "3 ‖0.41‖", "‖0.41‖", "0.41"]
    bad = Value(np.full((20, 30), np.nan))
    assert [short(bad, n, gradient=True) for n in (9, 4)] == ["‖nan‖", "nan"]
    x = bl.tensor(2.0, requires_grad=True)
    x.name = "重み"

    async def script(app, p):
        rows = [app.query_one(Tape).render_line(y).text for y in range(2)]
        assert "重み" in rows[0]
        assert Text(rows[0]).cell_len == Text(rows[1]).cell_len

    drive(see.record(x * 3), (60, 20), script)


FORMULA = ["q = x + y; q * max(y, z)", "x=-2", "y=5", "z=-4"]


_OF_TERMINALS = ("COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR")


class Terminal:
    """`backlit step` on a terminal of its own."""

    def __init__(self, size, **environment):
        import fcntl
        import pty
        import termios

        self.screen = Screen(*size)
        self.pid, self.file = pty.fork()
        if self.pid == 0:
            # Not what libraries have set behind Python's back, as COLUMNS by readline.
            known = {k: v for k, v in os.environ.items() if k not in _OF_TERMINALS}
            known |= {"TERM": "xterm-256color", "COLORTERM": "truecolor", **environment}
            os.execve(sys.executable, [sys.executable, "-m", "backlit", "step", *FORMULA], known)
        self._resize = lambda c, r: fcntl.ioctl(
            self.file, termios.TIOCSWINSZ, struct.pack("HHHH", r, c, 0, 0)
        )
        self._resize(*size)
        self.raw = ""

    def resize(self, columns, rows):
        self.screen = Screen(columns, rows)
        self._resize(columns, rows)
        os.kill(self.pid, signal.SIGWINCH)

    def wait(self, *texts, seconds=30):
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            if all(t in str(self.screen) for t in texts):
                return str(self.screen)
            if select.select([self.file], [], [], 0.1)[0]:
                try:
                    got = os.read(self.file, 65536).decode("utf-8", "replace")
                except OSError:
                    break
                self.raw += got
                self.screen.feed(got)
        raise AssertionError(f"{texts} did not come:\n{self.screen}")

    def type(self, text):
        os.write(self.file, text.encode())

    def end(self):
        os.close(self.file)
        os.waitpid(self.pid, 0)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
def test_on_a_real_terminal():
    t = Terminal((80, 24))
    shown = t.wait("stop 1 of 6", "q = x + y = −2 + 5 = 3", "q quit").splitlines()
    assert len(shown) == 24
    assert max(map(len, shown)) <= 80
    assert "\x1b[38;2;" in t.raw or "38;2;" in t.raw
    t.resize(120, 40)
    t.wait("╭─ values and gradients", "q quit")
    t.type("s")
    t.wait("what if the value of q were")
    t.type("10\r")
    t.wait("what that changes", "15 → 50")
    t.type("\x1b")
    t.wait("◆ what if multiply_5 15 → 50")
    t.type("q")
    t.end()


@pytest.mark.long
@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
def test_on_a_terminal_without_colours_or_a_screen():
    dumb = Terminal((80, 24), TERM="dumb")
    plain = Terminal((80, 24), NO_COLOR="1")
    dumb.wait("6 stops. Enter goes on, h helps, q quits.", "step>")
    assert "\x1b" not in dumb.raw
    dumb.type("q\n")
    plain.wait("stop 1 of 6", "q = x + y = −2 + 5 = 3")
    hues = set(re.findall(r"[34]8;2;(\d+);(\d+);(\d+)[m;]", plain.raw))
    assert all(r == g == b for r, g, b in hues)
    plain.type("q")
    dumb.end()
    plain.end()


def test_a_click_on_a_key_is_the_key():
    async def script(app, p):
        await p.click("#keys", offset=(3, 0))
        await p.pause()
        assert app.walk_.place == 1
        await p.click("#keys", offset=(screen(app)[-1].index("set"), 0))
        await p.pause()
        assert app.screen.question == "what if the value of m were"

    drive(lecture(), (80, 24), script)


def test_no_pane_needs_a_colour():
    async def script(app, p):
        app.no_color = True
        await p.press("v", "v")
        assert app.pane_shown == "source"
        assert not app.query_one("#pictures", Pane).display

    drive(lecture(), (80, 24), script)
