"""Folders of WAV files: what is understood, heard and learned."""

import re
import wave

import numpy as np
import pytest

from backlit import recipes
from backlit.errors import ArgumentError, DataError
from backlit.recipes.sounds import frames_in, heard
from recipes import kinds


def saved(path, samples, rate=8000):
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes((np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes())
    return path


def tones(root, n=40, names=("low", "high"), file="{i}.wav"):
    """A quarter of a second of one of two pitches each, at two rates."""
    rng = np.random.default_rng(0)
    for i in range(n):
        rate = (8000, 16000)[i % 3 == 0]
        t = np.arange(rate // 4) / rate
        pitch = (300, 1500)[i % 2] * rng.uniform(0.9, 1.1)
        x = 0.5 * np.sin(2 * np.pi * pitch * t) + rng.normal(0, 0.1, t.size)
        saved(root / names[i % 2] / file.format(i=i), x, rate)
    return root


def test_folders_of_sounds_are_learned(tmp_path):
    task = recipes.look(tones(tmp_path / "tones"))
    assert re.search(r"sounds +0.25 s, 8,000 or 16,000 samples a second\n", str(task))
    assert re.search(r"classes +2: 20 high, 20 low", str(task))
    run = task.train(
        tmp_path / "run", epochs=5, lr=0.02, model="cnn:8", compile=False, progress="quiet"
    )
    noise = np.random.default_rng(1).normal(0, 0.1, 11025)
    tone = 0.5 * np.sin(2 * np.pi * 1500 * np.arange(2000) / 8000) + noise[:2000]
    assert run.predict(saved(tmp_path / "new.wav", tone)).value == "high"
    tone = 0.5 * np.sin(2 * np.pi * 300 * np.arange(11025) / 44100) + noise
    assert run.predict((tone, 44100)).value == "low"
    assert len(run.predict(tmp_path / "tones" / "low")) == 20


def test_a_tone_is_heard_alike_at_each_rate_and_in_its_band():
    spectra = []
    for rate in (8000, 11025, 44100):
        t = np.arange(rate) / rate
        spectra.append(heard(0.5 * np.sin(2 * np.pi * 1000 * t)[None], rate, 1.0, 4000.0))
    assert {s.shape for s in spectra} == {(40, frames_in(1.0))}
    loudest = {int(s.mean(axis=1).argmax()) for s in spectra}
    assert len(loudest) == 1
    assert max(s.mean(axis=1).max() for s in spectra) - min(
        s.mean(axis=1).max() for s in spectra
    ) < 0.5  # fmt: skip
    low = heard(np.sin(2 * np.pi * 100 * np.arange(8000) / 8000)[None], 8000, 1.0, 4000.0)
    assert low.mean(axis=1).argmax() > max(loudest)  # the highest band comes first


def test_short_sounds_end_with_silence_and_of_long_ones_the_middle_is_read():
    loud = np.ones((1, 800), np.float32) * np.sin(np.arange(800))
    short = heard(loud, 8000, 0.5, 4000.0)
    assert short[:, -1].max() < short[:, 0].max() - 18
    middle = np.concatenate([np.zeros((1, 8000)), loud, np.zeros((1, 8000))], axis=1)
    assert heard(middle, 8000, 0.1, 4000.0).max() == pytest.approx(
        heard(loud, 8000, 0.1, 4e3).max()
    )


def test_sounds_that_a_table_names_and_speakers(tmp_path):
    root = tones(tmp_path / "all", n=20)
    files = sorted(f.relative_to(root).as_posix() for f in root.rglob("*.wav"))
    rows = [[f, f.split("/")[0]] for f in files]
    task = recipes.look(kinds.write(root / "labels.csv", ["file", "label"], rows))
    assert (task.kind, len(task.raw)) == ("sounds", 20)
    broken = kinds.write(root / "labels.csv", ["file", "label"], [*rows, ["gone.wav", "low"]])
    with pytest.raises(DataError, match=r"labels.csv:22: file must name a file, got .*gone.wav"):
        recipes.look(broken)
    spoken = recipes.look(tones(tmp_path / "spoken", file="{i:08x}_nohash_0.wav"))
    assert re.search(r"speakers +40; the sounds of one stay in one part", str(spoken))


def test_sounds_that_cannot_be_read(tmp_path):
    root = tones(tmp_path / "tones", n=20)
    (root / "low" / "0.wav").write_bytes(b"RIFF\0\0\0\0WAVE")
    with pytest.raises(DataError, match=r"0.wav must have a chunk of samples.*; --skip-damaged le"):
        recipes.look(root)
    task = recipes.look(root, skip_damaged=True)
    assert len(task.raw) == 19
    assert any(w.startswith("left out: read_wave: ") for w in task.warnings)
    (root / "low" / "song.mp3").write_bytes(b"ID3")
    assert "1 file is no WAV and left out" in recipes.look(root, skip_damaged=True).warnings
    loose = tones(tmp_path / "loose", n=4, names=(".", "."))
    with pytest.raises(ArgumentError, match="need one table beside them, with a column of files"):
        recipes.look(loose)
    music = tmp_path / "music" / "rock"
    music.mkdir(parents=True)
    (music / "a.mp3").write_bytes(b"ID3")
    with pytest.raises(
        DataError, match=r"a.mp3: sounds are read of WAV files; convert each: ffmpeg"
    ):
        recipes.look(tmp_path / "music")
    run = recipes.look(root, skip_damaged=True).train(
        tmp_path / "run", epochs=1, model="linear", compile=False, progress="quiet"
    )
    for given, says in (
        (tmp_path / "none.wav", "predict: an input must be a WAV file, .* which does not exist"),
        (3, "predict: an input must be a WAV file, a folder of them, or an array and its rate"),
        ((np.zeros((0,)), 8000), "predict: samples must be numbers of the shape"),
        ((np.full(9, np.nan), 8000), "predict: samples must hold finite numbers"),
        (tmp_path / "music", "has no sound"),
    ):
        with pytest.raises(DataError, match=says):
            run.predict(given)
