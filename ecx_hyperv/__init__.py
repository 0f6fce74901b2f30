"""Keeps Hyper-V virtual machines alive for EXPRESSCLUSTER X."""

__version__ = "0.2.0"
