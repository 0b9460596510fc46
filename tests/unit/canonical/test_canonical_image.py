"""One image, whatever engine made it: how layers were cut, ordered, timed and stubbed leaves no trace."""

from __future__ import annotations

import hashlib
import random
import tarfile
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pkgtool.oci.canonical.contents import file_system
from pkgtool.oci.canonical.image import layers_of
from pkgtool.oci.store import Store
from tests.support.products import EPOCH, Factory, File, directory, hardlink, symlink

ETC = directory("etc")
HELLO = File("etc/hello", b"hello\n")
TOOL = File("usr/bin/tool", b"#!/bin/sh\n", mode=0o755)
BASE = (ETC, HELLO, directory("usr"), directory("usr/bin"), TOOL)


def test_order_times_and_owners_names_do_not_matter(made: Factory) -> None:
    expected = made.image(BASE)
    shuffled = list(BASE)
    random.Random(1).shuffle(shuffled)
    late = [File(f.path, f.content, f.mode, kind=f.kind, time=time.time() + 0.25, owner="me") for f in shuffled]
    assert made.image(late) == expected


def test_how_it_is_cut_into_layers_does_not_matter(made: Factory) -> None:
    expected = made.image(BASE)
    assert made.image(*[[file] for file in BASE]) == expected
    detour = [File("etc/hello", b"first"), File("tmp/junk", b"x" * 10000), *BASE[2:]]
    gone = [HELLO, File("tmp/.wh.junk"), File(".wh.tmp")]
    assert made.image([ETC, *detour], gone) == expected


def test_what_was_touched_but_not_changed_drops_out(made: Factory) -> None:
    parent = made.image(BASE)
    below = made.layer(parent)
    touched = File("etc/hello", HELLO.content, time=time.time())
    child = made.image([touched, File("new", b"new")], parent=parent, parents=[below])
    assert [member.name for member in made.members(child)] == ["new"]
    assert child == made.image([File("new", b"new")], parent=parent, parents=[below])


def test_a_parents_layers_stay_byte_for_byte(made: Factory) -> None:
    parent = made.image(BASE)
    child = made.image([File("new", b"new")], parent=parent, parents=[made.layer(parent)])
    own, above = layers_of(made.store.layout, parent.manifest), layers_of(made.store.layout, child.manifest)
    assert above[: len(own)] == own
    assert made.config(child)["config"]["Labels"]["org.opencontainers.image.base.digest"] == str(parent.manifest.digest)


def test_a_child_that_changes_nothing_has_no_layer_of_its_own(made: Factory) -> None:
    parent = made.image(BASE)
    child = made.image([HELLO], parent=parent, parents=[made.layer(parent)])
    assert layers_of(made.store.layout, child.manifest) == layers_of(made.store.layout, parent.manifest)


def test_removals_are_whiteouts_and_opaque_directories_leave_no_trace(made: Factory) -> None:
    parent = made.image([*BASE, directory("srv"), File("srv/a"), File("srv/b", b"b")])
    below = made.layer(parent)
    explicit = made.image([File("srv/.wh.a", mode=0)], parent=parent, parents=[below])
    opaque = made.image(
        [directory("srv"), File("srv/.wh..wh..opq"), File("srv/b", b"b")], parent=parent, parents=[below]
    )
    assert opaque == explicit
    assert [(m.name, m.mode, m.size) for m in made.members(explicit)] == [("srv/.wh.a", 0, 0)]


def test_entries_are_sorted_timed_and_numeric(made: Factory) -> None:
    image = made.image([*reversed(BASE), File("ä", uid=7, gid=8, owner="me"), symlink("z", "etc/hello")])
    members = made.members(image)
    names = [member.name for member in members]
    assert names == sorted(names, key=str.encode)
    assert {member.mtime for member in members} == {EPOCH}
    assert {(member.uname, member.gname) for member in members} == {("", "")}
    assert next(m for m in members if m.name == "ä").uid == 7


def test_hard_links_point_at_the_first_path(made: Factory) -> None:
    image = made.image([File("b", b"same"), hardlink("a", "b"), hardlink("c", "b")])
    assert [(m.name, m.type, m.linkname) for m in made.members(image)] == [
        ("a", tarfile.REGTYPE, ""),
        ("b", tarfile.LNKTYPE, "a"),
        ("c", tarfile.LNKTYPE, "a"),
    ]


