"""What `pkgtool push` refuses on made trees, and what it says about it."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest

from pkgtool.errors import ExitCode
from pkgtool.oci.registry.repository import Registry
from pkgtool.oci.registry.settings import RegistrySettings
from pkgtool.values import Digest
from tests.support.command_line import CommandLine
from tests.support.registry.built_tree import fill
from tests.support.registry.images import AMD64, ARM64
from tests.support.registry.pushed import assert_published, tag_of
from tests.support.registry.server import serving
from tests.support.tree import TreeBuilder

PACKAGES = ("alpha", "beta", "gamma", "delta")
PLATFORMS = (AMD64, ARM64)


@pytest.mark.parametrize("change", ["modified", "new", "removed", "mode", "link"])
def test_a_dirty_tree_is_refused_before_anything_is_done(
    change: str, packages: TreeBuilder, pkgtool: CommandLine
) -> None:
    content = packages.root / "pkg/beta/content"
    if change == "modified":
        content.write_text("changed\n")
    elif change == "new":
        packages.write("pkg/beta/more", "new\n")
    elif change == "removed":
        content.unlink()
    elif change == "mode":
        content.chmod(0o755)
    else:
        content.unlink()
        content.symlink_to("Dockerfile")
    with serving() as state:
        refused = pkgtool("push", "--registry", state.address)
        assert refused.code == ExitCode.SOURCE
        assert "not committed" in refused.err
        assert "beta" in refused.err
        assert "alpha" not in refused.err
        assert "--allow-dirty" in refused.err
        assert not state.seen, "the registry was not asked"
        assert not pkgtool.store.exists(), "nothing was built"


def test_what_stands_on_something_dirty_is_dirty(tree: TreeBuilder, pkgtool: CommandLine) -> None:
    tree.package("bottom", "arches: [amd64]\n")
    tree.package(
        "top",
        "arches: [amd64]\ndepends:\n  packages: [bottom]\n",
        dockerfile="ARG BOTTOM_IMAGE\nFROM ${BOTTOM_IMAGE}\n",
    )
    tree.commit()
    tree.write("pkg/bottom/content", "changed\n")
    with serving() as state:
        refused = pkgtool("push", "--registry", state.address, "top")
        assert refused.code == ExitCode.SOURCE
        assert "top" in refused.err
        assert not state.seen


def test_extra_sources_and_ignored_files_reach_no_clean_tag(tree: TreeBuilder, pkgtool: CommandLine) -> None:
    """What LinuxKit's tool lets through: a changed folder of extra sources, and files that git ignores."""
    tree.package("extra", "arches: [amd64]\nextra-sources:\n  - ../../common:src\n")
    tree.write("common/file", "as committed\n")
    tree.write(".gitignore", "*.o\n")
    tree.commit()
    clean = tag_of(pkgtool, "extra")
    tree.write("pkg/extra/ignored.o", "not in git\n")
    assert tag_of(pkgtool, "extra") == clean, "what is ignored is no input, and reaches no context"
    tree.write("common/file", "tampered with\n")
    with serving() as state:
        refused = pkgtool("push", "--registry", state.address)
        assert refused.code == ExitCode.SOURCE
        assert "extra" in refused.err
        assert not state.seen


def test_a_dirty_tree_keeps_its_dirty_tag(packages: TreeBuilder, pkgtool: CommandLine) -> None:
    clean = tag_of(pkgtool, "beta")
    packages.write("pkg/beta/content", "changed\n")
    built = fill(pkgtool)
    with serving() as state:
        pkgtool("push", "--registry", state.address, "--allow-dirty").ok()
        tags = {tag for name, tag in state.tags if name == "linuxkit/beta"}
        assert clean not in tags
        assert all(re.match(r"[0-9a-f]{40}-dirty-[0-9a-f]+(-amd64|-arm64)?\Z", tag) for tag in tags), tags
        assert_published(state, pkgtool, built)


