"""Transparency logs (Rekor, versions 1 and 2) and timestamp authorities (RFC 3161): writing to them, and checking."""