def test_capabilities_stay_and_what_the_host_attached_does_not(made: Factory) -> None:
    wanted = made.image([File("ping", b"x", xattrs={"security.capability": "\1\0\0\2"})])
    labelled = {"security.capability": "\1\0\0\2", "security.selinux": "u", "user.overlay.origin": "y"}
    assert made.image([File("ping", b"x", xattrs=labelled)]) == wanted
    [member] = made.members(wanted)
    assert list(member.pax_headers) == ["SCHILY.xattr.security.capability"]


def test_mount_points_of_run_steps_are_the_same_for_all_engines(made: Factory) -> None:
    buildkit = [*BASE, directory("proc"), directory("sys"), directory("dev")]
    stubs = [File(f"etc/{name}", mode=0o755) for name in ("hosts", "hostname", "resolv.conf")]
    buildah = [*BASE, directory("run"), *stubs, directory("tmp"), directory("tmp/inputs")]
    assert made.image(buildkit, mounts=("tmp/inputs",)) == made.image(buildah, mounts=("tmp/inputs",))


def test_the_configuration_says_nothing_of_its_maker(made: Factory) -> None:
    docker = {"Cmd": ["/x"], "Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"], "Image": "i"}
    buildah = {"Cmd": ["/x"], "Labels": {"io.buildah.version": "1.28.2"}, "Hostname": "h", "WorkingDir": "/"}
    image = made.image(BASE, config=docker)
    assert made.image(BASE, config=buildah) == image
    document = made.config(image)
    assert document["created"] == "2023-11-14T22:13:20Z"
    assert set(document) == {"created", "architecture", "os", "config", "rootfs", "history"}


def test_names_that_are_not_text_survive(made: Factory) -> None:
    image = made.image([File("caf\udce9", b"x"), File("x" * 300, b"y")])
    assert [member.name for member in made.members(image)] == ["caf\udce9", "x" * 300]


_NAMES = st.sampled_from(["a", "b", "c", "d"])
_PATHS = st.lists(_NAMES, min_size=1, max_size=3).map("/".join)
_TREES = st.dictionaries(_PATHS, st.one_of(st.none(), st.binary(max_size=8)), max_size=8)
"""Paths to contents; None is a directory."""


def _possible(tree: dict[str, bytes | None]) -> dict[str, bytes | None]:
    """The tree without what lies below a file."""
    files = {path for path, content in tree.items() if content is not None}
    return {p: c for p, c in tree.items() if not any(p.startswith(f"{file}/") for file in files)}


def _files(tree: dict[str, bytes | None]) -> list[File]:
    return [directory(path) if content is None else File(path, content) for path, content in tree.items()]


@settings(max_examples=25)
@given(before=_TREES, after=_TREES)
def test_whatever_is_between_two_trees_the_layer_says_it(
    before: dict[str, bytes | None], after: dict[str, bytes | None], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """The layer above a parent gives what the engine finished with, whichever way the engine said it."""
    place = tmp_path_factory.mktemp("trees")
    made = Factory(Store(place / "store"), place / "products")
    before, after = _possible(before), _possible(after)
    parent = made.image(_files(before))
    wiped = [File(".wh..wh..opq"), *_files(after)]
    child = made.image(wiped, parent=parent, parents=[made.layer(parent)])
    layout = made.store.layout
    alone = file_system(layout, layers_of(layout, made.image(_files(after)).manifest))
    found = file_system(layout, layers_of(layout, child.manifest))
    assert found == alone


def test_the_diff_id_is_that_of_the_unpacked_layer(made: Factory) -> None:
    image = made.image([File("large", random.Random(5).randbytes(3_000_000))])
    [layer] = layers_of(made.store.layout, image.manifest)
    assert layer.diff_id.hex == hashlib.sha256(made.layer(image)).hexdigest()


def test_the_compressed_layer_is_never_dated(made: Factory, tmp_path: Path) -> None:
    image = made.image(BASE)
    blob = made.store.layout.manifest(image.manifest).layers[0]
    header = made.store.layout.blob_path(blob.digest).read_bytes()[:10]
    assert header == b"\x1f\x8b\x08\0\0\0\0\0\x04\xff"
