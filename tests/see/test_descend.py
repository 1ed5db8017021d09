"""The ways of optimizers, the surfaces under them, and the pictures of both."""

import math
import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest

import backlit
from backlit import nn, optim, see
from backlit.errors import ArgumentError
from backlit.see import plot
from backlit.see.show.charts import Chart, contour, levels_of, powers, ticks_of


def valley(x, y):
    return 0.1 * x**2 + 2 * y**2


RACE = {
    "SGD": lambda p: optim.SGD(p, lr=0.4),
    "momentum": lambda p: optim.SGD(p, lr=0.4, momentum=0.5),
    "Adam": lambda p: optim.Adam(p, lr=0.4),
}


def test_ways_are_those_of_the_recurrences():
    found = see.descend(valley, (-5, 2), RACE, steps=12)
    slope = np.array([0.2, 4.0])
    plain = np.array([-5.0, 2.0])
    heavy, v = plain.copy(), np.zeros(2)
    for t in range(13):
        np.testing.assert_allclose(found.ways["SGD"].positions[t], plain, rtol=1e-12)
        np.testing.assert_allclose(found.ways["momentum"].positions[t], heavy, rtol=1e-12)
        assert found.ways["SGD"].losses[t] == pytest.approx(valley(*plain))
        plain = plain - 0.4 * slope * plain
        v = 0.5 * v + slope * heavy
        heavy = heavy - 0.4 * v
    seen = found.update("momentum", 7, 1)
    assert seen.label == "y"
    assert seen.step == 7
    assert seen.after[1] == pytest.approx(found.ways["momentum"].positions[7, 1], rel=1e-14)
    table = found.steps("Adam", 0, last=5)
    assert table.headings == ["t", "g", "m", "v", "m̂", "v̂", "step", "θ"]
    assert len(table) == 5


def test_a_step_of_all_side_by_side():
    found = see.descend(valley, (-5, 2), {**RACE, "LBFGS": optim.LBFGS}, steps=3)
    table = found.side_by_side(2, 1)
    assert table.headings[0] == "step 2 of y"
    assert [row[0] for row in table.rows] == ["SGD", "momentum", "Adam"]
    assert table.rows[0][1:] == ["−4.8", "", "", "1.92", "0.72"]
    assert table.rows[1][2:5] == ["v −0.8", "", "0.32"]
    assert re.match("m [^,]+, v [^,]+$", table.rows[2][2])
    assert re.match("m̂ [^,]+, v̂ [^,]+$", table.rows[2][3])
    assert "step 1 of y" in found.html()


def test_ways_that_fly_off_end_there_and_rules_with_a_step_of_their_own_go_on():
    race = {"far": lambda p: optim.SGD(p, lr=1e200), "LBFGS": optim.LBFGS}
    found = see.descend(valley, (1.0, 1.0), race, steps=6)
    assert re.search("far: its loss was (∞|nan) after step 1", str(found))
    assert found.ways["LBFGS"].losses[-1] < 1e-8
    assert found.svg().startswith("<svg")
    assert "LBFGS" in found.losses_svg()
    assert "<summary>far" in found.html()
    assert "<summary>LBFGS" not in found.html()
    with pytest.raises(ArgumentError, match="LBFGS must have an update for one parameter"):
        found.update("LBFGS", 1)


def test_a_network_is_afterwards_as_before_and_its_picture_has_its_losses():
    backlit.manual_seed(0)
    net = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Dropout(0.2), nn.Linear(4, 1))
    x = backlit.random.normal((16, 3))
    before = [p.numpy().copy() for p in net.parameters()]

    def loss():
        return (net(x) ** 2).mean()

    race = {"SGD": lambda p: optim.SGD(p, lr=0.05), "again": lambda p: optim.SGD(p, lr=0.05)}
    found = see.descend(loss, net, race, steps=5)
    for p, array in zip(net.parameters(), before, strict=True):
        np.testing.assert_array_equal(p.numpy(), array)
    np.testing.assert_array_equal(found.ways["SGD"].losses, found.ways["again"].losses)
    assert found.update("SGD", 3, parameter="3.weight").label.startswith("3.weight[0, ")
    net.eval()
    found = see.descend(loss, net, {"SGD": race["SGD"]}, steps=6)
    assert 0.9 < found.in_plane <= 1  # asked before there is a picture, too
    surface, paths = found.surface(), found.paths()
    assert surface.title == "loss; the plane holds above 99.9 % of the movement"
    np.testing.assert_allclose(paths["SGD"][-1], [0, 0], atol=1e-6)  # the lowest end
    steps = np.linalg.norm(np.diff(found.ways["SGD"].positions, axis=0), axis=1)
    assert (np.linalg.norm(np.diff(paths["SGD"], axis=0), axis=1) <= steps * (1 + 1e-6)).all()
    middle = see.surface(loss, (-1e-3, 1e-3), (-1e-3, 1e-3), model=net, points=3)
    assert middle.heights[1, 1] == pytest.approx(loss().item(), rel=1e-5)
    for p, array in zip(net.parameters(), before, strict=True):
        np.testing.assert_array_equal(p.numpy(), array)
    figure = plot.landscape(surface, paths=paths)
    assert figure.axes[0].get_xlabel() == "direction 1"
    with pytest.raises(ArgumentError, match="those of a function of two numbers, got a slice"):
        surface.gradients()


