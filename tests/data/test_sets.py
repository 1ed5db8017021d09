"""The data sets that come with Backlit, and the files it reads."""

import builtins
import gzip
import math
import struct
import tracemalloc

import numpy as np
import pytest

from backlit.data import digits, idx_folder, playground, read_idx
from backlit.errors import ArgumentError, DataError, MissingDependencyError


def arrays(*datasets):
    return [t.numpy() for d in datasets for t in d.tensors]


# -- digits -----------------------------------------------------------------------------------


def test_digits_are_split_without_overlap_and_evenly():
    train, test = digits(seed=1)
    x, y, u, v = arrays(train, test)
    assert x.shape == (1438, 64)
    assert u.shape == (359, 64)
    assert x.dtype == np.float32
    assert 0 <= x.min() < x.max() == 1
    shares = np.bincount(v) / (np.bincount(y) + np.bincount(v))
    assert np.allclose(shares, 0.2, atol=0.005)
    # Two of the real images occur twice; no row is in both parts more often than that.
    both = {r.tobytes() for r in x} & {r.tobytes() for r in u}
    assert len(both) <= 2


def test_digits_follow_the_seed():
    a, b, c = (arrays(*digits(seed=s)) for s in (1, 1, 2))
    assert all(np.array_equal(p, q) for p, q in zip(a, b, strict=True))
    assert not np.array_equal(a[0], c[0])
    assert digits(images=True)[1].tensors[0].shape == (359, 1, 8, 8)


def test_digits_without_scikit_learn_say_what_to_install(monkeypatch):
    real = builtins.__import__

    def without(name, *args, **kwargs):
        if name.startswith("sklearn"):
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MissingDependencyError, match=r"pip install 'backlit\[data\]'"):
        digits()


# -- playground -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["circle", "xor", "gauss", "spiral"])
def test_classes_are_as_in_the_playground(name):
    train, test = playground(name, 400, noise=0.0, test_fraction=0.25, seed=2)
    x, y, u, v = arrays(train, test)
    assert (x.shape, u.shape) == ((300, 2), (100, 2))
    assert (y.dtype, x.dtype) == (np.int64, np.float32)
    x, y = np.concatenate([x, u]), np.concatenate([y, v])
    radius, angle = np.hypot(*x.T), np.arctan2(x[:, 0], x[:, 1])
    if name == "circle":
        assert np.array_equal(y == 1, radius < 2.5)
        assert not ((radius > 2.5) & (radius < 3.5)).any()
        assert y.sum() == 200
    elif name == "xor":
        assert np.array_equal(y == 1, x[:, 0] * x[:, 1] > 0)
        assert np.abs(x).min() >= 0.3
    elif name == "gauss":
        assert np.allclose(x[y == 1].mean(axis=0), 2, atol=0.2)
        assert np.allclose(x[y == 0].mean(axis=0), -2, atol=0.2)
        assert np.allclose(x[y == 1].var(axis=0), 0.5, atol=0.15)
    else:
        turn = 1.75 * 2 * math.pi * radius / 5 + math.pi * (y == 0)
        assert np.allclose(np.cos(turn - angle)[radius > 0.1], 1, atol=1e-3)


def test_noise_mixes_the_classes_and_spreads_the_clouds():
    x, y = arrays(playground("circle", 1000, noise=0.5)[0])
    assert not np.array_equal(y == 1, np.hypot(*x.T) < 2.5)
    x, y = arrays(playground("gauss", 4000, noise=0.5)[0])
    assert np.allclose(x[y == 1].var(axis=0), 4, atol=0.5)
    x, y = arrays(playground("spiral", 1000, noise=0.2)[0])
    clean, _ = arrays(playground("spiral", 1000, noise=0.0)[0])
    assert 0 < np.abs(x - clean).max() <= 0.2 + 1e-6


