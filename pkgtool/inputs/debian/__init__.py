"""Debian packages: closures solved by apt itself from the signed archive, pinned per .deb."""
