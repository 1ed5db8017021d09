"""Ten kinds of data, each from the file to a trained network, a report and a prediction."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

import backlit
from backlit import recipes
from backlit.cli import main
from backlit.recipes.job import Job
from recipes import kinds

pytestmark = pytest.mark.slow


def command(*arguments):
    """What a command prints that ends well."""
    result = CliRunner().invoke(main, [str(a) for a in arguments])
    assert result.exit_code == 0, result.output
    return result.output


def learned(tmp_path, data, *options, score, least=None, most=None):
    """Train on data by one command; what it printed, and the folder of the run."""
    folder = tmp_path / "run"
    output = command("train", data, "--no-compile", *options, "--out", folder)
    test = json.loads((folder / "result.json").read_text())["test"]
    assert next(iter(test)) == score
    assert least is None or test[score] >= least, test
    assert most is None or test[score] <= most, test
    page = (folder / "report.html").read_text("utf-8")
    assert '"state":"finished"' in page
    assert "could not be" not in page.split("<script")[1]
    assert re.search(rf"test {re.escape(score)} +", command("eval", folder))
    assert command("predict", folder, "--examples", 2).count("test example") == 2
    return output, folder


@pytest.mark.long  # the guide to your data does nearly the same
def test_photographs_in_folders(tmp_path):
    photos = kinds.photographs(tmp_path / "photos")
    output, run = learned(
        tmp_path, photos, "--epochs", 4, "--size", 16, score="accuracy", least=0.8
    )
    assert re.search(r"pictures +\d+×\d+ to \d+×\d+, coloured; brought to 32×32", output)
    assert re.search(r"classes +2: 30 sea, 30 sunset", output)
    said = command("predict", run, photos / "sea" / "001.png", photos / "sunset" / "000.png")
    assert re.search(r"sea/001.png  sea  [\d.]+ %\n.*sunset/000.png  sunset  [\d.]+ %", said)


@pytest.mark.long  # the guide to your data does nearly the same
def test_tiles_of_a_scene_stay_in_one_part(tmp_path):
    tiles = kinds.tiles(tmp_path / "tiles")
    output, run = learned(tmp_path, tiles, "--epochs", 3, score="accuracy", least=0.8)
    assert re.search(r"scenes +24; the pictures of one stay in one part", output)
    task = recipes.look(tiles)
    parts = task.split(task.settings)
    scenes = [
        {Path(task.raw[i]).stem[:7] for i in p}
        for p in (parts.training, parts.validation, parts.test)
    ]
    assert sum(map(len, scenes)) == len(set().union(*scenes)) == 24
    assert "forest" in command("predict", run, tiles / "forest")


@pytest.mark.long  # the guide to your data does nearly the same
def test_several_tags_of_a_picture(tmp_path):
    tags = kinds.tags(tmp_path / "tags")
    output, run = learned(
        tmp_path, tags, "--epochs", 5, "--size", 12, "--model", "cnn:16-32", score="F1", least=0.8
    )
    assert re.search(r"labels +3: \d+ \w+, \d+ \w+, \d+ striped", output)
    assert re.search(r"striped +\d+ +[\d.]+ %", command("eval", run))
    assert re.search(r"000.png  .*%", command("predict", run, tags / "000.png"))


def test_readings_of_sensors(tmp_path):
    table = kinds.sensors(tmp_path / "sensors.csv")
    output, run = learned(tmp_path, table, "--target", "state", "--epochs", 8,
                          score="accuracy", least=0.9)  # fmt: skip
    assert "mains never changes and is left out" in output
    assert "values are missing: current in " in output
    assert "target state  2 classes" in output
    moved = table.rename(tmp_path / "moved.csv")
    assert "test accuracy" in command("eval", run, "--data", moved)
    said = command("predict", run, "vibration=3.2, heat=81, current=")
    assert re.search(r"fault  [\d.]+ %", said)


def test_a_table_with_categories(tmp_path):
    table = kinds.houses(tmp_path / "houses.csv")
    output, run = learned(tmp_path, table, "--target", "price", "--epochs", 15,
                          score="mean absolute error", most=100)  # fmt: skip
    assert "1 number, 2 categories: area, city, heating" in output
    assert "id is different in every row and is left out" in output
    saved = recipes.load(run)
    oslo, bergen = (
        saved.predict({"area": 100, "city": c, "heating": "gas"}).value for c in ("Oslo", "Bergen")
    )
    assert 600 < bergen < oslo < 1100
    new = kinds.write(tmp_path / "new.csv", ["city", "area", "heating"], [["Oslo", 100, "gas"]])
    assert saved.predict(new).value == pytest.approx(oslo)


def test_tweets(tmp_path):
    output, run = learned(tmp_path, kinds.tweets(tmp_path / "tweets.csv"), "--target", "mood",
                          "--epochs", 30, score="accuracy", least=0.8)  # fmt: skip
    assert "id: left out beside the text" in output
    assert re.search(r"positive  [\d.]+ %", command("predict", run, "so happy we win this game"))


@pytest.mark.long  # the guide to your data does nearly the same
def test_sequences_of_dna(tmp_path):
    table = kinds.sequences(tmp_path / "dna.csv")
    output, run = learned(tmp_path, table, "--epochs", 8, score="accuracy", least=0.7)
    assert "sequence: 60 to 60 signs" in output
    assert "promoter" in command("predict", run, "ACGT" * 6 + "TATAAAGG" + "CCGT" * 7)


def test_a_series_of_time(tmp_path):
    table = kinds.power(tmp_path / "power.csv")
    output, run = learned(tmp_path, table, "--target", "load", "--epochs", 8,
                          score="mean absolute error", most=4)  # fmt: skip
    assert "720 steps of load, temperature" in output
    assert 60 < recipes.load(run).predict(table).value < 140


def test_words_with_tags_in_german(tmp_path):
    data = kinds.names(tmp_path / "namen.conll")
    output, run = learned(tmp_path, data, "--epochs", 4, score="entity F1", least=0.8)
    assert re.search(r"entities +320: 160 LOC, 160 PER", output)
    said = command("predict", run, "In Köln trafen wir Jörg Müller heute .")
    assert "Köln [LOC], Jörg Müller [PER]" in said


def test_sounds_as_arrays(tmp_path):
    data = kinds.sounds(tmp_path / "sounds.npz")
    output, run = learned(tmp_path, data, "--epochs", 4, score="accuracy", least=0.8)
    assert "audio: 4000 numbers, float32; sounds, of which the spectrum is read" in output
    wave = np.sin(2 * np.pi * 1100 * np.arange(4000) / 4000)
    np.save(tmp_path / "wave.npy", wave)
    assert "high" in command("predict", run, tmp_path / "wave.npy")


@pytest.mark.long  # the guide to your data does nearly the same
def test_a_text_is_continued(tmp_path):
    path = tmp_path / "verse.txt"
    path.write_text("the cat sat on the mat, and the dog sat on the log.\n" * 80, "utf-8")
    options = ("--epochs", 25, "--lr", 0.01, "--model", "gru:32", "--context", 16, "--patience", 3)
    output, run = learned(tmp_path, path, *options, score="perplexity", most=4)
    assert "4,160 characters" in output
    said = command("predict", run, "the cat")
    assert len(said.strip()) > 100


def test_tags_of_a_sentence_are_judged_together(tmp_path):
    data = kinds.names(tmp_path / "namen.conll")
    output, run = learned(tmp_path, data, "--epochs", 6, "--model", "bilstm-crf:16", "--lr", 0.02,
                          score="entity F1", least=0.8)  # fmt: skip
    assert "bilstm-crf:16, dropout 0.3" in output
    model = recipes.load(run).model
    x = np.random.default_rng(0).integers(1, 5, (3, 7, 3))
    x[1, 4:] = 0
    with backlit.no_grad():
        tags = model(backlit.tensor(x)).numpy().argmax(axis=1)
        model.train()
        model.dropout.eval()
        emissions = model(backlit.tensor(x))
        best = model.crf.decode(backlit.permute_dims(emissions, (0, 2, 1)), x[:, :, 0] != 0)
    assert [row[: len(b)].tolist() for row, b in zip(tags, best, strict=True)] == best
    refused = CliRunner().invoke(main, ["train", str(data), "--model", "bilstm-crf", "--epochs",
                                        "1", "--label-smoothing", "0.1"])  # fmt: skip
    assert "label_smoothing has no meaning for bilstm-crf" in refused.output


def test_a_report_of_text_has_its_characters_and_what_is_written(tmp_path):
    path = tmp_path / "verse.txt"
    path.write_text("the quick brown fox jumps over the lazy dog\n" * 12)
    task = recipes.look(path, kind="corpus")
    settings = {**task.settings, "context": 16}
    parts = task.parts(settings)
    x = np.asarray(parts.test[0][0])
    form = parts.form
    assert form.in_tokens(x) == list(form.describe(x))
    model = form.network(settings).eval()
    written = form.samples([x])(model)
    assert written.startswith(form.describe(x)[:12])
    assert len(written) == 12 + 80
    assert written == form.samples([x])(model)


def test_a_last_batch_of_one_example_does_not_end_a_run(tmp_path):
    rows = [[i % 13 + i / 7, i % 5, "ab"[i % 2]] for i in range(61)]
    path = kinds.write(tmp_path / "t.csv", ["x", "z", "label"], rows)
    task = recipes.look(path)
    job = Job(task, tmp_path / "run", task.set(epochs=1, batch_size=8, compile=False))
    assert len(job.parts.training) % 8 == 1
    job.run(progress="quiet")
    plain = Job(task, tmp_path / "none", task.set(epochs=1, batch_size=8, batch_norm=False))
    assert len(plain.loader) == len(job.loader) + 1
