"""Whatever a file holds, a reader gives it or raises DataError, in bounded memory."""

import contextlib
import copy
import functools
import gzip
import io
import json
import lzma
import pickletools
import struct
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pyarrow
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from pyarrow import parquet

import backlit
from backlit import nn, optim, see
from backlit.data import (
    Table,
    TableEncoding,
    idx_folder,
    load_image,
    read_array,
    read_cifar,
    read_idx,
)
from backlit.errors import ArgumentError, BacklitError, DataError
from backlit.recipes.builtin import Points
from backlit.recipes.form import Source
from backlit.recipes.look import look
from backlit.recipes.run import FORMAT, load, read_run, write_run
from backlit.recipes.targets import Classes
from backlit.see.records.model import Record
from backlit.torch.serialization import load as torch_load
from backlit.train import Trainer, load_checkpoint, load_flight, save_checkpoint

#: What a run on the plane has learned.
PLANE = Points(Classes(("orange", "blue")), (2,))
#: What may be raised for a file that is not as it should be.
REFUSALS = (DataError, ArgumentError)
quick = settings(
    max_examples=100,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


def damaged(data):
    """The bytes cut off, with bits flipped, bytes replaced, doubled or left out."""

    def change(kind, place, other):
        at = int(place * len(data))
        if kind == "cut":
            return data[:at]
        if kind == "flip":
            return data[:at] + bytes([data[at] ^ (1 << other % 8)]) + data[at + 1 :]
        if kind == "byte":
            return data[:at] + bytes([other]) + data[at + 1 :]
        if kind == "double":
            return data[:at] + data[at : at + other] * 2 + data[at + other :]
        if kind == "fill":
            return data[:at] + b"\xff" * min(other, len(data) - at) + data[at + other :]
        return data[:at] + data[at + other :]

    kinds = st.sampled_from(["cut", "flip", "byte", "double", "fill", "drop"])
    places = st.floats(0, 1, exclude_max=True)
    # Headers stand at the beginning, so half of the damage is there.
    near = places.map(lambda p: p * min(1.0, 64 / len(data)))
    return st.builds(change, kinds, places | near, st.integers(0, 255))


_HOSTILE = st.sampled_from(
    [
        *(None, True, 0, -1, 1, 7, 2**31, 2**63, 10**400, -0.5, 1e308, "nan", "", "x", "\ud800"),
        *([], [1], [[1]], {}, {"a": 1}, {"$tensor": "x"}, {"$tensor": [1]}, {"edge": 0}, "op"),
        *("</script>", "{{script}}", "../../etc/passwd", "negative", "pow", "matmul", "float64"),
    ]
)


def changed(tree):
    """The JSON with parts left out, doubled, or replaced by something else or by another part."""
    places = []
    stack = [((), tree)]
    while stack:
        path, value = stack.pop()
        places.append(path)
        inner = value.items() if isinstance(value, dict) else enumerate(value)
        stack += [((*path, k), v) for k, v in inner if isinstance(v, dict | list)]
        places += [(*path, k) for k, v in inner if not isinstance(v, dict | list)]

    def change(changes):
        new = json.loads(json.dumps(tree))
        for place, kind, other, value in changes:
            at = new
            try:
                for key in place[:-1]:
                    at = at[key]
                if kind == "drop":
                    del at[place[-1]]
                elif kind == "other":
                    for key in other:
                        value = (value if value is not None and key == other[-1] else tree)[key]
                    at[place[-1]] = copy.deepcopy(value)
                elif kind == "double" and isinstance(at, list):
                    at.append(copy.deepcopy(at[place[-1]]))
                else:  # a copy, because the next change may be inside of it
                    at[place[-1]] = copy.deepcopy(value)
            except (KeyError, IndexError, TypeError):
                pass  # an earlier change has taken that place away
        return new

    where = st.sampled_from([p for p in places if p])
    one = st.tuples(where, st.sampled_from(["drop", "other", "double", "set"]), where, _HOSTILE)
    return st.lists(one, min_size=1, max_size=3).map(change)


def read(reader, *arguments):
    """What the reader gives, or None if it refuses."""
    message = ""
    try:
        return reader(*arguments)
    except REFUSALS as error:
        message = str(error)
    assert "\n" not in message
    assert len(message) < 1000
    return None


# -- IDX ----------------------------------------------------------------------------------------

_IDX = struct.pack(">HBB3I", 0, 8, 3, 5, 4, 3) + bytes(range(60))


@quick
@given(damaged(_IDX), st.booleans())
def test_idx(tmp_path, data, compress):
    path = tmp_path / "images"
    path.write_bytes(gzip.compress(data) if compress else data)
    array = read(read_idx, path)
    if array is not None:
        assert array.nbytes <= len(data)


@quick
@given(damaged(gzip.compress(_IDX)))
def test_compressed_idx(tmp_path, data):
    (tmp_path / "images").write_bytes(data)
    read(read_idx, tmp_path / "images")


@quick
@given(
    st.integers(0, 255),
    st.integers(0, 255),
    st.lists(st.sampled_from([0, 1, 2, 2**31, 2**32 - 1]), max_size=70),
    st.integers(0, 300),
)
def test_idx_headers(tmp_path, kind, axes, sizes, length):
    data = struct.pack(f">HBB{len(sizes)}I", 0, kind, axes, *sizes) + bytes(length)
    (tmp_path / "images").write_bytes(data)
    array = read(read_idx, tmp_path / "images")
    if array is not None:
        assert array.nbytes <= length


@quick
@given(damaged(_IDX), damaged(struct.pack(">HBBI", 0, 8, 1, 5) + bytes(5)))
def test_idx_folders(tmp_path, images, labels):
    (tmp_path / "train-images-idx3-ubyte").write_bytes(images)
    (tmp_path / "train-labels-idx1-ubyte").write_bytes(labels)
    read(idx_folder, tmp_path)


# -- arrays, tables, pictures, CIFAR ------------------------------------------------------------


def _npy(array):
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def _npz(save):
    file = io.BytesIO()
    save(file, x=np.arange(6.0).reshape(2, 3))
    return file.getvalue()


_ARRAYS = [_npy(np.arange(6.0).reshape(2, 3)), _npz(np.savez), _npz(np.savez_compressed)]


@quick
@given(st.sampled_from(_ARRAYS).flatmap(damaged))
def test_files_of_arrays(tmp_path, data):
    (tmp_path / "x").write_bytes(data)
    array = read(read_array, tmp_path / "x")
    assert array is None or array.nbytes <= 4096


_CSV = b'size,town,day\n1.5,Rome,2024-01-31\n-3,,2024-02-29\n4e2,"Bari, Italy",NA\n'


@quick
@given(damaged(_CSV) | damaged(gzip.compress(_CSV)) | st.binary(max_size=60), st.booleans())
def test_tables_of_text(tmp_path, data, packed):
    path = tmp_path / ("x.csv.gz" if packed else "x.csv")
    path.write_bytes(data)
    table = read(Table, path)
    if table is not None:
        str(table)
        encoding = read(TableEncoding, table)
        if encoding is not None and encoding.names:
            x = encoding(table).tensors[0].numpy()
            assert np.isfinite(x).all()


@functools.cache
def _parquet():
    file = io.BytesIO()
    parquet.write_table(pyarrow.table({"a": [1.5, None], "b": ["x", "y"]}), file)
    return file.getvalue()


@quick
@given(st.data())
def test_tables_of_parquet(tmp_path, data):
    (tmp_path / "x").write_bytes(data.draw(damaged(_parquet())))
    table = read(Table, tmp_path / "x")
    assert table is None or len(table) <= 1000


def _picture(kind, pixels):
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, kind)
    return file.getvalue()


