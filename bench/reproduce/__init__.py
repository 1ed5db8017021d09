"""Whole trainings on real data, of Backlit and of PyTorch by one recipe, as one table."""
