"""The local store: an OCI image layout that other tools read, and beside it what only pkgtool needs.

    oci-layout, index.json, blobs/sha256/HEX     the OCI image layout (image-spec, image-layout.md)
    pkgtool/memo/HH/KEY.json                     fingerprint and platform → manifest: makes a no-op need no engine
    pkgtool/inputs/sha256/HEX                    inputs by their hash
    pkgtool/inputs/partial/HEX                   unfinished downloads of inputs, gone on with by the next run
    pkgtool/statements/HH/HEX/…                  statements about the manifest with that digest
    pkgtool/logs/…                               whole logs of build steps
    pkgtool/timings.json                         how long each package took, for the order of the next build
    pkgtool/engines/NAME/…                       an engine's own storage
    pkgtool/locks/NAME                           flock(2) files
    pkgtool/tmp/…                                one directory per process, held by a lock

Rules. A blob or input is written to `tmp`, synced, renamed: its name is its hash, so whoever renames last
renames the same bytes. index.json and timings.json change only under their lock, by rename. A memo is written
after all the blobs it names. Whoever adds or uses content holds the store's lock shared; the collector holds
it exclusively, so nothing that is being used disappears. A reader needs no lock.
"""

from pkgtool.oci.store.layout import Layout
from pkgtool.oci.store.memo import Memo, MemoRecord, memo_key
from pkgtool.oci.store.store import Store

__all__ = ["Layout", "Memo", "MemoRecord", "Store", "memo_key"]
