"""The table of everyday expressions is right about PyTorch."""

import pytest

from dialect.asking import wrong

pytestmark = pytest.mark.parity


def test_the_table_of_expressions_is_right_about_pytorch():
    found = wrong("torch")
    assert not found, "\n".join(found)
