"""Definitions, plan, apply: what statform does with the state that the package `state` keeps."""

__version__ = "0.1.0"