_PIXELS = np.arange(300, dtype=np.uint8).reshape(10, 10, 3)
_PICTURES = [
    *(_picture(kind, _PIXELS) for kind in ("PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP", "PPM")),
    _picture("PNG", _PIXELS[..., 0].astype(np.uint16) * 257),
]


@quick
@pytest.mark.filterwarnings("ignore")  # Pillow's own, about what it repairs
@given(st.sampled_from(_PICTURES).flatmap(damaged))
def test_pictures(tmp_path, data):
    (tmp_path / "x.png").write_bytes(data)
    x = read(load_image, tmp_path / "x.png")
    if x is not None:
        assert x.shape[0] == 3
        assert 0 <= x.numpy().min() <= x.numpy().max() <= 1


_CIFAR = (bytes([7]) + bytes(range(256)) * 12) * 2


@quick
@given(st.sampled_from([_CIFAR, gzip.compress(_CIFAR), lzma.compress(_CIFAR)]).flatmap(damaged))
def test_records_of_cifar(tmp_path, data):
    (tmp_path / "x.bin").write_bytes(data)
    found = read(read_cifar, tmp_path / "x.bin")
    assert found is None or found[1].max() < 10


# -- safetensors and checkpoints ----------------------------------------------------------------


def _saved(tmp, state):
    save_checkpoint(tmp / "run", state)
    return (tmp / "run").read_bytes()


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    rng = np.random.default_rng(0)
    state = {
        "model": {"weight": backlit.asarray(rng.random((2, 3))), "n": backlit.tensor([1, 2])},
        "epoch": 3,
        "history": [{"loss": 0.5}],
    }
    return _saved(tmp_path_factory.mktemp("checkpoint"), state)


