"""The table of everyday expressions is right about PyTorch."""

import pytest
import torch

from dialect import differing
from dialect.asking import wrong

pytestmark = pytest.mark.parity


def test_the_table_of_expressions_is_right_about_pytorch():
    found = wrong("torch")
    assert not found, "\n".join(found)


def test_the_table_of_differences_is_right_about_pytorch():
    default = torch.get_default_dtype()
    try:
        found = differing.wrong("torch", "theirs")
    finally:
        torch.set_default_dtype(default)
    unstable = ("torch.sort", "torch.topk")
    assert [row for row in found if not row.startswith(unstable)] == []
