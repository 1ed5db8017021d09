"""Modules: layers with state, containers and losses."""

from .module import Module, Parameter

__all__ = ["Module", "Parameter"]
