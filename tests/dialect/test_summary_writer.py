"""The writer of TensorBoard's files: read back by the reader of the loggers' tests, and Pillow."""

import io
import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import backlit.torch as torch
from backlit.errors import ArgumentError, SpellingError
from backlit.torch.utils.tensorboard import SummaryWriter
from backlit.train.loggers import records
from train.test_loggers import fields


def messages(folder):
    """Each event of the files in a folder, as (step, its fields)."""
    (file,) = sorted(Path(folder).glob("events.out.tfevents.*"))
    data = [fields(data) for _, data in records.decode(file.read_bytes())]
    return [(m.get(2, [0])[0], m) for m in data]


def values(folder):
    """(step, tag, the fields of the value), in order."""
    return [
        (step, value[1][0].decode(), value)
        for step, m in messages(folder)
        for summary in m.get(5, ())
        for value in map(fields, fields(summary).get(1, ()))
    ]


def test_numbers_texts_and_distributions_are_written_at_their_steps(tmp_path):
    with SummaryWriter(tmp_path, purge_step=3) as writer:
        writer.add_scalar("loss", torch.tensor(2.5), 3)
        writer.add_scalar("loss", 1.5, global_step=4, walltime=9.0)
        writer.add_histogram("weights", torch.tensor([1.0, 1.0, 3.0]), 4)
        writer.add_text("note", "fine", 4)
        writer.add_scalars("two/parts", {"a": 1, "b": 2}, 5)
        writer.flush()
    found = values(tmp_path)
    assert [(s, t) for s, t, _ in found] == [
        (3, "loss"), (4, "loss"), (4, "weights"), (4, "note/text_summary"),
    ]  # fmt: skip
    assert [v[2][0] for _, _, v in found[:2]] == [2.5, 1.5]
    assert messages(tmp_path)[1][1][7] == [b"\x08\x01"]  # SessionLog: START, at step 3
    assert messages(tmp_path)[3][1][1] == [9.0]
    assert fields(found[2][2][5][0])[3] == [3.0]  # how many numbers
    assert [(s, t, v[2][0]) for s, t, v in values(tmp_path / "two_parts_b")] == [
        (5, "two/parts", 2.0)
    ]


def picture(value):
    proto = fields(value[4][0])
    image = Image.open(io.BytesIO(proto[4][0]))
    pixels = np.asarray(image)
    assert (proto[1][0], proto[2][0]) == pixels.shape[:2]
    return pixels


def test_pictures_keep_their_pixels_whatever_the_order_of_their_axes(tmp_path):
    pixels = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
    writer = SummaryWriter(tmp_path)
    writer.add_image("chw", torch.tensor(pixels.transpose(2, 0, 1)))
    writer.add_image("hwc", pixels, dataformats="HWC")
    writer.add_image("grey", torch.tensor([[0.0, 1.0, 2.0, -1.0]]), dataformats="HW")
    writer.add_images("many", np.stack([pixels] * 9), dataformats="NHWC")
    chw, hwc, grey, many = (picture(v) for _, _, v in values(tmp_path))
    np.testing.assert_array_equal(chw, pixels)
    np.testing.assert_array_equal(hwc, pixels)
    np.testing.assert_array_equal(grey, [[0, 255, 255, 0]])
    assert many.shape == (4, 32, 3)
    np.testing.assert_array_equal(many[2:, :4], pixels)
    assert not many[2:, 4:].any()
    with pytest.raises(ArgumentError, match="CHW needs 3 axes, got an array of shape"):
        writer.add_image("x", pixels[0])
    with pytest.raises(ArgumentError, match=r"1, 3 or 4 channels, got 2 .*dataformats='HWC'"):
        writer.add_image("x", np.zeros((2, 4, 3)))


def test_settings_stand_with_their_results_in_a_folder_of_their_own(tmp_path):
    SummaryWriter(tmp_path).add_hparams({"lr": 0.1, "bias": True}, {"accuracy": 0.5}, run_name="a")
    assert [t for _, t, _ in values(tmp_path / "a")] == [
        "_hparams_/experiment", "_hparams_/session_start_info", "accuracy",
    ]  # fmt: skip


def test_what_is_not_written_is_told(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    writer = SummaryWriter(comment="-lr")
    assert Path(writer.get_logdir()).parent.name == "runs"
    assert writer.log_dir.endswith("-lr")
    with pytest.warns(UserWarning, match="add_graph: the graph is not written"):
        writer.add_graph(torch.nn.Linear(1, 1), torch.ones(1, 1))
    with pytest.raises(SpellingError, match=r"SummaryWriter.add_embedding: .*save"):
        writer.add_embedding(torch.ones(2, 2))
    with pytest.raises(AttributeError, match="no attribute 'add_scalr'"):
        _ = writer.add_scalr


def test_a_figure_is_a_picture(tmp_path):
    pyplot = pytest.importorskip("matplotlib.pyplot")
    pyplot.switch_backend("agg")
    figure = pyplot.figure(figsize=(1, 1), dpi=20)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        writer = SummaryWriter(tmp_path)
        writer.add_figure("plot", figure, 1)
    assert picture(values(tmp_path)[0][2]).shape == (20, 20, 4)
    assert not pyplot.fignum_exists(figure.number)