def test_a_directory_outside_git_is_not_published(tree: TreeBuilder, pkgtool: CommandLine) -> None:
    tree.package("loose", "arches: [amd64]\n")
    shutil.rmtree(tree.root / ".git")
    with serving() as state:
        for options in ((), ("--allow-dirty",)):
            refused = pkgtool("push", "--registry", state.address, *options)
            assert refused.code == ExitCode.SOURCE
            assert "git init" in refused.err
        assert not state.seen


def test_a_git_tag_publishes_no_release(packages: TreeBuilder, pkgtool: CommandLine) -> None:
    packages.git("tag", "v1.0")
    fill(pkgtool)
    with serving() as state:
        pkgtool("push", "--registry", state.address).ok()
        assert all(re.match(r"[0-9a-f]{40}", tag) for _, tag in state.tags)


def test_a_published_tag_is_immutable(packages: TreeBuilder, pkgtool: CommandLine, tmp_path: Path) -> None:
    """Other content is refused with both digests; --force does not help, --replace TAG does and says so."""
    built = fill(pkgtool)
    other = CommandLine(packages.root, tmp_path / "other-store")
    differing = fill(other, seed="not reproducible")
    with serving() as state:
        pkgtool("push", "--registry", state.address, "alpha").ok()
        before = dict(state.tags)
        tag = tag_of(pkgtool, "alpha")
        for options in ((), ("--platform", "linux/arm64"), ("--no-build",), ("--no-pull",)):
            state.forget()
            refused = other("push", "--registry", state.address, *options, "alpha")
            assert refused.code == ExitCode.REGISTRY
            platform = ARM64 if "linux/arm64" in options else AMD64
            assert f"published: {built['alpha'][platform].digest}" in refused.err
            assert f"ours:      {differing['alpha'][platform].digest}" in refused.err
            assert f"pkgtool push --replace {tag}" in refused.err
            assert state.received == 0, "nothing was sent"
        assert state.tags == before

        slip = other("push", "--registry", state.address, "--replace", tag[:-1], "alpha")
        assert slip.code == ExitCode.USAGE
        replaced = other("push", "--registry", state.address, "--replace", tag, "--json", "alpha").ok()
        assert [step["result"] for step in replaced.json["steps"]] == ["replaced"]
        for platform in PLATFORMS:
            old, new = built["alpha"][platform].digest, differing["alpha"][platform].digest
            assert f"{tag} {platform}: was {old}, is {new}" in replaced.err
        assert_published(state, other, {"alpha": differing["alpha"]})


@pytest.mark.engine
def test_force_builds_anew_and_does_not_move_a_tag(tree: TreeBuilder, pkgtool: CommandLine) -> None:
    tree.package("alpha", "arches: [amd64]\n")
    tree.commit()
    foreign = fill(pkgtool)["alpha"][AMD64]
    with serving() as state:
        pkgtool("push", "--registry", state.address).ok()
        before = dict(state.tags)
        refused = pkgtool("push", "--registry", state.address, "--force")
        assert refused.code == ExitCode.REGISTRY, refused.err
        assert "already published" in refused.err
        assert f"published: {foreign.digest}" in refused.err
        assert state.tags == before


def test_other_content_under_a_platforms_tag_alone_is_found(packages: TreeBuilder, pkgtool: CommandLine) -> None:
    """Somebody pushed `TAG-amd64` by hand: the index does not tell, the platform's tag does."""
    fill(pkgtool)
    with serving() as state, Registry(state.address, RegistrySettings(certificates=())) as registry:
        from tests.support.registry.images import put_image

        image = put_image(registry.repository("linuxkit/alpha"), AMD64, seed="by hand")
        content = state.manifests["linuxkit/alpha", str(image.digest)][1]
        registry.repository("linuxkit/alpha").put_manifest(
            content, image.media_type, tag=f"{tag_of(pkgtool, 'alpha')}-amd64"
        )
        refused = pkgtool("push", "--registry", state.address, "alpha")
        assert refused.code == ExitCode.REGISTRY
        assert str(image.digest) in refused.err