@quick
@given(st.data())
def test_checkpoints_come_back_whole_or_not_at_all(tmp_path, checkpoint, data):
    new = data.draw(damaged(checkpoint))
    path = tmp_path / "run"
    path.write_bytes(new)
    read(backlit.load_tensors, path)
    state = read(load_checkpoint, path)
    if state is not None:
        assert _saved(tmp_path, state) == checkpoint


@quick
@given(st.data())
def test_headers_of_safetensors(tmp_path, checkpoint, data):
    length = int.from_bytes(checkpoint[:8], "little")
    header = data.draw(changed(json.loads(checkpoint[8 : 8 + length])))
    text = json.dumps(header).encode()
    path = tmp_path / "run"
    path.write_bytes(len(text).to_bytes(8, "little") + text + checkpoint[8 + length :])
    tensors = read(backlit.load_tensors, path)
    if tensors is not None:
        assert sum(t.array.nbytes for t in tensors.values()) <= len(checkpoint)
    read(load_checkpoint, path)


_PYTORCH = Path(__file__).parents[1] / "interop"


def _zipped_again(data, change):
    """The zip archive with changed bytes in its pickle, and the checksums right."""
    new = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(new, "w") as file:
        for info in old.infolist():
            inside = old.read(info)
            file.writestr(info, change(inside) if info.filename.endswith("data.pkl") else inside)
    return new.getvalue()


_WHOLE = {name: (_PYTORCH / f"{name}.pt").read_bytes() for name in ("new", "legacy", "module")}
_PROGRAMS = {
    name: zipfile.ZipFile(io.BytesIO(_WHOLE[name])).read(f"{name}/data.pkl")
    for name in ("new", "module")
}


@quick
@given(st.sampled_from([*_WHOLE]).flatmap(lambda name: damaged(_WHOLE[name])))
def test_files_of_pytorch(data):
    read(torch_load, io.BytesIO(data))


@quick
@given(
    st.sampled_from([*_PROGRAMS]).flatmap(
        lambda name: st.tuples(st.just(name), damaged(_PROGRAMS[name]))
    )
)
def test_pickles_of_pytorch_with_right_checksums(case):
    name, program = case
    read(torch_load, io.BytesIO(_zipped_again(_WHOLE[name], lambda _: program)))


