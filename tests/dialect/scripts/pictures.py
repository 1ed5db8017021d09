"""Small data sets as files, laid out as torchvision expects them: patterns with noise."""

import pickle
import struct
from pathlib import Path

import numpy as np
from PIL import Image


def patterns(count, classes, size, channels, seed=0):
    """Pictures (N, size, size, channels) as bytes, and classes: stripes of a width."""
    numbers = np.random.RandomState(seed)
    labels = np.arange(count) % classes
    place = np.arange(size)
    wave = np.sin((labels[:, None] + 1) * np.pi * place / size)
    pictures = 128 + 90 * wave[:, :, None, None] * np.ones((1, 1, size, channels))
    pictures[:, :, :, :1] += 30 * np.cos(labels)[:, None, None, None]
    pictures += 15 * numbers.randn(*pictures.shape)
    return pictures.clip(0, 255).astype(np.uint8), labels


def mnist_files(root, name="MNIST", count=40, size=28):
    folder = Path(root, name, "raw")
    folder.mkdir(parents=True)
    for part, n, seed in (("train", count, 0), ("t10k", 10, 1)):
        pictures, labels = patterns(n, 10, size, 1, seed)
        for kind, array in (("images-idx3", pictures[:, :, :, 0]), ("labels-idx1", labels)):
            array = array.astype(np.uint8)
            head = struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape)
            (folder / f"{part}-{kind}-ubyte").write_bytes(head + array.tobytes())


def cifar_files(root, count=8):
    folder = Path(root, "cifar-10-batches-py")
    folder.mkdir(parents=True)
    names = [f"data_batch_{n}" for n in range(1, 6)] + ["test_batch"]
    for seed, name in enumerate(names):
        pictures, labels = patterns(count, 10, 32, 3, seed)
        entry = {
            "data": pictures.transpose(0, 3, 1, 2).reshape(count, -1),
            "labels": labels.tolist(),
        }
        (folder / name).write_bytes(pickle.dumps(entry, protocol=2))
    meta = {"label_names": "airplane automobile bird cat deer dog frog horse ship truck".split()}
    (folder / "batches.meta").write_bytes(pickle.dumps(meta, protocol=2))


def folder_of_pictures(root, names=("ants", "bees"), count=8, size=40):
    pictures, labels = patterns(count * len(names), len(names), size, 3)
    for i, (picture, label) in enumerate(zip(pictures, labels)):
        folder = Path(root, names[label])
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture).save(folder / f"{i:03}.png")
