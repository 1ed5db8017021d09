"""Tests of the Trainer and its files."""