_OPCODES = sorted(ord(opcode.code) for opcode in pickletools.opcodes)


@quick
@given(st.lists(st.sampled_from(_OPCODES) | st.integers(0, 255), max_size=40))
def test_programs_of_any_instructions(codes):
    program = b"\x80\2" + bytes(codes) + b"."
    read(torch_load, io.BytesIO(_zipped_again(_WHOLE["new"], lambda _: program)))


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["a", "b", "$tensor", "", "x.y"]), inner, max_size=4)
    ),
    max_leaves=12,
)


@quick
@given(_JSON)
def test_states_with_a_right_checksum(tmp_path, state):
    text = json.dumps(state)
    path = tmp_path / "run"
    metadata = {"backlit-checkpoint-2": f"{zlib.crc32(text.encode()):08x} {text}"}
    backlit.save_tensors(path, {}, metadata)
    found = read(load_checkpoint, path)
    assert found is None or found == state


@pytest.mark.slow
@quick
@given(
    st.recursive(
        st.integers(-5, 5).map(lambda i: backlit.tensor(float(i)))
        | st.none()
        | st.text(max_size=3),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["a", "b", "a.b", "0", "", ".", "__metadata__", "a'", "\ud800"]),
                inner,
                max_size=4,
            )
        ),
        max_leaves=12,
    ).filter(lambda s: isinstance(s, dict))
)
def test_every_state_comes_back(tmp_path, state):
    def plain(value):
        if isinstance(value, dict):
            return {k: plain(v) for k, v in value.items()}
        if isinstance(value, list):
            return [plain(v) for v in value]
        return value.item() if isinstance(value, backlit.Tensor) else value

    save_checkpoint(tmp_path / "run", state)
    assert plain(load_checkpoint(tmp_path / "run")) == plain(state)


@pytest.fixture(scope="module")
def flight(tmp_path_factory):
    """The file of a step that failed, as a state."""
    folder = tmp_path_factory.mktemp("flight")
    model = nn.Linear(2, 1)
    trainer = Trainer(
        model,
        nn.MSELoss(),
        optim.SGD(model.parameters(), lr=1.0),
        flight=folder / "flight",
        progress="quiet",
        compile=False,
    )
    batches = [(np.ones((2, 2), "float32"), np.full((2, 1), v, "float32")) for v in (1, np.nan)]
    with pytest.raises(BacklitError):
        trainer.fit(batches)
    return load_checkpoint(folder / "flight")


@settings(quick, max_examples=60)
@given(st.data())
def test_flights(tmp_path, flight, data):
    light = {k: v for k, v in flight.items() if k not in ("batch", "parts")}
    new = {"batch": flight["batch"], "parts": flight["parts"], **data.draw(changed(light))}
    if data.draw(st.booleans()):
        new[data.draw(st.sampled_from(["batch", "parts"]))] = data.draw(_HOSTILE)
    try:
        save_checkpoint(tmp_path / "flight", new)
    except ArgumentError:
        return  # "$tensor" is no key of a state
    found = read(load_flight, tmp_path / "flight")
    if found is None:
        return
    repr(found)
    model = nn.Linear(2, 1)
    replayed = read(found.replay, model, nn.MSELoss(), optim.SGD(model.parameters(), lr=1.0))
    repr(replayed)


# -- runs ---------------------------------------------------------------------------------------


