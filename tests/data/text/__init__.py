"""Tests of text: files, tokens, tags, batches."""
