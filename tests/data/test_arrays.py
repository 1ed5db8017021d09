"""Arrays in files of NumPy and HDF5: rows come when asked, and damage is refused by name."""

import io
import multiprocessing
import os
import pickle
import struct
import sys
import zipfile

import h5py
import numpy as np
import pytest

import backlit
from apart import printed
from backlit.data import ArrayDataset, ArrayFile, DataLoader, DatasetFolder, read_array
from backlit.errors import ArgumentError, DataError, MissingDependencyError, MissingFileError
from sampling import try_each

X = np.random.default_rng(0).random((7, 3, 2)).astype(np.float32)
Y = np.arange(7) % 3


@pytest.fixture
def files(tmp_path):
    """The same array in every format: path and key."""
    np.save(tmp_path / "c.npy", X)
    np.save(tmp_path / "fortran.npy", np.asfortranarray(X))
    np.save(tmp_path / "big.npy", X.astype(">f4"))
    np.savez(tmp_path / "plain.npz", x=X, y=Y)
    np.savez_compressed(tmp_path / "packed.npz", x=X, y=Y)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("group/x", data=X, chunks=(2, 3, 2), compression="gzip")
        file["y"] = Y
    keys = {"plain.npz": "x", "packed.npz": "x", "a.h5": "group/x"}
    return {path.name: (path, keys.get(path.name)) for path in sorted(tmp_path.iterdir())}


def test_rows_are_those_of_the_array_in_every_format(files):
    def check(name):
        array = ArrayFile(*files[name])
        assert (array.shape, array.dtype, len(array), array.ndim) == (X.shape, np.float32, 7, 3)
        assert np.array_equal(array[()], X)
        assert np.array_equal(np.asarray(array), X)
        for index in (0, -1, slice(2, 5), np.array([5, 0, 5, 3]), (slice(None), 1)):
            rows = array[index]
            assert rows.dtype == np.float32
            assert rows.dtype.isnative
            assert np.array_equal(rows, X[index])
        assert np.array_equal(read_array(*files[name]), X)
        for outside in (7, np.array([0, 9])):
            with pytest.raises(IndexError, match=f"{name}: .*(out of|range)"):
                array[outside]
        again = pickle.loads(pickle.dumps(array))
        assert len(pickle.dumps(array)) < 500
        assert np.array_equal(again[3], X[3])

    try_each(check, files)
    text = repr(ArrayFile(*files["a.h5"]))
    assert text.endswith("a.h5', key='group/x', float32, shape=(7, 3, 2))")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of newer Pythons, about forking
def test_a_forked_process_opens_the_file_for_itself(files):
    arrays = [ArrayFile(*where) for where in files.values()]
    with multiprocessing.get_context("fork").Pool(2) as pool:
        for rows in pool.map(_third_rows, [arrays] * 4):
            assert all(np.array_equal(row, X[3]) for row in rows)


def _third_rows(arrays):
    return [array[3] for array in arrays]


def test_a_dataset_of_arrays_stays_where_it_is(files, tmp_path):
    np.save(tmp_path / "y.npy", Y)
    for source in (*(ArrayFile(*where) for where in files.values()), X, backlit.asarray(X)):
        data = ArrayDataset(source, str(tmp_path / "y.npy"))
        assert len(data) == 7
        x, y = data[-2]
        assert np.array_equal(x.numpy(), X[5])
        assert (y.item(), y.dtype) == (Y[5], backlit.int64)
        loader = DataLoader(data, batch_size=3, shuffle=True, seed=3)
        seen = [(x.numpy(), y.numpy()) for x, y in loader]
        assert [x.shape for x, _ in seen] == [(3, 3, 2), (3, 3, 2), (1, 3, 2)]
        order = loader_order(7, 3)
        assert np.array_equal(np.concatenate([x for x, _ in seen]), X[order])
        assert np.array_equal(np.concatenate([y for _, y in seen]), Y[order])
    assert repr(data) == "ArrayDataset((7, 3, 2), (7,))"


def loader_order(n, seed):
    ((numbers,),) = DataLoader(ArrayDataset(np.arange(n)), n, shuffle=True, seed=seed)
    return numbers.numpy()


def test_the_rows_of_a_batch_are_read_at_once(files):
    class Counted:
        shape = X.shape
        asked = 0

        def __getitem__(self, index):
            self.asked += 1
            return X[index]

    counted = Counted()
    assert len(list(DataLoader(ArrayDataset(counted), batch_size=7))) == 1
    assert counted.asked == 1


