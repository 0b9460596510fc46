"""Proof by booting: an initramfs made from root file systems, QEMU around it, and what the console must say."""