def test_given_directions_are_gone_along():
    net = nn.Linear(2, 1, bias=False)
    net.weight.assign([[0.0, 0.0]])
    directions = [[np.array([[1.0, 0.0]])], [np.array([[0.0, 1.0]])]]
    target = backlit.tensor([[0.5, -0.25]])

    def loss():
        return ((net.weight - target) ** 2).sum()

    found = see.surface(loss, model=net, directions=directions, points=9)
    x, y = np.meshgrid(found.xs, found.ys)
    np.testing.assert_allclose(found.heights, (x - 0.5) ** 2 + (y + 0.25) ** 2, atol=1e-6)
    assert repr(found).startswith("Surface of loss: direction 1 −1 … 1, direction 2 −1 … 1")
    with pytest.raises(ArgumentError, match=r"the parameters' shapes \[\(1, 2\)\], got \[\(2,\)\]"):
        see.surface(loss, model=net, directions=[[np.zeros(2)], [np.zeros(2)]])
    with pytest.raises(ArgumentError, match="there must be 2 directions, got 1"):
        see.surface(loss, model=net, directions=directions[:1])


def test_gradients_and_arrows_of_a_function():
    found = see.surface(valley, (-5, 5), (-2, 2))
    points, slopes = found.gradients(4)
    np.testing.assert_allclose(slopes, points * [0.2, 4.0])
    text = found.svg(arrows=4)
    (arrows,) = re.findall('class="f" d="([^"]+)"', text)
    lines = re.findall(r"M([\d.]+) [\d.]+L([\d.]+) [\d.]+M", arrows)
    assert len(lines) == 16
    middle = Chart((-5, 5), (-2, 2)).place(0, 0)[0]
    for tail, head in lines:  # all of them point downhill, to the middle
        assert abs(float(head) - middle) < abs(float(tail) - middle)


def test_races_and_surfaces_that_are_none():
    with pytest.raises(ArgumentError, match="start must be numbers in a row, got shape"):
        see.descend(valley, 3.0, RACE)
    with pytest.raises(ArgumentError, match="steps must be a positive integer, got 0"):
        see.descend(valley, (1, 1), RACE, steps=0)
    with pytest.raises(ArgumentError, match=r"optimizers must be functions by name.*got list"):
        see.descend(valley, (1, 1), [optim.SGD])
    with pytest.raises(ArgumentError, match=r"must return an optimizer of backlit\.optim, got int"):
        see.descend(valley, (1, 1), {"none": lambda p: 3})
    with pytest.raises(ArgumentError, match=r"descend: the loss must be a Tensor of one number"):
        see.descend(lambda x, y: 3, (1, 1), RACE)
    found = see.descend(lambda *x: sum(v * v for v in x), (1, 1, 1), {"SGD": RACE["SGD"]}, 3)
    with pytest.raises(ArgumentError, match="there are SGD, got 'Adam'"):
        found.update("Adam", 1)
    with pytest.raises(ArgumentError, match="SGD has steps from 1 to 3, got 4"):
        found.update("SGD", 4)
    with pytest.raises(ArgumentError, match="function of 2 numbers or a model, got 3 numbers"):
        found.surface()
    with pytest.raises(ArgumentError, match="the parameters are x, y, z, got 'w'"):
        found.update("SGD", 1, parameter="w")
    with pytest.raises(ArgumentError, match=r"must end in .svg or .html, got ways.png"):
        found.save("ways.png")
    with pytest.raises(ArgumentError, match="directions are those of a model's weights"):
        see.surface(valley, directions=[1, 2])
    with pytest.raises(ArgumentError, match=r"surface: path 'a' must be \(T, 2\), got \(3,\)"):
        see.surface(valley).svg({"a": [1.0, 2.0, 3.0]})
    with pytest.raises(ArgumentError, match="all ways together must have at most"):
        see.descend(valley, nn.Linear(2000, 2000), RACE, steps=50)


