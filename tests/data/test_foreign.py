"""What other libraries have, as it is: data sets, tables, pictures and arrays."""

import numpy as np
import pyarrow
import pytest
from PIL import Image

import backlit
from backlit.data import ArrayDataset, DataLoader, TensorDataset, collate, default_convert
from backlit.errors import ArgumentError

ROWS = {"x": [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]], "y": [0, 1, 0], "name": ["a", "b", "c"]}


class HuggingFaces:
    """As a Dataset of `datasets`: rows are dicts, many at once; `batch` means something else."""

    def __len__(self):
        return 3

    def __getitem__(self, index):
        return {name: values[index] for name, values in ROWS.items()}

    def __getitems__(self, indices):
        return [self[i] for i in indices]

    def batch(self, batch_size):
        raise AssertionError


class PyTorchs:
    """As PyTorch's IterableDataset, which inherits a __getitem__, and may have a length."""

    class IterableDataset:
        def __getitem__(self, index):
            raise NotImplementedError

        def __len__(self):
            return 3

        def __iter__(self):
            return iter([1.0, 2.0, 3.0])


def real(name):
    return pytest.importorskip(name, reason=f"{name} is not installed: not tried with it")


def check_rows(dataset):
    first, second = DataLoader(dataset, batch_size=2)
    assert np.array_equal(np.transpose([t.numpy() for t in first["x"]]), ROWS["x"][:2])
    assert first["y"].tolist() == [0, 1]
    assert first["name"] == ["a", "b"]
    assert second["name"] == ["c"]
    shuffled = DataLoader(dataset, batch_size=3, shuffle=True, seed=1)
    assert sorted(next(iter(shuffled))["name"]) == ["a", "b", "c"]


def test_a_data_set_whose_rows_are_dicts():
    check_rows(HuggingFaces())


def test_data_sets_of_hugging_face():
    library = real("datasets")
    dataset = library.Dataset.from_dict(ROWS)
    check_rows(dataset)
    numbers = next(iter(DataLoader(dataset.with_format("numpy"), batch_size=3)))
    assert np.array_equal(numbers["x"].numpy(), ROWS["x"])
    stream = DataLoader(dataset.to_iterable_dataset(), batch_size=2)
    assert [batch["name"] for batch in stream] == [["a", "b"], ["c"]]


def test_a_stream_is_known_by_its_class():
    batches = [batch.tolist() for batch in DataLoader(PyTorchs.IterableDataset(), batch_size=2)]
    assert batches == [[1.0, 2.0], [3.0]]


def test_pictures_are_arrays():
    pixels = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
    picture = Image.fromarray(pixels)
    assert np.array_equal(backlit.tensor(picture).numpy(), pixels)
    x, y = collate([(picture, 0), (picture, 1)])
    assert (x.shape, x.dtype, y.tolist()) == ((2, 2, 4, 3), backlit.uint8, [0, 1])
    assert default_convert((picture, "name"))[1] == "name"


def test_arrays_of_arrow_are_arrays():
    data = TensorDataset(pyarrow.array([1.0, 2.0]), pyarrow.chunked_array([[1], [2]]))
    assert data[1][0].item() == 2.0
    assert data[1][1].item() == 2
    assert len(ArrayDataset(np.arange(3.0), backlit.tensor([1, 2, 3]))) == 3


@pytest.mark.parametrize("name", ["pandas", "polars"])
def test_numbers_of_tables_are_arrays(name):
    library = real(name)
    frame = library.DataFrame({"a": [1.0, 2.0], "b": [3.0, 4.0]})
    x, y = TensorDataset(frame, frame["b"]).tensors
    assert x.tolist() == [[1.0, 3.0], [2.0, 4.0]]
    assert y.tolist() == [3.0, 4.0]
    with pytest.raises(ArgumentError, match="a DataFrame has columns and no examples by number"):
        DataLoader(frame)


def test_a_table_is_no_data_set():
    message = r"a Table has columns and no examples by number; make a data.Table of it, and a data"
    with pytest.raises(ArgumentError, match=message):
        DataLoader(pyarrow.table({"a": [1, 2]}))
