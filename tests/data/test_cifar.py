"""CIFAR's binary records, in every dress in which they are published."""

import gzip
import io
import lzma
import pickle
import tarfile
from pathlib import Path

import numpy as np
import pytest

from backlit.data import cifar_folder, read_cifar
from backlit.errors import ArgumentError, DataError, MissingFileError
from sampling import try_each

#: Real images, where they are: the first of CIFAR-10. Elsewhere the generated ones must do.
REAL = Path(__file__).parents[3] / "shared" / "data" / "cifar10-small" / "test_1000.bin.xz"


def records(n=4, labels=1, seed=0):
    """Bytes, pixels and labels of n records."""
    random = np.random.default_rng(seed)
    images = random.integers(0, 256, (n, 3, 32, 32), np.uint8)
    named = np.stack(
        [random.integers(0, (20, 100)[c] // (3 - labels), n) for c in range(labels)], 1
    )
    named = named % 10 if labels == 1 else named
    rows = np.concatenate([named.astype(np.uint8), images.reshape(n, -1)], axis=1)
    return rows.tobytes(), images, named


def tar(**files):
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w:gz") as archive:
        for name, data in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    return made.getvalue()


def test_records_are_labels_and_planes(tmp_path):
    for labels in (1, 2):
        data, images, named = records(labels=labels)
        for pack in (bytes, gzip.compress, lzma.compress):
            (tmp_path / "x").write_bytes(pack(data))
            x, y = read_cifar(tmp_path / "x", labels=labels)
            assert np.array_equal(x, images)
            assert np.array_equal(y, named[:, 0] if labels == 1 else named)
            assert (x.dtype, y.dtype) == (np.uint8, np.int64)


def test_a_folder_of_batches_in_their_order(tmp_path):
    inner = tmp_path / "cifar-10-batches-bin"
    inner.mkdir()
    parts = [records(seed=i) for i in range(3)]
    (inner / "data_batch_1.bin").write_bytes(parts[0][0])
    (inner / "data_batch_2.bin.gz").write_bytes(gzip.compress(parts[1][0]))
    (inner / "test_batch.bin").write_bytes(parts[2][0])
    (inner / "readme.html").write_text("")
    packed = tmp_path / "cifar-10-binary.tar.gz"
    packed.write_bytes(
        tar(
            **{
                "cifar-10-batches-bin/data_batch_2.bin": parts[1][0],
                "cifar-10-batches-bin/data_batch_1.bin": parts[0][0],
                "cifar-10-batches-bin/test_batch.bin": parts[2][0],
            }
        )
    )
    for source in (tmp_path, inner, packed):
        x, y = (t.numpy() for t in cifar_folder(source).tensors)
        assert np.allclose(x, np.concatenate([parts[0][1], parts[1][1]]) / 255, atol=1e-6)
        assert np.array_equal(y, np.concatenate([parts[0][2], parts[1][2]])[:, 0])
        assert x.dtype == np.float32
        raw = cifar_folder(source, "test", scale=False).tensors[0].numpy()
        assert np.array_equal(raw, parts[2][1])


def test_cifar_100_has_the_fine_labels(tmp_path):
    data, images, named = records(labels=2)
    for name in ("train.bin", "test.bin"):
        (tmp_path / name).write_bytes(data)
        x, y = cifar_folder(tmp_path, name[:-4], labels=2, scale=False).tensors
        assert np.array_equal(x.numpy(), images)
        assert np.array_equal(y.numpy(), named[:, 1])


@pytest.mark.slow
def test_the_first_real_images():
    if not REAL.exists():
        pytest.skip("the real images are not here: only generated ones were read")
    x, y = (t.numpy() for t in cifar_folder(REAL.parent, "test", scale=False).tensors)
    assert x.shape == (1000, 3, 32, 32)
    assert y[:8].tolist() == [3, 8, 8, 0, 6, 6, 1, 6]  # cat, ship, ship, airplane, frog, ...


def test_files_that_are_no_records_are_refused(tmp_path):
    data, _, _ = records()
    wrong = bytearray(data)
    wrong[3073 * 2] = 10
    cases = [
        (b"", "must be records of 3,073 bytes, got 0 bytes, which are 0.00 records"),
        (data[:-1], "got 12,291 bytes, which are 4.00 records; it is truncated"),
        (bytes(wrong), r"record 2: labels must lie in \[0, 10\), got 10; it is damaged"),
        (
            gzip.compress(data)[:-9],
            "cannot be read: .*; it is truncated or damaged: fetch",
        ),
        (lzma.compress(data)[:-30], "cannot be read: .*; it is truncated or damaged"),
        (pickle.dumps({"data": []}), "is the version for Python, a pickle, which can run any code"),
    ]

    def check(case):
        content, message = case
        (tmp_path / "x.bin").write_bytes(content)
        with pytest.raises(DataError, match=message) as caught:
            read_cifar(tmp_path / "x.bin")
        assert str(tmp_path / "x.bin") in str(caught.value)

    try_each(check, cases)
    with pytest.raises(MissingFileError, match=r"none.bin does not exist; check the path"):
        read_cifar(tmp_path / "none.bin")


def test_a_file_that_unpacks_to_too_much_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("backlit.data.cifar._MOST", 3072)
    (tmp_path / "x.bin").write_bytes(lzma.compress(bytes(3073)))
    with pytest.raises(DataError, match=r"x.bin must have at most 3,072 bytes, got more"):
        read_cifar(tmp_path / "x.bin")


def test_folders_without_records_are_refused(tmp_path):
    with pytest.raises(MissingFileError, match=r"part 'train', plain, .xz or .gz, but has nothing"):
        cifar_folder(tmp_path)
    with pytest.raises(MissingFileError, match="but has not been found"):
        cifar_folder(tmp_path / "nowhere")
    with pytest.raises(ArgumentError, match="part must be 'train' or 'test', got 'all'"):
        cifar_folder(tmp_path, "all")
    packed = tmp_path / "a.tar.gz"
    packed.write_bytes(tar(**{"x/data_batch_1": b"", "x/readme": b""}))
    with pytest.raises(DataError, match="x/data_batch_1 is the version for Python, a pickle"):
        cifar_folder(packed)
    packed.write_bytes(tar(**{"data_batch_1.bin": b"123"}))
    with pytest.raises(DataError, match=r"a.tar.gz: data_batch_1.bin must be records of 3,073"):
        cifar_folder(packed)
    packed.write_bytes(packed.read_bytes()[:40])
    with pytest.raises(DataError, match=r"a.tar.gz cannot be read as a tar file"):
        cifar_folder(packed)
    (tmp_path / "cifar-10-batches-py").mkdir()
    (tmp_path / "cifar-10-batches-py" / "data_batch_1").write_bytes(b"\x80\x02")
    with pytest.raises(DataError, match="data_batch_1 is the version for Python"):
        cifar_folder(tmp_path)
