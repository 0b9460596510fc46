"""Build, sign and publish a tree of container packages and Linux kernels."""

__version__ = "0.1.0"