def test_a_folder_of_arrays(tmp_path):
    for name, value in (("high/1.npy", 2.0), ("low/1.npy", 1.0), ("low/2.npy", 3.0)):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        np.save(tmp_path / name, np.full(4, value))
    data = DatasetFolder(tmp_path, read_array, (".npy",), lambda x: x.sum())
    assert [(float(x), y) for x, y in data] == [(8.0, 0), (4.0, 1), (12.0, 1)]
    with pytest.raises(ArgumentError, match="either extensions or is_valid_file must say which"):
        DatasetFolder(tmp_path, read_array)
    with pytest.raises(ArgumentError, match="DatasetFolder: loader must be a function, got None"):
        DatasetFolder(tmp_path, None, (".npy",))


def header(text, size=16):
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text.encode() + bytes(size)


def archive(**files):
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as file:
        for name, data in files.items():
            file.writestr(f"{name}.npy", data)
    return made.getvalue()


def plain(array):
    made = io.BytesIO()
    np.save(made, array)
    return made.getvalue()


def test_files_that_hold_no_array_of_numbers(tmp_path):
    huge = header("{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000, 2)}")
    cases = [
        (b"", "must be a .npy, .npz or HDF5 file, but begins with nothing"),
        (b"\x89PNG\r\n\x1a\n", "but begins with 89 50 4e 47 0d 0a 1a 0a; it is of another format"),
        (
            plain(X)[:-1],
            r"must hold 168 bytes of elements for the shape \(7, 3, 2\), got 167; it is",
        ),
        (plain(X)[:60], "x cannot be read: .*; it is truncated, damaged or of another format"),
        (huge, r"must hold 16,000,000,000,000 bytes .* got 16; it is truncated"),
        (
            header("{'descr': '<f8', 'fortran_order': False, 'shape': (-1, 2)}"),
            "must hold -16 bytes",
        ),
        (header("(" * 999), "x cannot be read"),
        (plain(np.array([{}], object)), "holds Python objects, which only unpickling could read"),
        (plain(np.array(["a"])), "must hold numbers, got an array of texts"),
        (plain(np.array([1j])), "must hold numbers, got an array of complex numbers"),
        (plain(X).replace(b"NUMPY\x01", b"NUMPY\x07"), r"NumPy's format 1.0 or 2.0, got \(7, 0\)"),
        (archive(x=plain(X))[:-9], "x cannot be read: File is not a zip file; it is truncated"),
        (archive(x=plain(X)[:-9]), "must hold 168 bytes of elements .* got 159; it is truncated"),
        (archive(x=huge), "must hold 16,000,000,000,000 bytes"),
        (
            archive(x=plain(X), y=plain(X)),
            "key must name one of the arrays in .*, x, y, got no key",
        ),
        (archive(), "key must name one of the arrays in .*, none, got no key"),
        (b"\x89HDF\r\n\x1a\n" + bytes(99), "x cannot be read"),
    ]

    def check(case):
        data, message = case
        (tmp_path / "x").write_bytes(data)
        with pytest.raises((DataError, ArgumentError), match=message) as caught:
            ArrayFile(tmp_path / "x")
        assert str(tmp_path / "x") in str(caught.value)

    try_each(check, cases)
    with pytest.raises(MissingFileError, match=r"ArrayFile: .*none.npy does not exist; check the"):
        ArrayFile(tmp_path / "none.npy")
    (tmp_path / "x").write_bytes(plain(X))
    with pytest.raises(ArgumentError, match="holds one array without a name, got key='x'"):
        ArrayFile(tmp_path / "x", "x")
    assert len(ArrayFile(saved(tmp_path / "none", np.empty((0, 3))))) == 0


def test_databases_are_refused_with_what_reads_them(tmp_path):
    def check(case):
        name, mark, asked, package = case
        (tmp_path / name).mkdir(exist_ok=True)
        (tmp_path / name / mark).write_bytes(bytes(16))
        with pytest.raises(DataError, match=f"is a database of {name}, which is .* {package} and"):
            ArrayFile(tmp_path / name / asked)

    cases = [("LMDB", "data.mdb", "", "lmdb"), ("LMDB", "data.mdb", "data.mdb", "lmdb")]
    try_each(check, [*cases, ("LevelDB", "CURRENT", "", "plyvel")])


def saved(path, array):
    path.write_bytes(plain(array))
    return path