def test_no_build_refuses_what_is_not_built(packages: TreeBuilder, pkgtool: CommandLine) -> None:
    fill(pkgtool, packages=["alpha"])
    with serving() as state:
        refused = pkgtool("push", "--no-build", "--registry", state.address)
        assert refused.code == ExitCode.STORE
        assert "beta" in refused.err
        assert "alpha" not in refused.err.partition("hint")[0]
        assert not state.tags
        pkgtool("push", "--no-build", "--registry", state.address, "alpha").ok()
        assert state.tags


def test_no_build_takes_what_the_registry_has(packages: TreeBuilder, pkgtool: CommandLine, tmp_path: Path) -> None:
    """A machine with an empty store can publish what others have pushed already: there is nothing to do."""
    fill(pkgtool)
    with serving() as state:
        pkgtool("push", "--registry", state.address).ok()
        state.forget()
        empty = CommandLine(packages.root, tmp_path / "empty")
        done = empty("push", "--no-build", "--registry", state.address, "--json").ok()
        assert {step["result"] for step in done.json["steps"]} == {"unchanged"}
        assert state.received == 0


def test_without_a_registry_it_says_how_to_name_one(
    packages: TreeBuilder, pkgtool: CommandLine, impatient: None
) -> None:
    for command in ("push", "pull", "manifest"):
        refused = pkgtool(command)
        assert refused.code == ExitCode.USAGE
        assert "--registry" in refused.err
    packages.write("pkgtool.yml", "registry: localhost:1\n")
    packages.commit()
    fill(pkgtool)
    assert "localhost:1" in pkgtool("push").err


def test_the_plan_of_a_push_is_shown_and_not_done(packages: TreeBuilder, pkgtool: CommandLine) -> None:
    fill(pkgtool)
    with serving() as state:
        shown = pkgtool("push", "--dry-run", "--registry", state.address).ok().out
        assert all(f"push {name}" in shown for name in PACKAGES)
        steps = pkgtool("push", "--dry-run", "--json", "--registry", state.address).ok().json["steps"]
        pushes = [step for step in steps if step["kind"] == "push"]
        assert len(pushes) == len(PACKAGES)
        assert not state.seen


@pytest.mark.parametrize("status", [500, 503, 403, 401, 400])
def test_a_registry_that_does_not_answer_well_gets_nothing(
    status: int, packages: TreeBuilder, pkgtool: CommandLine, impatient: None
) -> None:
    fill(pkgtool)
    with serving() as state:

        def refuse(handler, method: str, path: str) -> bool:
            handler.body()
            handler.error(status, "DENIED")
            return True

        state.interfere = refuse
        refused = pkgtool("push", "--registry", state.address, "alpha")
        assert refused.code == ExitCode.REGISTRY
        assert "hint:" in refused.err or status == 400
        assert "Traceback" not in refused.err
        assert not state.tags


def test_the_error_is_in_the_document_too(packages: TreeBuilder, pkgtool: CommandLine, tmp_path: Path) -> None:
    fill(pkgtool)
    other = CommandLine(packages.root, tmp_path / "other")
    fill(other, seed="other")
    with serving() as state:
        pkgtool("push", "--registry", state.address, "alpha").ok()
        ended = other("push", "--registry", state.address, "--keep-going", "--json")
        assert ended.code == ExitCode.REGISTRY
        results = {step["package"]: step for step in json.loads(ended.out)["steps"]}
        assert results["alpha"]["result"] == "failed"
        assert "already published" in results["alpha"]["error"]
        assert {results[name]["result"] for name in PACKAGES[1:]} == {"pushed"}, "the others were pushed"
        assert all(Digest.parse(results[name]["index"]) for name in PACKAGES[1:])


def test_a_registry_that_is_down_is_said_once(packages: TreeBuilder, pkgtool: CommandLine, impatient: None) -> None:
    fill(pkgtool)
    done = pkgtool("push", "--registry", "127.0.0.1:1", "--progress", "quiet")
    assert done.code == ExitCode.REGISTRY
    assert done.err.count("error: 127.0.0.1:1 can't be reached: Connection refused") == 1
    assert "problems found" not in done.err
