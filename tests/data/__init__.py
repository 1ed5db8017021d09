"""Tests of data sets and loaders."""
