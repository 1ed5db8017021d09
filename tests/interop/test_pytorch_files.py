"""Files that PyTorch wrote, both forms: `new.pt` by its version 2, `legacy.pt` as before 1.6."""

import argparse
import io
import pickle
import zipfile
from collections import Counter
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest

import backlit
from backlit.errors import DataError
from backlit.interop import pytorch
from backlit.interop.pickled import DEPTH

FOLDER = Path(__file__).parent


def archive(program, *, compress=False, **more):
    """The bytes of a zip archive with a pickle and storages of it."""
    stream = io.BytesIO()
    kind = zipfile.ZIP_DEFLATED if compress else zipfile.ZIP_STORED
    with zipfile.ZipFile(stream, "w", kind) as file:
        file.writestr("x/data.pkl", program)
        for name, data in more.items():
            file.writestr(f"x/{name.replace('__', '/')}", data)
    return stream.getvalue()


def tensor_program(count, offset, shape, strides, kind=b"FloatStorage"):
    """The pickle of one Tensor over the storage 0."""
    reference = b"(X\7\0\0\0storagectorch\n" + kind + b"\nX\1\0\0\0" + b"0X\3\0\0\0cpu"

    def numbers(values):
        return b"(" + b"".join(b"I%d\n" % v for v in values) + b"t"

    return (
        b"\x80\2ctorch._utils\n_rebuild_tensor_v2\n(" + reference + b"I%d\nt" % count + b"Q"
        b"I%d\n" % offset + numbers(shape) + numbers(strides) + b"\x89}tR."
    )  # fmt: skip


@pytest.mark.parametrize("name", ["new", "legacy"])
def test_what_pytorch_saved_comes_back(name):
    found = pytorch.read((FOLDER / f"{name}.pt").read_bytes(), name)
    model = found["model"]
    assert list(model) == ["weight", "bias"]
    assert model["weight"].tolist() == [[1, 2], [3, 4]]
    assert model["weight"].dtype == np.float32
    assert not model["weight"].requires_grad
    assert isinstance(found["w"], backlit.nn.Parameter)
    assert found["w"].requires_grad
    assert found["transposed"].tolist() == [[0, 3], [1, 4], [2, 5]]
    assert found["part"].tolist() == [2, 3]
    assert found["half"].dtype == ml_dtypes.bfloat16
    assert found["half"].item() == 1.5
    assert found["truth"].tolist() == [True, False]
    assert found["count"].dtype == np.int64
    assert found["count"].tolist() == [7]
    assert found["optimizer"]["state"][0]["step"].item() == 1
    assert found["optimizer"]["param_groups"][0]["betas"] == (0.9, 0.999)
    names = ("epoch", "best", "none", "names", "dtype", "size", "big")
    expected = [3, 0.5, None, ("a", ["b", {"c"}]), np.dtype("float32"), (2, 3), 1 << 70]
    assert [found[n] for n in names] == expected
    assert type(found["best"]) is float


def test_an_optimizer_goes_on_from_a_state_of_pytorch():
    state = pytorch.read((FOLDER / "new.pt").read_bytes(), "new.pt")["optimizer"]
    parameters = [backlit.tensor([[1.0, 2.0], [3.0, 4.0]]), backlit.tensor([5.0, 6.0])]
    optimizer = backlit.optim.Adam([p.requires_grad_() for p in parameters], lr=1.0)
    optimizer.load_state_dict(state)
    assert optimizer.param_groups[0]["lr"] == 0.001
    kept = optimizer.state[parameters[1]]
    assert kept["step"].item() == 1
    assert np.allclose(kept["exp_avg"].numpy(), 0.1)
    one_more = backlit.optim.Adam([*parameters, backlit.tensor([1.0], requires_grad=True)])
    with pytest.raises(ValueError, match=r"the groups must have \[3\] parameters, got \[2\]"):
        one_more.load_state_dict(state)


def test_load_tensors_reads_what_is_named_tensors_only(tmp_path):
    with pytest.raises(DataError, match=r"under 'model' is a OrderedDict; read it with backlit"):
        backlit.load_tensors(FOLDER / "new.pt")
    path = tmp_path / "x.pt"
    path.write_bytes(archive(b"}X\1\0\0\0w" + tensor_program(2, 0, (2,), (1,))[2:-1] + b"s.",
                             data__0=np.float32([1, 2]).tobytes()))  # fmt: skip
    assert backlit.load_tensors(path)["w"].tolist() == [1, 2]
    path.write_bytes(archive(b"]."))
    with pytest.raises(DataError, match="must hold a dict of Tensors, got a list; read it with"):
        backlit.load_tensors(path)


def test_nothing_is_imported_or_called(tmp_path):
    proof = tmp_path / "ran"
    programs = [
        pickle.dumps(_Touch(str(proof)), protocol=2),
        pickle.dumps(_Touch(str(proof)), protocol=4),
        b"(X\5\0\0\0touchios\nsystem\n.",
        b"cbuiltins\neval\n.",
    ]
    for program in programs:
        with pytest.raises(DataError, match=r"is code|only code could make|which makes no data"):
            pytorch.read(archive(program), "x")
        assert not proof.exists()


