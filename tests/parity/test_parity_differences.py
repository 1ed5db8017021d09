"""What the guide's page for users of NumPy and PyTorch says of the three, asked of the three."""

import numpy as np
import pytest
import torch

import backlit

pytestmark = pytest.mark.parity


def test_types_of_data_and_of_mixtures():
    floats, integers = [1.0, 2.0], [1, 2]
    single = np.ones(2, np.float32)
    rows = {
        "floats": (np.array(floats), torch.tensor(floats), backlit.tensor(floats)),
        "integers": (np.array(integers), torch.tensor(integers), backlit.tensor(integers)),
        "number": (single + 1.5, torch.ones(2) + 1.5, backlit.ones(2) + 1.5),
        "wide": (
            single + np.ones(2),
            torch.ones(2) + torch.ones(2, dtype=torch.float64),
            backlit.ones(2) + backlit.ones(2, dtype="float64"),
        ),
        "mixed": (
            single + np.array(integers),
            torch.ones(2) + torch.tensor(integers),
            backlit.ones(2) + backlit.tensor(integers),
        ),
        "quotient": (
            np.array(integers) / np.array(integers),
            torch.tensor(integers) / torch.tensor(integers),
            backlit.tensor(integers) / backlit.tensor(integers),
        ),
    }
    found = {name: [str(x.dtype).removeprefix("torch.") for x in row] for name, row in rows.items()}
    assert found == {
        "floats": ["float64", "float32", "float32"],
        "integers": ["int64", "int64", "int64"],
        "number": ["float32", "float32", "float32"],
        "wide": ["float64", "float64", "float64"],
        "mixed": ["float64", "float32", "float32"],
        "quotient": ["float64", "float32", "float32"],
    }


@pytest.mark.parametrize(
    ("name", "theirs", "ours", "point", "expected"),
    [
        ("maximum", lambda x: torch.maximum(x[0], x[1]), lambda x: backlit.maximum(x[0], x[1]),
         [3.0, 3.0], ([0.5, 0.5], [0.5, 0.5])),
        ("max along an axis", lambda x: x.max(dim=0).values, lambda x: x.max(axis=0),
         [3.0, 3.0, 1.0], ([1.0, 0.0, 0.0], [0.5, 0.5, 0.0])),
        ("relu", torch.relu, backlit.functional.relu, [0.0], ([0.0], [0.0])),
        ("norm", torch.linalg.vector_norm, backlit.vector_norm,
         [0.0, 0.0], ([0.0, 0.0], [0.0, 0.0])),
    ],
)  # fmt: skip
def test_gradients_at_ties_and_kinks(name, theirs, ours, point, expected):
    t = torch.tensor(point, requires_grad=True)
    theirs(t).sum().backward()
    b = backlit.tensor(point, requires_grad=True)
    ours(b).sum().backward()
    assert (t.grad.tolist(), b.grad.tolist()) == expected


def test_dlpack_goes_both_ways():
    t = backlit.asarray(np.arange(3.0))
    assert torch.from_dlpack(t).tolist() == [0.0, 1.0, 2.0]
    assert backlit.from_dlpack(torch.arange(3.0)).tolist() == [0.0, 1.0, 2.0]
