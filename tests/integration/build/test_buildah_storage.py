"""What buildah's storage holds while others build in it, and afterwards."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pkgtool.cancel import Cancellation
from pkgtool.engines import buildah
from pkgtool.engines.buildah import BuildahEngine
from pkgtool.errors import BuildError
from pkgtool.oci import locks
from pkgtool.oci.store import Store
from tests.support.engine_builds import build, request

pytestmark = [pytest.mark.engine]
DOCKERFILE = "FROM scratch\nCOPY content /content\n"


def images(engine: BuildahEngine) -> list[str]:
    return engine._buildah(["images", "--format", "{{.Name}}:{{.Tag}}"]).text.split()


def test_a_result_stays_while_another_build_may_refer_to_its_layer(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    with store.in_use():
        engine = buildah.connect(store)
        assert engine
        another = locks.hold_shared(store.engine_directory("buildah") / "building")
        build(engine, request(tmp_path, DOCKERFILE), tmp_path)
        assert len(images(engine)) == 1, "removed beside a build, it could take a layer away from that one"
        os.close(another)
        build(engine, request(tmp_path, DOCKERFILE + "LABEL other=1\n"), tmp_path)
        assert images(engine) == [], "whoever ends last removes them all"
        engine.close()


def test_a_failed_build_leaves_nothing(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    with store.in_use():
        engine = buildah.connect(store)
        assert engine
        with pytest.raises(BuildError):
            engine.build(
                request(tmp_path, "FROM scratch\nCOPY nothing /\n"),
                tmp_path / "image.tar",
                log=lambda _: None,
                cancel=Cancellation(),
            )
        assert images(engine) == []
        engine.close()
