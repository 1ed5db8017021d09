"""Tests of the Tensor, its functions and their derivatives."""