def test_regression_values():
    x, y = arrays(playground("plane", seed=1)[0])
    assert (x.shape, y.shape, y.dtype) == ((600, 2), (600, 1), np.float32)
    assert np.allclose(y[:, 0], x.sum(axis=1) / 10, atol=1e-6)
    x, y = arrays(playground("gaussians", seed=1)[0])
    near = np.hypot(x[:, 0], x[:, 1] + 2.5)  # around the hill at (0, -2.5)
    assert np.allclose(y[near < 1, 0], 1 - near[near < 1] / 2, atol=1e-5)
    assert y.min() < -0.5


def test_playground_follows_the_seed():
    for name in ("circle", "spiral", "plane"):
        a, b, c = (arrays(*playground(name, 50, noise=0.1, seed=s)) for s in (1, 1, 2))
        assert all(np.array_equal(p, q) for p, q in zip(a, b, strict=True))
        assert not np.array_equal(a[0], c[0])


def test_playground_errors():
    with pytest.raises(ArgumentError, match=r"name must be one of circle, xor, .* got 'moons'"):
        playground("moons")
    with pytest.raises(ArgumentError, match="samples must be an integer of at least 2, got 1"):
        playground("xor", 1)
    with pytest.raises(ArgumentError, match=r"noise must lie in \[0, 0.5\], got 0.6"):
        playground("xor", noise=0.6)
    with pytest.raises(ArgumentError, match=r"test_fraction must lie in \(0, 1\), got 1"):
        playground("xor", test_fraction=1)


# -- IDX --------------------------------------------------------------------------------------


def idx(array, code):
    return (
        struct.pack(f">HBB{array.ndim}I", 0, code, array.ndim, *array.shape)
        + array.astype(array.dtype.newbyteorder(">")).tobytes()
    )


def write_folder(folder, n=6, labels=None, compress=False):
    labels = np.arange(n) % 10 if labels is None else np.asarray(labels)
    images = np.arange(n * 12).reshape(n, 4, 3) % 256
    for part in ("train", "t10k"):
        for name, data in (("images-idx3", images), ("labels-idx1", labels)):
            data = idx(data.astype(np.uint8), 8)
            path = folder / f"{part}-{name}-ubyte"
            if compress:
                path.with_name(path.name + ".gz").write_bytes(gzip.compress(data))
            else:
                path.write_bytes(data)
    return images


@pytest.mark.parametrize(
    ("code", "dtype"), [(8, "u1"), (9, "i1"), (11, "i2"), (12, "i4"), (13, "f4"), (14, "f8")]
)
@pytest.mark.parametrize("compress", [False, True])
def test_read_idx_of_every_type(tmp_path, code, dtype, compress):
    array = (np.arange(24).reshape(2, 3, 4) * 5).astype(dtype)
    data = idx(array, code)
    path = tmp_path / "file"
    path.write_bytes(gzip.compress(data) if compress else data)
    read = read_idx(path)
    assert read.dtype == array.dtype
    assert np.array_equal(read, array)


@pytest.mark.parametrize("compress", [False, True])
def test_idx_folder(tmp_path, compress):
    images = write_folder(tmp_path, compress=compress)
    data = idx_folder(tmp_path, "t10k")
    x, y = arrays(data)
    assert x.shape == (6, 1, 4, 3)
    assert np.allclose(x[:, 0], images / 255)
    assert y.tolist() == [0, 1, 2, 3, 4, 5]


