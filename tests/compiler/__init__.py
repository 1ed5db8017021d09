"""Tests of capture and native code."""
