"""The commands train, eval and predict: what they do, and what they say to bad input."""

import gzip
import json
import os
import re
import signal
import struct
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

import backlit
from apart import printed
from backlit.cli import main
from backlit.cli.pictures import bar, beside, image, plain_region, region
from backlit.recipes.networks import widths
from backlit.train.checkpoint import load_checkpoint
from sampling import one_in

SHARED = Path(os.environ.get("BACKLIT_DATA", Path(__file__).parents[3] / "shared" / "data"))
QUICK = ["--epochs", "2", "--samples", "60"]


def run(*arguments, status=0):
    """A command in this process: its exit status and what it printed."""
    result = CliRunner().invoke(main, [str(a) for a in arguments])
    assert result.exit_code == status, result.output
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.output


def refused(*arguments, says):
    """A command that must fail with one line, and no traceback."""
    output = run(*arguments, status=2 if says.startswith("usage:") else 1)
    lines = [line for line in output.strip().splitlines() if line.startswith("Error: ")]
    assert "Traceback" not in output
    assert len(lines) == 1
    assert re.search(says.removeprefix("usage: "), lines[0]), lines[0]
    if not says.startswith("usage:"):
        assert output.strip() == lines[0]


@pytest.fixture(scope="module")
def circle(tmp_path_factory):
    """A small finished run on points."""
    folder = tmp_path_factory.mktemp("runs") / "circle"
    run("train", "circle", "--samples", 200, "--noise", 0, "--epochs", 40, "--out", folder)
    return folder


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    """A small finished run on digits."""
    folder = tmp_path_factory.mktemp("runs") / "digits"
    run("train", "digits", "--epochs", 6, "--out", folder)
    return folder


def idx(array):
    header = struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape)
    return header + array.astype(np.uint8).tobytes()


@pytest.fixture
def images(tmp_path):
    """A folder like that of MNIST, of ten patterns that are easy to tell apart."""
    folder, rng = tmp_path / "data", np.random.default_rng(1)
    folder.mkdir()
    patterns = rng.integers(0, 256, (10, 28, 28))
    for part, n in (("train", 300), ("t10k", 50)):
        y = rng.integers(0, 10, n)
        x = np.clip(patterns[y] + rng.normal(0, 40, (n, 28, 28)), 0, 255)
        (folder / f"{part}-images-idx3-ubyte.gz").write_bytes(gzip.compress(idx(x)))
        (folder / f"{part}-labels-idx1-ubyte").write_bytes(idx(y))
    return folder


# -- the main job -----------------------------------------------------------------------------


@pytest.mark.slow
def test_digits_reach_97_percent_and_say_how_to_look_at_the_run(tmp_path):
    folder = tmp_path / "digits"
    output = run("train", "digits", "--out", folder)
    accuracy = float(re.search(r"test accuracy +([\d.]+) %", output)[1])
    assert accuracy >= 97
    assert re.search(r"1,295 training · 143 validation · 359 test", output)
    assert f"saved run      {folder}" in output
    assert f"backlit eval {folder}" in output
    assert f"backlit predict {folder}" in output
    result = json.loads((folder / "result.json").read_text())
    assert round(100 * result["test"]["accuracy"], 2) == accuracy
    evaluated = json.loads(run("eval", folder, "--json"))
    assert evaluated["accuracy"] == result["test"]["accuracy"]
    assert evaluated["examples"] == 359
    assert {p.name for p in folder.iterdir()} == {
        *(
            "run.toml",
            "run.json",
            "result.json",
            "best.safetensors",
            "latest.safetensors",
            "report.html",
        )
    }
    assert f"report         {folder / 'report.html'}" in output
    page = (folder / "report.html").read_text("utf-8")
    assert f'"test accuracy":"{accuracy:.2f} %"' in page
    assert '"state":"finished"' in page
    assert len(page) < 600_000


