"""A digest is a function of the tag: nothing of the machine, the directory, the time or the person gets in."""

from __future__ import annotations

import os
import shutil
import tarfile
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.integration.images.conftest import with_busybox
from tests.support.command_line import CommandLine
from tests.support.store_images import StoredImage, stored
from tests.support.tree import TreeBuilder

pytestmark = [pytest.mark.engine, pytest.mark.slow, pytest.mark.xdist_group("same-bytes")]

STEPS = (
    "COPY . /srv",
    "RUN umask; mkdir -p /made/by; echo step > /made/by/step; ls -la /srv > /dev/null; touch /made/now",
    "RUN sort /srv/letters > /made/sorted; date > /dev/null; env | grep -c . > /dev/null",
    'RUN echo "$SOURCE_DATE_EPOCH" > /made/time; printenv TZ LANG LC_ALL > /made/locale || true',
)


@dataclass
class Tree:
    """A committed tree and what its package gave."""

    tree: TreeBuilder
    image: StoredImage


def plant(tree: TreeBuilder) -> None:
    with_busybox(tree, "thing", *STEPS, build_yml="org: team\narches: [amd64]\n", letters="ß\na\nB\nZ\n", kept="x\n")
    tree.write("pkg/thing/tool.sh", "#!/bin/sh\n", executable=True)
    tree.write(".gitignore", "*.o\nsecret\n")


def built(tree: TreeBuilder, place: Path, env: dict[str, str] | None = None, **options: int) -> StoredImage:
    """The image of the tree's package, made in a store of its own."""
    pkgtool = CommandLine(tree.root, place)
    pkgtool.run("build", "--engine", "buildah", env=env, **options).ok()
    image = stored(place, f"{pkgtool('show-tag', 'thing').ok().out.strip()}-amd64")
    shutil.rmtree(place / "pkgtool")
    return image


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Tree:
    place = tmp_path_factory.mktemp("first")
    with pytest.MonkeyPatch.context() as environment:
        for name, value in _IDENTITY.items():
            environment.setenv(name, value)
        tree = TreeBuilder(place / "tree").init("--initial-branch=main")
        plant(tree)
        tree.commit()
        return Tree(tree, built(tree, place / "store"))


_IDENTITY = {
    "GIT_AUTHOR_NAME": "Somebody",
    "GIT_AUTHOR_EMAIL": "somebody@example.com",
    "GIT_COMMITTER_NAME": "Somebody",
    "GIT_COMMITTER_EMAIL": "somebody@example.com",
}


@pytest.fixture
def clone(first: Tree, tmp_path: Path) -> TreeBuilder:
    """The same commit in another directory."""
    place = tmp_path / "a place with blanks and ä"
    first.tree.git("clone", "--quiet", str(first.tree.root), str(place))
    return TreeBuilder(place)


def test_files_that_git_does_not_know_never_reach_an_image(first: Tree, clone: TreeBuilder, tmp_path: Path) -> None:
    for ignored in ("pkg/thing/main.o", "pkg/thing/secret", "pkg/thing/deep/er.o"):
        clone.write(ignored, "must not be seen")
    for untracked in ("pkg/other-file", "README", "pkg/not-a-package/file"):
        clone.write(untracked, "must not be seen")
    image = built(clone, tmp_path / "store")
    assert image.reference == first.image.reference
    assert image.digest == first.image.digest
    assert not {name for name in image.names() if name.endswith((".o", "secret", "other-file"))}
    assert "srv/tool.sh" in image.names()


def test_an_untracked_file_of_the_package_itself_is_another_tag(first: Tree, clone: TreeBuilder) -> None:
    """So the clean tag never stands for it, and nothing with a dirty tag is ever published."""
    clone.write("pkg/thing/planted", "not committed")
    pkgtool = CommandLine(clone.root, clone.root / "store")
    assert "-dirty-" in pkgtool("show-tag", "thing").ok().out
    ended = pkgtool("push", "--registry", "127.0.0.1:1", "thing")
    assert ended.code == 4
    assert "not committed, so not to be published: thing" in ended.err
    assert "file planted: added" in pkgtool("why", "thing").out


def test_times_and_modes_of_files_on_disk_do_not_count(first: Tree, clone: TreeBuilder, tmp_path: Path) -> None:
    for path in clone.root.rglob("*"):
        if ".git" not in path.parts and not path.is_symlink():
            os.utime(path, (time.time() + 10_000, 1_000_000_000))
            path.chmod(0o700 if path.is_dir() or os.access(path, os.X_OK) else 0o600)
    (clone.root / "pkg/thing/tool.sh").chmod(0o755)
    assert built(clone, tmp_path / "store").digest == first.image.digest


def test_the_persons_environment_does_not_count(first: Tree, clone: TreeBuilder, tmp_path: Path) -> None:
    environment = {
        "TZ": "Pacific/Kiritimati",
        "LC_ALL": "C",
        "LANG": "de_DE.UTF-8",
        "LANGUAGE": "de",
        "USER": "somebody",
        "HOSTNAME": "elsewhere",
        "SOURCE_DATE_EPOCH": "1",
        "TMPDIR": str(tmp_path),
    }
    assert built(clone, tmp_path / "store", environment, umask=0o077).digest == first.image.digest


def test_two_commits_with_one_tree_are_one_digest(first: Tree, clone: TreeBuilder, tmp_path: Path) -> None:
    clone.git("checkout", "--quiet", "--orphan", "other-branch")
    clone.git("config", "user.name", "Someone Else")
    clone.git("config", "user.email", "else@example.com")
    clone.git("commit", "--quiet", "--date=2001-01-01T00:00:00Z", "-m", "another history, the same files")
    clone.git("tag", "v9")
    assert clone.tree_id() == first.tree.tree_id()
    assert clone.git("rev-parse", "HEAD") != first.tree.git("rev-parse", "HEAD")
    image = built(clone, tmp_path / "store", umask=0o027)
    assert (image.reference, image.digest) == (first.image.reference, first.image.digest)


def test_the_time_in_an_image_is_the_packages_own(first: Tree) -> None:
    assert first.image.config["created"] == "2020-01-01T00:00:00Z"
    with tarfile.open(first.image.layers[-1]) as layer:
        seen = layer.extractfile("made/time")
        assert seen is not None
        assert seen.read() == b"1577836800\n", "SOURCE_DATE_EPOCH reaches every step, declared or not"
        assert {member.mtime for member in layer} == {1577836800}
    assert "org.opencontainers.image.revision" not in first.image.labels
    assert first.image.labels["org.opencontainers.image.version"] in first.image.reference