def test_damage_inside_of_a_packed_array_is_found(tmp_path):
    data = bytearray(archive(x=plain(np.random.default_rng(0).random(500))))
    data[len(data) // 2] ^= 0xFF
    (tmp_path / "x.npz").write_bytes(data)
    with pytest.raises(DataError, match=r"x.npz cannot be read"):
        ArrayFile(tmp_path / "x.npz")


def test_a_file_that_shrinks_after_it_was_opened(files, tmp_path):
    path, key = files["a.h5"]
    array = ArrayFile(path, key)
    again = pickle.loads(pickle.dumps(array))
    os.truncate(path, 100)
    with pytest.raises(DataError, match=r"a.h5 cannot be read"):
        again[0]


def test_hdf5_files_that_lead_elsewhere_are_refused(tmp_path):
    (tmp_path / "secret").write_bytes(bytes(8))
    with h5py.File(tmp_path / "a.h5", "w") as file:
        external = [(str(tmp_path / "secret"), 0, 8)]
        file.create_dataset("x", (8,), np.uint8, external=external)
    with pytest.raises(DataError, match=r"a.h5: /x must lie in the file, but lies in others; copy"):
        ArrayFile(tmp_path / "a.h5")
    with h5py.File(tmp_path / "b.h5", "w") as file:
        file["x"] = h5py.ExternalLink(str(tmp_path / "a.h5"), "/x")
        file["y"] = Y
    with pytest.raises(ArgumentError, match=r"key must name one of the arrays in .*, y, got 'x'"):
        ArrayFile(tmp_path / "b.h5", "x")


def test_without_h5py_it_is_said_what_to_install(files, monkeypatch):
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(MissingDependencyError, match=r"run: pip install 'backlit\[hdf5\]'"):
        ArrayFile(*files["a.h5"])


def test_arrays_that_are_no_dataset():
    with pytest.raises(ArgumentError, match="at least one array is required"):
        ArrayDataset()
    with pytest.raises(ArgumentError, match="a source must be a file or an array, got a dict"):
        ArrayDataset({})
    with pytest.raises(ValueError, match=r"equally many rows, got \(7, 3, 2\) and \(3,\)"):
        ArrayDataset(X, np.arange(3))


_LIMITED = """
import resource, sys
from backlit.data import ArrayDataset, ArrayFile, DataLoader, TableEncoding, TableStream

with open("/proc/self/status") as status:
    used = next(int(line.split()[1]) << 10 for line in status if line.startswith("VmData"))
resource.setrlimit(resource.RLIMIT_DATA, (used + room, used + room))
for path in paths:
    if path.endswith(".csv"):
        stream = TableStream(path, target="y", chunk=1000)
        data = TableEncoding(stream)(stream)
    else:
        data = ArrayDataset(path)
    print(sum(len(batch[0]) for batch in DataLoader(data, batch_size=256)))
try:
    bytearray(2 * room)
except MemoryError:
    print("limited")
"""


def read_with_room_for(room, *paths):
    """What a process prints that reads files and may take so many bytes more than at its start."""
    return printed(f"room, paths = {room}, {[str(p) for p in paths]}\n{_LIMITED}").split()


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="limits of memory are tried on Linux only")
def test_arrays_larger_than_memory_are_read_row_by_row(tmp_path):
    n, room = 1 << 13, 16 << 20  # rows of 8 KiB: 64 MiB, and room for a quarter
    np.lib.format.open_memmap(tmp_path / "a.npy", "w+", np.float32, (n, 2048)).flush()
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("x", (n, 2048), np.float32, chunks=(16, 2048))
    found = read_with_room_for(room, tmp_path / "a.npy", tmp_path / "a.h5")
    assert found == [str(n), str(n), "limited"]


@pytest.mark.long
@pytest.mark.skipif(sys.platform != "linux", reason="limits of memory are tried on Linux only")
def test_tables_larger_than_memory_are_read_piece_by_piece(tmp_path):
    n, room = 80_000, 24 << 20  # of which the texts alone would take 10 * 57 bytes a row: 46 MB
    line = ",".join("1.2345678" for _ in range(9))
    text = ",".join("abcdefghi") + ",y\n" + "".join(f"{line},{i % 7}.5\n" for i in range(n))
    (tmp_path / "a.csv").write_text(text)
    assert read_with_room_for(room, tmp_path / "a.csv") == [str(n), "limited"]