class _Touch:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (Path(self.path),)


def test_a_whole_module_is_refused_with_the_cure():
    words = r"'torch.nn.modules.linear.Linear', which only code could make.*model.state_dict\(\)"
    with pytest.raises(DataError, match=words):
        pytorch.read((FOLDER / "module.pt").read_bytes(), "module.pt")


FOUR = np.arange(4, dtype=np.float32).tobytes()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (archive(tensor_program(4, 1, (2, 2), (2, 1)), data__0=FOUR), "ends at element 4, but"),
        (archive(tensor_program(5, 0, (2,), (1,)), data__0=FOUR), "must have 5 elements of"),
        (archive(tensor_program(4, 0, (2,), (-1,)), data__0=FOUR), "no integers from 0"),
        (archive(tensor_program(4, 0, (2,), (1, 1)), data__0=FOUR), r"shape \(2,\) with strides"),
        (archive(tensor_program(4, 0, (9**9,), (0,)), data__0=FOUR), "more than 8 times its size"),
        (archive(tensor_program(4, 0, (4,), (1,), b"ComplexFloatStorage"), data__0=FOUR),
         "elements of 'torch.ComplexFloatStorage', of which Backlit has none"),
        (archive(b"]" * (DEPTH + 1) + b"a" * DEPTH + b"."), f"at most {DEPTH} deep"),
        (archive(b"]q\0h\0a."), "contains itself"),
        (archive(b"]q\0" + b"0]h\0ah\0aq\0" * 40 + b"."), "and have at most 10,000,000 parts"),
        (archive(b"}(" + b"K\1" * 2 + b")" + b"\x85" * 50 + b"K\1u."), "a tuple as a key"),
        (archive(b"N.", compress=True), "is compressed"),
        (archive(b"N.", constants__pkl=b""), None),
        (archive(b"N.", **{"constants.pkl": b""}), "a TorchScript program"),
        (archive(b"N.", **{"y__data.pkl": b""}), "zip archive without one data.pkl"),
        (archive(b"K\1"), "pickle cannot be read: pickle exhausted"),
        (archive(b"ctorch\nSize\n."), "'torch.Size' itself, which is code"),
        (archive(b"X\1\0\0\0aQ."), "something else than the elements"),
        (archive(b"ctorch.serialization\n_get_layout\n(X\1\0\0\0stR."), "holds a sparse Tensor"),
        (archive(b"}}b."), "gives a state to a dict"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said(data, message):
    if message is None:
        assert pytorch.read(data, "x.pt") is None
        return
    with pytest.raises(DataError, match=message):
        pytorch.read(data, "x.pt")


def test_the_other_order_of_bytes():
    swapped = np.arange(4, dtype=">f4").tobytes()
    data = archive(tensor_program(4, 0, (4,), (1,)), data__0=swapped, byteorder=b"big")
    assert pytorch.read(data, "x").tolist() == [0, 1, 2, 3]


def test_arrays_and_numbers_of_numpy():
    array = np.arange(6).reshape(2, 3)
    found = pytorch.read(archive(pickle.dumps([array, array.T, np.float32(1.5)], 2)), "x")
    assert np.array_equal(found[0], array)
    assert np.array_equal(found[1], array.T)
    assert found[2] == 1.5
    with pytest.raises(DataError, match="NumPy's type 'U3', of which Backlit has none"):
        pytorch.read(archive(pickle.dumps(np.array(["abc"]), 2)), "x")


def test_elements_of_a_type_that_is_not_here_are_no_bytes():
    program = tensor_program(8, 0, (8,), (1,), b"UntypedStorage")
    program = program.replace(b"_v2", b"_v3").replace(b"}tR.", b"}ctorch\nfloat8_e4m3fn\ntR.")
    with pytest.raises(DataError, match=r"elements of 'torch.float8_e4m3fn', of which Backlit"):
        pytorch.read(archive(program, data__0=bytes(8)), "x")
    known = program.replace(b"float8_e4m3fn", b"uint16").replace(b"I8\ntI1\n", b"I4\ntI1\n")
    known = known.replace(b"(I8\nt(", b"(I4\nt(")
    assert pytorch.read(archive(known, data__0=bytes(8)), "x").dtype == np.uint16


def test_counters_and_the_arguments_of_a_run():
    arguments = argparse.Namespace(lr=0.1, sizes=[1, 2])
    for protocol in (2, 4):
        program = pickle.dumps([Counter("aab"), arguments], protocol)
        assert pytorch.read(archive(program), "x") == [Counter("aab"), arguments]
    arguments.me = arguments
    with pytest.raises(DataError, match="x holds a part that contains itself"):
        pytorch.read(archive(pickle.dumps(arguments, 2)), "x")


@pytest.mark.parametrize("cut", [100, 1000, 2500])
def test_a_cut_legacy_file_is_refused(cut):
    data = (FOLDER / "legacy.pt").read_bytes()
    with pytest.raises(DataError, match=r"x must|x does not"):
        pytorch.read(data[: min(cut, len(data) - 1)], "x")