@pytest.mark.slow
@pytest.mark.parametrize("name", one_in(3, ["circle", "xor", "gauss"]))
def test_the_playground_sets_are_learned(tmp_path, name):
    output = run("train", name, "--noise", 0, "--epochs", 40, "--out", tmp_path / name)
    assert float(re.search(r"test accuracy +([\d.]+) %", output)[1]) >= 95


@pytest.mark.slow
def test_idx_folders_are_learned(tmp_path, images):
    folder = tmp_path / "run"
    arguments = ("--data", images, "--epochs", 3, "--model", "mlp:32", "--out", folder)
    output = run("train", "fashion-mnist", *arguments)
    assert float(re.search(r"test accuracy +([\d.]+) %", output)[1]) >= 90
    assert "270 training · 30 validation · 50 test" in output
    assert "ankle boot" in run("eval", folder)
    moved = images.rename(tmp_path / "moved")
    refused("eval", folder, says="data must be a folder with t10k-images")
    run("eval", folder, "--data", moved)
    assert "test example 0" in run("predict", folder, "--data", moved, "--examples", 1)
    labelled = run("predict", folder, moved / "t10k-images-idx3-ubyte.gz").splitlines()
    assert len(labelled) == 50


@pytest.mark.skipif(
    not (SHARED / "fashion-mnist").is_dir(), reason="the files of Fashion-MNIST are not here"
)
def test_an_epoch_of_the_real_fashion_mnist(tmp_path):
    options = ["--data", SHARED / "fashion-mnist", "--epochs", 1, "--model", "linear"]
    output = run("train", "fashion-mnist", *options, "--out", tmp_path / "run")
    assert "54,000 training · 6,000 validation · 10,000 test" in output
    assert float(re.search(r"test accuracy +([\d.]+) %", output)[1]) >= 75


@pytest.mark.slow
def test_the_same_command_gives_the_same_bits(tmp_path):
    for name in "ab":
        run("train", "spiral", *QUICK, "--seed", 3, "--out", tmp_path / name)
    a, b = ((tmp_path / n / "latest.safetensors").read_bytes() for n in "ab")
    assert a == b
    run("train", "spiral", *QUICK, "--seed", 4, "--out", tmp_path / "c")
    assert (tmp_path / "c" / "latest.safetensors").read_bytes() != a


@pytest.mark.slow
@pytest.mark.parametrize(
    "options",
    [
        ["--optimizer", "sgd", "--schedule", "one-cycle"],
        ["--optimizer", "momentum", "--schedule", "constant"],
        ["--optimizer", "rmsprop", "--model", "linear"],
        ["--optimizer", "adagrad", "--model", "mlp:5", "--activation", "elu"],
        ["--optimizer", "adamw", "--batch-norm", "--dropout", "0.1", "--no-compile"],
    ],
)
def test_every_option_is_taken(tmp_path, options):
    output = run("train", "xor", *QUICK, *options, "--out", tmp_path / "run", "--lr", "0.01")
    assert options[1] in output
    run("eval", tmp_path / "run")


# -- what is printed --------------------------------------------------------------------------


@pytest.mark.slow
def test_eval_prints_classes_and_confusions(circle):
    output = run("eval", circle)
    assert re.search(r"test accuracy +[\d.]+ % +on 100 examples, loss \d\.\d{4}", output)
    assert re.search(r"class +examples +precision +recall +F1", output)
    assert re.search(r"orange +\d+ +[\d.]+ % +[\d.]+ % +[\d.]+ %", output)
    assert "true class in rows, taken for in columns" in output
    latest = json.loads(run("eval", circle, "--checkpoint", "latest", "--json"))
    assert np.sum(latest["confusion"]) == 100
    assert max(map(len, output.splitlines())) <= 80


@pytest.mark.slow
def test_predict_shows_examples_and_finds_mistakes(circle, digits):
    output = run("predict", digits, "--examples", 2)
    assert len(re.findall(r"test example \d+: \d  (?:right|wrong)", output)) == 2
    assert "@@" in output
    for line in run("predict", digits, "--wrong").splitlines():
        assert "right" not in line
    assert "No test example is wrong." in run("predict", circle, "--wrong") or (
        "wrong" in run("predict", circle, "--wrong")
    )


