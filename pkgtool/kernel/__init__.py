"""Kernels: series as data, configuration, module signatures made outside the build, and proof by booting."""
