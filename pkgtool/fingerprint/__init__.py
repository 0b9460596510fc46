"""What determines a package, as one record; its digest; the tag that follows from it; and the difference of two."""

from pkgtool.fingerprint.compute import Facts, Fingerprint, Fingerprints, TagOverrides, compute
from pkgtool.fingerprint.record import FORMAT, encode

__all__ = ["FORMAT", "Facts", "Fingerprint", "Fingerprints", "TagOverrides", "compute", "encode"]