def test_predict_draws_the_plane(circle):
    lines = run("predict", circle).splitlines()
    assert len(lines) == 33
    assert lines[16][32] in "*#"
    assert lines[0][0] == "."
    assert "blue" in lines[-1]


def test_predict_takes_points_and_files(circle, tmp_path):
    assert re.fullmatch(r"0,0  blue  [\d.]+ %", run("predict", circle, "0,0").strip())
    points = np.array([[0, 0], [4.5, 0], [0, -4.5]])
    np.save(tmp_path / "x.npy", points)
    np.savetxt(tmp_path / "x.csv", points, delimiter=",")
    for name in ("x.npy", "x.csv"):
        lines = run("predict", circle, tmp_path / name).splitlines()
        assert [line.split()[1] for line in lines] == ["blue", "orange", "orange"]


@pytest.mark.slow
def test_predict_takes_pictures_of_digits(digits, tmp_path):
    from sklearn.datasets import load_digits

    bunch = load_digits()
    np.save(tmp_path / "digits.npy", bunch.images[:20] / 16)
    lines = run("predict", digits, tmp_path / "digits.npy").splitlines()
    found = [int(line.split()[1]) for line in lines]
    assert np.mean(np.array(found) == bunch.target[:20]) > 0.9


def test_quiet_is_quiet(tmp_path):
    assert run("train", "xor", *QUICK, "--out", tmp_path / "r", "--progress", "quiet") == ""


def test_pictures():
    pixels = np.linspace(0, 1, 6).reshape(3, 2)
    assert [line.plain for line in image(pixels, False)] == ["  ::", "==++", "##@@"]
    coloured = image(pixels, True)
    assert [line.plain for line in coloured] == ["▀▀", "▀▀"]
    assert str(coloured[0].spans[0].style) == "rgb(0,0,0) on rgb(102,102,102)"
    assert [t.plain for t in beside([coloured, [*coloured, *coloured]])][2] == "     ▀▀"
    shares = np.array([[0.0, 1.0], [0.5, 1.0]])
    drawn = region(shares, np.array([[0.5, 0.5], [9, 9]]), np.array([1, 0]), 1.0)
    assert drawn[0].plain == "▀●"
    assert str(drawn[0].spans[0].style) == "rgb(245,147,34) on rgb(232,234,235)"
    assert plain_region(shares)[0].plain == ".#"
    assert (bar(0, 8), bar(0.5, 8), bar(1, 8), bar(1 / 16, 8)) == ("", "████", "████████", "▌")


def test_model_names():
    assert widths("linear") == []
    assert widths("mlp:256-128") == [256, 128]


@pytest.mark.slow
def test_the_start_does_not_load_what_it_does_not_need():
    code = (
        "import sys, backlit.cli; print([m for m in ('sklearn', 'matplotlib') if m in sys.modules])"
    )
    assert printed(code) == "[]\n"
    listing = run("--help")
    for name in ("train", "eval", "predict", "grad"):
        assert re.search(rf"^  {name} +\w", listing, re.MULTILINE)


# -- earlier runs and resuming ----------------------------------------------------------------


def test_an_earlier_run_is_moved_aside_and_never_lost(tmp_path):
    folder = tmp_path / "run"
    run("train", "xor", *QUICK, "--out", folder)
    first = (folder / "latest.safetensors").read_bytes()
    output = run("train", "xor", *QUICK, "--seed", 1, "--out", folder)
    assert f"The earlier run in {folder} is now {folder}.1." in output
    run("train", "xor", *QUICK, "--seed", 2, "--out", folder)
    assert (tmp_path / "run.1" / "latest.safetensors").read_bytes() == first
    assert (tmp_path / "run.2" / "run.json").is_file()


