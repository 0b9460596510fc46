"""Canonical images: what any engine gives, made into the one image that the fingerprint names.

The layers of parent packages stay as they are. Everything above them becomes one layer: the difference between
the parent's file system and the finished one, entries sorted by path, times set to SOURCE_DATE_EPOCH, owners
numeric. How the engine expressed that difference (its own layers, opaque directories, touched files, mount
stubs) leaves no trace. The configuration is written anew from what the Dockerfile decided.

These rules are image format 2 (`pkgtool.fingerprint.compute.IMAGE_FORMAT`): they change only with that number.
"""
