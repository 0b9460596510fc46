"""The time that an image bears: it stands in its SBOMs."""

from __future__ import annotations

from pathlib import Path

import pytest

from pkgtool.actions.attestations import created
from pkgtool.errors import StoreError
from pkgtool.oci.documents import CONFIG, Manifest, encode
from pkgtool.oci.store import Store
from pkgtool.values import Digest


def image(store: Store, config: dict[str, object]) -> Digest:
    manifest = Manifest(store.layout.write(encode(config), CONFIG), ())
    return store.layout.write(manifest.encode(), manifest.media_type).digest


@pytest.mark.parametrize(
    ("config", "seconds"),
    [({"created": "1970-01-01T00:01:00Z"}, 60), ({"created": None}, 0), ({}, 0)],
    ids=["a time", "null", "none, as OCI allows"],
)
def test_an_image_need_not_bear_a_time(config: dict[str, object], seconds: int, tmp_path: Path) -> None:
    store = Store(tmp_path)
    with store.in_use():
        assert created(store, image(store, config)) == seconds


@pytest.mark.parametrize("moment", ["yesterday", 12, "", []])
def test_what_is_no_time_is_said_to_be_none(moment: object, tmp_path: Path) -> None:
    store = Store(tmp_path)
    with store.in_use(), pytest.raises(StoreError, match="bears a time that is none"):
        created(store, image(store, {"created": moment}))