def test_a_run_in_the_current_folder_is_not_moved(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run("train", "xor", *QUICK, "--out", ".")
    first = (tmp_path / "latest.safetensors").read_bytes()
    for out in (".", tmp_path, tmp_path / "inner" / ".."):
        (tmp_path / "inner").mkdir(exist_ok=True)
        says = "is the current folder and has a run already"
        refused("train", "xor", *QUICK, "--out", out, says=says)
    assert (tmp_path / "latest.safetensors").read_bytes() == first


@pytest.mark.slow
def test_two_runs_do_not_mix_in_one_folder(tmp_path):
    folder = tmp_path / "run"
    first = process("train", "circle", "--epochs", 100000, "--out", folder)
    try:
        wait_for_steps(folder, 1, first)
        settings = (folder / "run.json").read_bytes()
        for options in ((), ("--resume",)):
            says = f"train: {folder} is in use by process {first.pid} on"
            refused("train", "circle", *options, "--out", folder, says=says)
        assert first.poll() is None
        assert (folder / "run.json").read_bytes() == settings
        assert os.listdir(tmp_path) == ["run"]
    finally:
        first.kill()
        first.communicate()


def process(*arguments):
    return subprocess.Popen(
        [sys.executable, "-c", "from backlit.cli import main; main()", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def wait_for_steps(folder, steps, running):
    latest = folder / "latest.safetensors"
    while running.poll() is None:
        if latest.exists() and load_checkpoint(latest)["training"]["steps"] >= steps:
            return
        time.sleep(0.01)


@pytest.mark.long
@pytest.mark.parametrize("how", one_in(2, [signal.SIGINT, signal.SIGKILL]))
def test_a_run_that_was_stopped_is_resumed_to_the_same_bits(tmp_path, how):
    options = ["--epochs", "40", "--samples", "200"]
    run("train", "circle", *options, "--out", tmp_path / "whole")
    folder = tmp_path / "broken"
    started = process("train", "circle", *options, "--out", folder)
    wait_for_steps(folder, 20, started)
    started.send_signal(how)
    output, _ = started.communicate()
    if how == signal.SIGINT:
        assert started.returncode == 130, output
        assert re.search(r"Interrupted in epoch \d+, after step \d+; saved as", output)
        assert f"backlit train --resume --out {folder}" in output
        assert not (folder / "result.json").exists()
    assert "Traceback" not in output
    resumed = run("train", "circle", "--resume", "--out", folder)
    assert "test accuracy" in resumed
    for name in ("latest.safetensors", "best.safetensors"):
        assert (folder / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_resuming_wants_the_same_settings(tmp_path):
    folder = tmp_path / "run"
    refused(
        "train", "xor", "--resume", "--out", folder, says="must be the folder of a run, but has"
    )
    assert not folder.exists()
    run("train", "xor", *QUICK, "--out", folder)
    refused("train", "circle", "--resume", "--out", folder, says="is of xor, not of circle")
    refused("train", "xor", "--resume", "--lr", 0.5, "--out", folder,
            says=r"usage: --resume: --lr must stay 0.03, got 0.5; leave it out")  # fmt: skip
    run("train", "xor", "--resume", "--lr", 0.03, "--out", folder)
    refused("train", "xor", "--resume", "--epochs", 1, "--out", folder,
            says="usage: --resume: --epochs must be at least 2, got 1")  # fmt: skip


def test_a_finished_run_gets_more_epochs(tmp_path):
    folder = tmp_path / "run"
    run("train", "xor", *QUICK, "--out", folder)
    output = run("train", "--resume", "--epochs", 5, "--out", folder)
    assert re.search(r"^ *3/5 ", output, re.M)
    assert not re.search(r"^ *2/5 ", output, re.M)
    assert json.loads((folder / "result.json").read_text())["epochs"] == 5
    assert "epochs = 5" in (folder / "run.toml").read_text()
    other = ["--schedule", "one-cycle", "--out", tmp_path / "cycle"]
    run("train", "xor", *QUICK, *other)
    refused("train", "--resume", "--epochs", 5, "--out", tmp_path / "cycle",
            says="usage: --resume: a one-cycle schedule has its length from the start")  # fmt: skip


def test_a_file_of_settings_makes_the_run_again(tmp_path):
    """Every setting; what is typed wins; an unknown name is told with the one that is meant."""
    options = ("--lr", 0.02, "--clip-norm", 1, "--warmup", 0.1, "--label-smoothing", 0.1)
    run("train", "XOR", *QUICK, *options, "--no-compile", "--out", tmp_path / "a")
    config = tmp_path / "a" / "run.toml"
    run("train", "--config", config, "--out", tmp_path / "b")
    assert (tmp_path / "b" / "run.toml").read_bytes() == config.read_bytes()
    a, b = ((tmp_path / n / "latest.safetensors").read_bytes() for n in "ab")
    assert a == b
    run("train", "--config", config, "--lr", 0.05, "--out", tmp_path / "c")
    assert "lr = 0.05" in (tmp_path / "c" / "run.toml").read_text()
    for text, says in (
        ("epoch = 3", "x.toml: epoch is no setting; did you mean epochs"),
        ("epochs = 0", "x.toml: epochs must be a whole number from 1, got 0"),
        ('optimizer = "adamm"', "x.toml: optimizer must be one of sgd, .*did you mean adam"),
        ("lr = 'fast'", "x.toml: lr must be a number above 0, got 'fast'"),
        ("lr = ", "x.toml is not a TOML file: Invalid value"),
    ):
        (tmp_path / "x.toml").write_text(text)
        refused("train", "xor", "--config", tmp_path / "x.toml", says=says)
    refused("train", "xor", "--config", tmp_path / "no.toml", says="no.toml")


def test_names_are_known_in_any_case(tmp_path):
    output = run("Train", "Xor", *QUICK, "--optimizer", "SGD", "--out", tmp_path / "run")
    assert "training  sgd" in output
    assert "test accuracy" in run("EVAL", tmp_path / "run", "--checkpoint", "Latest")


def test_negative_numbers_are_no_options(circle):
    assert re.match(r"-4.5,-2  orange", run("predict", circle, "-4.5,-2"))
    refused("predict", circle, "--wrung", says="usage: No such option.*--wrong")


def test_pixels_of_another_scale_are_told_or_refused(digits, tmp_path):
    from sklearn.datasets import load_digits

    scans = load_digits().images[:5]
    np.savetxt(tmp_path / "x.csv", scans.reshape(5, 64), delimiter=",")
    np.save(tmp_path / "x.npy", scans / 16)
    told = run("predict", digits, tmp_path / "x.csv").splitlines()
    assert "note: " in told[-1]
    assert "pixels from 0 to 16 are divided by 16" in told[-1]
    plain = run("predict", digits, tmp_path / "x.npy").splitlines()
    assert [line.split()[1:] for line in told[:-1]] == [line.split()[1:] for line in plain]
    np.save(tmp_path / "x.npy", scans * 100)
    refused("predict", digits, tmp_path / "x.npy", says="must have pixels from 0 to 1, 16 or 255")
    np.save(tmp_path / "x.npy", scans / 8 - 1)
    refused("predict", digits, tmp_path / "x.npy", says="got -1 to 1")


# -- bad input --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["train"], "usage: Missing argument 'DATA'"),
        (
            ["train", "cirle"],
            "'cirle' is neither a file or folder nor one of spiral, .*did you mean circle",
        ),
        (["train", "xor", "--speed", "9"], "usage: No such option.* .?--speed"),
        (["train", "xor", "--epochs", "0"], "usage: '--epochs': 0 is not in the range x>=1"),
        (["train", "xor", "--lr", "-1"], "usage: '--lr': -1.0 is not in the range x>0"),
        (["train", "xor", "--lr", "fast"], "usage: '--lr': 'fast' is not a valid float"),
        (["train", "xor", "--dropout", "1"], "usage: '--dropout': 1.0 is not in the range"),
        (["train", "xor", "--noise", "2"], "usage: '--noise': 2.0 is not in the range"),
        (["train", "xor", "--optimizer", "lion"], "usage: 'lion' is not one of 'sgd'"),
        (
            ["train", "xor", "--model", "cnn"],
            "model: for points it must be linear, mlp:WIDTHS or net.py:Net, got 'cnn'",
        ),
        (["train", "xor", "--model", "mlp:8-x"], "model: mlp: must be followed by widths such as"),
        (
            ["train", "xor", "--data", "."],
            "usage: data has no meaning for xor, leave it out",
        ),
        (
            ["train", "digits", "--noise", "0.1"],
            "usage: noise has no meaning for digits \\(pixels\\)",
        ),
        (["train", "digits", "--samples", "50"], "usage: samples has no meaning for digits"),
        (["train", "mnist"], "mnist needs --data DIR, a folder with train-images-idx3-ubyte"),
        (["train", "mnist", "--data", "nowhere"], "nowhere must be a folder with train-images"),
        (["evil"], r"usage: No such command 'evil'\. Did you mean 'eval'\?"),
        (["nonsense"], r"usage: No such command 'nonsense'\.$"),
        (["eval"], "usage: Missing argument 'RUN'"),
        (["eval", "nowhere"], "nowhere must be the folder of a run, but has no run.json"),
        (["predict", "nowhere"], "nowhere must be the folder of a run"),
    ],
)
def test_bad_commands_write_nothing(tmp_path, monkeypatch, arguments, says):
    monkeypatch.chdir(tmp_path)
    refused(*arguments, says=says)
    assert list(tmp_path.iterdir()) == []


def test_folders_that_are_no_runs_are_left_alone(tmp_path):
    (tmp_path / "thesis.txt").write_text("precious")
    refused("train", "xor", *QUICK, "--out", tmp_path, says="has files that are no run; choose an")
    refused("train", "xor", *QUICK, "--out", tmp_path / "thesis.txt", says="but is a file")
    refused("train", "xor", *QUICK, "--out", tmp_path / "thesis.txt" / "r", says="Not a directory")
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.txt"]


def test_damaged_data_files(tmp_path, images):
    options = ["--data", images, "--out", tmp_path / "run"]
    labels = images / "train-labels-idx1-ubyte"
    whole = labels.read_bytes()
    labels.write_bytes(whole[:-5])
    refused(
        "train", "mnist", *options, says="must hold 300 bytes .* got at most 295; it is truncated"
    )
    labels.write_bytes(idx(np.zeros(299)))
    refused("train", "mnist", *options, says="got 300 images in .* and 299 labels in")
    labels.write_bytes(whole)
    test = images / "t10k-images-idx3-ubyte.gz"
    test.write_bytes(b"PNG")
    refused("train", "mnist", *options, says="t10k-images.* must begin with the magic number")
    test.write_bytes(idx(np.zeros((50, 8, 8))))
    refused("train", "mnist", *options, says="images must be 28 by 28 pixels, got 8 by 8 in")
    assert not (tmp_path / "run").exists()


def test_damaged_runs(tmp_path):
    folder = tmp_path / "run"
    run("train", "xor", *QUICK, "--out", folder)
    best, settings = folder / "best.safetensors", folder / "run.json"
    whole, described = best.read_bytes(), settings.read_text()
    best.write_bytes(whole[:-9])
    refused("eval", folder, says="best.safetensors must be a whole safetensors file")
    backlit.save_tensors(best, {"x": [1.0]})
    refused("eval", folder, says="must be a checkpoint")
    best.unlink()
    refused(
        "eval", folder, says="has no best.safetensors: .* continue it with: backlit train --resume"
    )
    best.write_bytes(whole)
    config = folder / "run.toml"
    text = config.read_text()
    config.write_text(text.replace("mlp:8-8", "mlp:8-9"))
    refused("eval", folder, says="the model in .* does not fit Sequential: .* nothing was loaded")
    for old, new, says in (
        ("noise", "nose", "run.toml: nose is no setting; did you mean noise"),
        ('activation = "tanh"\n', "", "run.toml must set activation, but does not"),
        ("dataset", "data", "run.toml must have a dataset, but has none"),
    ):
        config.write_text(text.replace(old, new))
        refused("eval", folder, says=says)
    config.write_text(text)
    changed = [("run-2", "run-9"), ('"points"', '"spots"'), ('"shape"', '"s"')]
    for broken in ("{", "[]", "{}", *(described.replace(a, b) for a, b in changed)):
        settings.write_text(broken)
        refused("eval", folder, says=r"run.json must describe a run \(backlit-run-2\), but cannot")


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("x.npy", b"\x93NUMPY", "is not a whole NumPy file"),
        ("x.npy", b"cos\nsystem\n(S'id'\ntR.", "is not a whole NumPy file"),
        ("x.csv", b"1,2\n3,four\n", "must have numbers with commas in each line"),
        ("x.csv", b"1,2,3\n4,5,6\n", r"must have rows of 2 numbers \(2\), got the shape \(2, 3\)"),
        ("x.csv", b"1,nan\n", "must hold finite numbers, got NaN or infinity"),
        ("x.idx", b"GIF89a", "must begin with the magic number of an IDX file"),
    ],
)
def test_bad_inputs_of_predict(circle, tmp_path, name, content, says):
    (tmp_path / name).write_bytes(content)
    refused("predict", circle, tmp_path / name, says=says)