def test_functions_of_another_number_of_arguments():
    net = nn.Linear(2, 1)
    for made, match in (
        (lambda: see.descend(valley, (1,), RACE), r"f must take 1 argument.*\(x, y\); as many num"),
        (lambda: see.descend(valley, net, RACE), r"f must take 0 arguments.*takes none: lambda:"),
        (
            lambda: see.surface(lambda x: x),
            r"f must take 2 arguments.*\(x\); x and y; the loss of a",
        ),
        (lambda: see.surface(valley, model=net), r"surface: f must take 0 arguments.*takes none"),
        (lambda: see.surface(3), "f must be a function, got int"),
    ):
        with pytest.raises(ArgumentError, match=match):
            made()


def test_what_is_not_finite_is_hatched_and_counted():
    half = see.surface(lambda x, y: backlit.log(x) + y, points=4)
    assert repr(half).endswith("; not finite at 8 of 16 points")
    picture = half.svg()
    assert "not finite at 8 of 16 points" in picture
    assert picture.count("url(#bl-hatch") == 1
    hatched = re.search('<path d="([^"]*)" fill="url', picture)[1].split("Z")[:-1]
    chart = Chart((-1, 1), (-1, 1), y_label="y")
    left, middle = chart.place(-1, 0)[0], chart.place(0, 0)[0]
    assert len(hatched) == 4
    for cells in hatched:
        x0, x1 = map(float, re.match(r"M(\S+) \S+?H([\d.]+)V", cells).groups())
        assert (x0, x1) == (pytest.approx(left, abs=0.1), pytest.approx(middle, abs=0.1))
    assert "not finite" not in repr(see.surface(valley))
    assert "hatch" not in see.surface(valley).svg()


def test_files_are_whole_pages_and_pictures(tmp_path):
    found = see.descend(valley, (-5, 2), RACE, steps=5)
    found.save(tmp_path / "ways.svg")
    found.save(tmp_path / "ways.html")
    root = ET.parse(tmp_path / "ways.svg").getroot()
    assert root.tag.endswith("svg")
    assert root.get("role") == "img"
    assert root.get("aria-label") == "f: SGD, momentum, Adam"
    page = (tmp_path / "ways.html").read_text()
    assert "prefers-color-scheme: dark" in page
    assert "http" not in page.replace("http://www.w3.org/2000/svg", "")
    see.surface(valley).save(tmp_path / "valley.svg", arrows=5)
    see.averages([1.0, 2.0]).save(tmp_path / "averages.svg")
    for name in ("valley", "averages"):
        ET.parse(tmp_path / f"{name}.svg")


def test_contours_lie_at_their_height():
    xs, ys = np.linspace(-2, 2, 41), np.linspace(-1, 1, 31)
    x, y = np.meshgrid(xs, ys)
    chains = contour(xs, ys, x**2 + y**2, 0.5)
    assert len(chains) == 1
    assert chains[0][0] == chains[0][-1]
    np.testing.assert_allclose(np.hypot(*np.array(chains[0]).T), math.sqrt(0.5), atol=4e-3)
    holes = np.where(x > 1, np.nan, x)
    assert all(p[0] < 1 for chain in contour(xs, ys, holes, 0.5) for p in chain)
    assert contour(xs, ys, x, 5.0) == []
    assert levels_of(np.ones((3, 3))) == []
    levels = levels_of(x**2 + y**2)
    assert levels == sorted(levels)
    assert len(levels) == 14


def test_more_lines_than_colours_differ_in_dashes():
    chart = Chart((0, 1), (0, 1))
    for i in range(15):
        chart.line([0, 1], [0, 1], f"line {i}")
    looks = re.findall('h28"([^/]+)/>', chart.svg())
    assert len(set(looks)) == len(looks) == 15


def test_axes_have_round_numbers():
    assert ticks_of(-1.7, 3.2, 5) == [-1.0, 0.0, 1.0, 2.0, 3.0]
    assert ticks_of(0, 3e-7, 3) == [0.0, 1e-7, 2e-7, 3e-7]
    assert [t for _, t in powers(-12.5, 1.0)] == ["1e−12", "1e−9", "1e−6", "0.001", "1"]
    assert [t for _, t in powers(0.0, 0.5)] == ["1", "2"]
    text = Chart((1, 1), (5, 5), "a < b").svg()
    assert "a &lt; b" in text
    assert "nan" not in text
    chart = Chart((0, 3), (1, 10), logarithmic=True)
    chart.line([0, 1, 2, 3], [1.0, 0.0, math.nan, 10.0], "gap")
    assert re.search(r'd="M[\d. ]+M[\d. ]+"', chart.svg())