@settings(quick, max_examples=60)
@given(st.data())
def test_descriptions_of_runs(tmp_path, data):
    write_run(tmp_path, Source("circle"), look("circle").settings, PLANE)
    path = tmp_path / "run.json"
    content = json.loads(path.read_bytes())
    assert content["format"] == FORMAT
    if data.draw(st.booleans()):
        path.write_bytes(json.dumps(data.draw(changed(content))).encode())
    else:
        path = tmp_path / data.draw(st.sampled_from(["run.json", "run.toml"]))
        path.write_bytes(data.draw(damaged(path.read_bytes())))
    read(read_run, tmp_path)
    save_checkpoint(tmp_path / "best.safetensors", {"model": {}})
    assert read(load, tmp_path) is None


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a":' * 100_000, "9" * 5000, "\ufeff{}", "NaN"])
def test_run_descriptions_that_json_cannot_read(tmp_path, text):
    (tmp_path / "run.json").write_text(text)
    with pytest.raises(DataError, match="must describe a run"):
        read_run(tmp_path)


# -- examples for `backlit predict` -------------------------------------------------------------


@quick
@given(damaged(_npy(np.arange(6.0).reshape(3, 2))) | damaged(_npy(np.array([[1, 2]], "i2"))))
def test_numpy_files_to_predict(tmp_path, data):
    (tmp_path / "x.npy").write_bytes(data)
    found = read(PLANE.read, str(tmp_path / "x.npy"))
    assert found is None or all(row.shape == (2,) for _, row in found)


@pytest.mark.parametrize(
    "header",
    [
        "{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000, 2)}",
        "{'descr': '<f8', 'fortran_order': False, 'shape': (-1, 2)}",
        "{'descr': '<f8', 'fortran_order': False, 'shape': (1, 2)" + "," * 9 + "}",
        "(" * 5000,
        "{'descr': [('a', '<f8')], 'fortran_order': False, 'shape': (1, 2)}",
        "{'descr': '|O', 'fortran_order': False, 'shape': (1, 2)}",
        "{'descr': '<U5', 'fortran_order': False, 'shape': (1, 2)}",
        "{'descr': '<f8', 'fortran_order': False, 'shape': (True, 2)}",
    ],
    ids=lambda header: header[:60],
)
def test_hostile_numpy_headers(tmp_path, header):
    text = header.encode()
    path = tmp_path / "x.npy"
    path.write_bytes(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + bytes(16))
    found = read(PLANE.read, str(path))
    assert found is None or [row.shape for _, row in found] == [(2,)]


@quick
@given(damaged(b"1.5,2\n-3,4e2\n0.25,1\n") | st.binary(max_size=40))
def test_text_files_to_predict(tmp_path, data):
    (tmp_path / "x.csv").write_bytes(data)
    found = read(PLANE.read, str(tmp_path / "x.csv"))
    assert found is None or all(row.shape == (2,) for _, row in found)


# -- records ------------------------------------------------------------------------------------


def _record():
    backlit.manual_seed(0)
    model = nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 1))
    x = backlit.asarray(np.arange(4.0, dtype="float32").reshape(2, 2))
    with see.recording() as seen:
        y = model(x)
        ((y * y).sum() / 3.0 - backlit.log(backlit.exp(y)).mean()) ** 2
    return seen.record


_RECORD = _record()
_RECORDS = [json.loads(_RECORD.to_json("complete")), json.loads(_RECORD.to_json())]


@pytest.mark.slow
@settings(quick, max_examples=60)
@given(st.sampled_from(_RECORDS).flatmap(changed))
def test_records_are_refused_or_every_view_can_show_them(new):
    record = read(Record.from_json, json.dumps(new))
    if record is None:
        return
    drawing = see.draw(record)
    for form in (drawing.svg, drawing.html, drawing.dot, drawing.text):
        form()
    list(see.steps(record))
    repr(see.bad_numbers(record))
    assert Record.from_json(record.to_json()).to_dict() == record.to_dict()
    for node in record.nodes:
        if node.upstream is not None and node.requires_grad:
            with contextlib.suppress(BacklitError):
                see.explain(node, record).text()


@quick
@given(damaged(_RECORD.to_json().encode()))
def test_damaged_records(tmp_path, data):
    (tmp_path / "r.json").write_bytes(data)
    read(Record.load, tmp_path / "r.json")
