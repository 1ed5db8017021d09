"""PyTorch's everyday expressions, by what they are in NumPy's words."""

from dialect.asking import wrong


def test_expressions_mean_here_what_they_mean_in_pytorch():
    found = wrong("backlit.torch")
    assert not found, "\n".join(found)