def test_idx_files_that_are_not_whole(tmp_path):
    path = tmp_path / "train-images-idx3-ubyte"
    whole = idx(np.zeros((5, 2, 2), np.uint8), 8)
    cases = [
        (b"", "begin with the magic number .* got an empty file; it is of another format"),
        (b"\x89PNG\r\n\x1a\n" + whole, "magic number .* got 89 50 4e 47"),
        (b"\0\0\x07\3" + whole[4:], "magic number .* got 00 00 07 03"),
        (whole[:10], "a size for each of 3 axes, but ends after 10 bytes; it is truncated"),
        (whole[:-1], r"must hold 20 bytes .* shape \(5, 2, 2\), got at most 19; it is truncated"),
        (gzip.compress(whole[:-1]), r"must hold 20 bytes .* \(5, 2, 2\), got 19; it is truncated"),
        (whole + b"x", "must hold 20 bytes .* got more; it is damaged or of another format"),
        (gzip.compress(whole)[:-9], "is a truncated or damaged gzip file"),
        (gzip.compress(whole)[:-8] + b"12345678", "is a truncated or damaged gzip file"),
        (struct.pack(">HBB3I", 0, 8, 3, 2**31, 2**31, 2**31), "got at most 0; it is truncated"),
        (struct.pack(">HBB65I", 0, 8, 65, *[1] * 65) + b"x", "for which no array can be made"),
        (struct.pack(">HBB3I", 0, 8, 3, 0, 2**32 - 1, 2**32 - 1), "no array can be made: array is"),
    ]
    for data, message in cases:
        path.write_bytes(data)
        with pytest.raises(DataError, match=message) as caught:
            read_idx(path)
        assert str(path) in str(caught.value)
    with pytest.raises(DataError, match="missing cannot be read: No such file"):
        read_idx(tmp_path / "missing")


def test_a_small_file_cannot_ask_for_much_memory(tmp_path):
    def peak():
        tracemalloc.start()
        try:
            read_idx(path)
        except DataError as error:
            return str(error), tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        return "", tracemalloc.get_traced_memory()[1]

    path = tmp_path / "bomb.gz"
    n = 1 << 24
    zeros = bytes(n)
    claims = struct.pack(">HBB2I", 0, 8, 2, 1 << 16, 1 << 16)  # 4 GiB, in 16 KiB of a file
    path.write_bytes(gzip.compress(claims + zeros))
    message, memory = peak()
    assert "must hold 4,294,967,296 bytes of elements" in message
    assert "it is truncated" in message
    assert memory < 1 << 20
    path.write_bytes(gzip.compress(struct.pack(">HBBI", 0, 8, 1, 10) + zeros))
    message, memory = peak()
    assert "must hold 10 bytes of elements for the shape (10,), got more" in message
    assert memory < 1 << 20


def test_an_idx_file_takes_the_memory_that_it_says_once(tmp_path):
    path = tmp_path / "zeros.gz"
    n = 1 << 22
    path.write_bytes(gzip.compress(struct.pack(">HBBI", 0, 12, 1, n) + bytes(4 * n)))
    tracemalloc.start()
    array = read_idx(path)
    memory = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert array.nbytes == 4 * n
    assert memory < 4 * n + (4 << 20)


def test_idx_folders_that_do_not_fit(tmp_path):
    with pytest.raises(DataError, match=r"must contain train-images-idx3-ubyte or .* has nothing"):
        idx_folder(tmp_path)
    with pytest.raises(DataError, match="nowhere must be a folder with train-images-idx3-ubyte"):
        idx_folder(tmp_path / "nowhere")
    write_folder(tmp_path, labels=[0, 1, 2])
    with pytest.raises(DataError, match=r"got 6 images in .* and 3 labels in"):
        idx_folder(tmp_path)
    write_folder(tmp_path, labels=[0, 1, 2, 3, 4, 10])
    with pytest.raises(DataError, match=r"must lie in \[0, 10\), got 10"):
        idx_folder(tmp_path)
    write_folder(tmp_path, n=0)
    with pytest.raises(DataError, match="at least one image, got 0"):
        idx_folder(tmp_path)
    labels = tmp_path / "train-labels-idx1-ubyte"
    images = tmp_path / "train-images-idx3-ubyte"
    write_folder(tmp_path)
    (tmp_path / "kept").write_bytes(images.read_bytes())
    images.write_bytes(labels.read_bytes())
    with pytest.raises(DataError, match=r"must hold images, uint8 of shape \(N, H, W\), got uint8"):
        idx_folder(tmp_path)
    labels.write_bytes((tmp_path / "kept").read_bytes())
    images.write_bytes(labels.read_bytes())
    with pytest.raises(DataError, match=r"must hold labels, uint8 of shape \(N,\), got uint8"):
        idx_folder(tmp_path)
