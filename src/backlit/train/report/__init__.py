"""The report of a training run: one page that opens offline, written by a callback."""

from .callback import Report

__all__ = ["Report"]