@pytest.mark.slow
def test_more_bad_inputs_of_predict(circle, digits, tmp_path):
    np.save(tmp_path / "t.npy", np.array(["a", "b"]))
    refused("predict", circle, tmp_path / "t.npy", says="must hold numbers, got <U1")
    refused("predict", circle, "1,2,3", says="a file or a point such as 1.5,-2, got 1,2")
    refused("predict", circle, "1,inf", says="a file or a point such as")
    refused("predict", digits, "1,2", says="must be a file, got 1,2, which does not")


def test_a_broken_pipe_and_a_missing_library_are_one_line(tmp_path, monkeypatch):
    import builtins

    real = builtins.__import__

    def without(name, *args, **kwargs):
        if name.startswith("sklearn"):
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    refused("train", "digits", "--out", tmp_path / "r", says=r"run: pip install 'backlit\[data\]'")
    assert not (tmp_path / "r").exists()


def test_a_published_set_is_fetched_when_it_is_asked_for(tmp_path, monkeypatch):
    """What is fetched is tested in tests/data; here it is put where the files are looked for."""
    monkeypatch.chdir(tmp_path)
    asked = []

    def put(name, root, fetch):
        asked.append((name, str(root), fetch))
        folder = Path(root)
        folder.mkdir(parents=True)
        rng = np.random.default_rng(0)
        for part, n in (("train", 60), ("t10k", 20)):
            x = rng.integers(0, 256, (n, 28, 28), dtype=np.uint8)
            (folder / f"{part}-images-idx3-ubyte").write_bytes(idx(x))
            (folder / f"{part}-labels-idx1-ubyte").write_bytes(idx(np.arange(n) % 10))
        return folder

    monkeypatch.setattr("backlit.recipes.builtin.published_folder", put)
    run("train", "fashion-mnist", "--download", "--epochs", 1, "--no-compile", "--model", "linear")
    assert asked == [("fashion_mnist", str(Path("data/fashion-mnist")), True)]
    assert "data/fashion-mnist" in (tmp_path / "runs/fashion-mnist/run.toml").read_text()
    says = "usage: --download is for mnist, fashion-mnist, cifar10, got 'digits'"
    refused("train", "digits", "--download", says=says)
    refused("train", "--download", says="usage: --download needs the name of a set")
