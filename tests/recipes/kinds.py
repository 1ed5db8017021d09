"""Small made data of ten kinds, as files that a person might have."""

import csv
import math
from pathlib import Path

import numpy as np

from backlit.data.text import Sentence, write_conll

_WARM, _COLD = (200, 90, 40), (40, 90, 200)


def _picture(path: Path, pixels):
    from PIL import Image

    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).save(path)


def _scene(rng, colour, stripes, size):
    """A picture of a colour, with stripes of a direction."""
    height, width = size
    y, x = np.mgrid[:height, :width]
    wave = 40 * np.sin((y if stripes else x) * 0.9)
    noise = rng.normal(0, 20, (height, width, 3))
    return np.array(colour) + wave[..., None] + noise


def photographs(root: Path, n=60, seed=0):
    """Pictures of different sizes in a folder for each class."""
    rng = np.random.default_rng(seed)
    for i in range(n):
        kind = ("sunset", "sea")[i % 2]
        size = tuple(rng.integers(24, 40, 2).tolist())
        pixels = _scene(rng, (_WARM, _COLD)[i % 2], i % 2, size)
        _picture(root / kind / f"{i:03}.png", pixels)
    return root


def tiles(root: Path, scenes=24, each=4, seed=0):
    """Tiles of satellite images: `scene_row_column.png` in a folder for each land use."""
    rng = np.random.default_rng(seed)
    for s in range(scenes):
        use = ("forest", "water", "town")[s % 3]
        colour = {"forest": (40, 120, 40), "water": (20, 50, 150), "town": (140, 130, 130)}[use]
        for t in range(each):
            pixels = _scene(rng, np.array(colour) + rng.normal(0, 8, 3), s % 2, (16, 16))
            _picture(root / use / f"scene{s:02}_{t // 2}_{t % 2}.png", pixels)
    return root


def tags(root: Path, n=120, seed=0):
    """Pictures in one folder, and a table with several tags for each."""
    rng = np.random.default_rng(seed)
    rows = []
    for i in range(n):
        warm, striped = rng.integers(0, 2, 2)
        pixels = _scene(rng, _WARM if warm else _COLD, striped, (20, 20))
        _picture(root / f"{i:03}.png", pixels)
        named = ["warm" if warm else "cold", *(["striped"] if striped else [])]
        rows.append([f"{i:03}.png", ";".join(named)])
    write(root / "tags.csv", ["file", "tags"], rows)
    return root


def write(path: Path, names, rows):
    """A CSV file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(names)
        writer.writerows(rows)
    return path


def sensors(path: Path, n=300, seed=0):
    """Readings of sensors with the state of the machine; some are missing, one never changes."""
    rng = np.random.default_rng(seed)
    rows = []
    for _ in range(n):
        broken = rng.random() < 0.3
        vibration = rng.normal(3.0 if broken else 1.0, 0.4)
        heat = rng.normal(80 if broken else 60, 5)
        current = "" if rng.random() < 0.1 else f"{rng.normal(10, 1):.3f}"
        state = "fault" if broken else "ok"
        rows.append([f"{vibration:.3f}", f"{heat:.2f}", current, "50", state])
    return write(path, ["vibration", "heat", "current", "mains", "state"], rows)


def houses(path: Path, n=400, seed=0):
    """A table with numbers, categories and a number to be learned."""
    rng = np.random.default_rng(seed)
    rows = []
    for i in range(n):
        area, city = rng.uniform(30, 150), rng.choice(["Oslo", "Bergen", "Trondheim"])
        heating = rng.choice(["gas", "district", "wood"])
        price = area * {"Oslo": 9, "Bergen": 6, "Trondheim": 5}[city] + rng.normal(0, 15)
        rows.append([f"H{i:04}", f"{area:.1f}", city, heating, f"{price:.1f}"])
    return write(path, ["id", "area", "city", "heating", "price"], rows)


def tweets(path: Path, n=240, seed=0):
    """Short texts with a mood."""
    rng = np.random.default_rng(seed)
    good, bad = "love great happy fun sunny win".split(), "hate awful sad rain lost tired".split()
    filler = "the a my day game train today really so this we at with work".split()
    rows = []
    for i in range(n):
        mood = int(rng.integers(0, 2))
        words = [*rng.choice(filler, 5), *rng.choice(good if mood else bad, 2), f"#{i % 9}"]
        rng.shuffle(words)
        rows.append([1000 + i, " ".join(words), ("negative", "positive")[mood]])
    return write(path, ["id", "text", "mood"], rows)


def sequences(path: Path, n=240, seed=0):
    """DNA of which one class has a motif somewhere."""
    rng = np.random.default_rng(seed)
    rows = []
    for _ in range(n):
        bases = rng.choice(list("ACGT"), 60)
        promoter = int(rng.integers(0, 2))
        if promoter:
            at = int(rng.integers(0, 52))
            bases[at : at + 8] = list("TATAAAGG")
        rows.append(["".join(bases), ("other", "promoter")[promoter]])
    return write(path, ["sequence", "class"], rows)


def power(path: Path, hours=720, seed=0):
    """Hourly consumption with its days, and the temperature."""
    rng = np.random.default_rng(seed)
    rows = []
    start = np.datetime64("2024-01-01T00:00")
    for h in range(hours):
        heat = 5 + 4 * math.sin(2 * math.pi * h / 24 - 2) + rng.normal(0, 0.3)
        load = 100 + 30 * math.sin(2 * math.pi * h / 24) - 2 * heat + rng.normal(0, 1)
        rows.append([str(start + np.timedelta64(h, "h")), f"{load:.2f}", f"{heat:.2f}"])
    return write(path, ["time", "load", "temperature"], rows)


def names(path: Path, n=160, seed=0):
    """Sentences in German with people and places, a word and its tag on each line."""
    rng = np.random.default_rng(seed)
    people = "Anna Schmidt|Jörg Müller|Lena Vogt|Ömer Kaya|Ute Lang|Max Braun".split("|")
    places = "Köln|Bad Homburg|Wien|Zürich|Graz|Ulm".split("|")
    forms = "{p} wohnt in {l} .|In {l} trafen wir {p} heute .|Gestern fuhr {p} nach {l} .".split(
        "|"
    )
    sentences = []
    for _ in range(n):
        person, place = rng.choice(people), rng.choice(places)
        words, marked = [], []
        for part in str(rng.choice(forms)).split():
            several = {"{p}": person, "{l}": place}.get(part, part).split()
            kind = {"{p}": "PER", "{l}": "LOC"}.get(part)
            words += several
            marked += [f"{'I' if i else 'B'}-{kind}" if kind else "O" for i in range(len(several))]
        sentences.append(Sentence(tuple(words), tuple(marked)))
    path.parent.mkdir(parents=True, exist_ok=True)
    write_conll(path, sentences)
    return path


def sounds(path: Path, n=120, seed=0):
    """A second of sound at 4 kHz each, of three pitches, as arrays."""
    rng = np.random.default_rng(seed)
    t = np.arange(4000) / 4000
    labels = np.array(["low", "middle", "high"])[rng.integers(0, 3, n)]
    pitch = {"low": 150, "middle": 400, "high": 1100}
    waves = [
        np.sin(2 * np.pi * pitch[name] * rng.uniform(0.9, 1.1) * t + rng.uniform(0, 6))
        + rng.normal(0, 0.5, t.size)
        for name in labels
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(path, audio=np.array(waves, np.float32), label=labels, rate=4000)
    return path
