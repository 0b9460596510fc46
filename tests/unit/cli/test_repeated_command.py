"""The command that a failed step prints builds under the same tag, with the same builders."""

from __future__ import annotations

import shlex
from dataclasses import replace
from pathlib import Path

import pytest

from pkgtool.cli import build
from pkgtool.cli.options import make_parser
from pkgtool.cli.run_options import run_options
from pkgtool.fingerprint import TagOverrides
from pkgtool.workflows.options import RunOptions
from tests.support.tree import TreeBuilder

GIVEN = [
    "--registry localhost:5000/team --no-pull --registry-optional",
    "--builder linux/arm64,linux/riscv64=tcp://10.0.0.7:1234?ca=certs/ca.pem&cert=c&key=k&jobs=4 --builder local",
    "--builder kube-pod://deployment/buildkitd?namespace=build --builder 'unix:///run/with space/b.sock'",
    "--cache-from cache/one --cache-from cache/two --cache-to cache/one",
    "--tag 'v1-{{.Hash}}' --hash abc --force-dirty --build-yml other.yml",
    "--nonetwork --build-arg 'WORDS=more than one' --build-arg EMPTY=",
    "--network --org ours --engine buildah",
]


def options_of(line: str) -> RunOptions:
    return run_options(make_parser("build", build).parse_intermixed_args(shlex.split(line)))


@pytest.mark.parametrize("given", GIVEN)
def test_what_was_asked_for_is_repeated(tree: TreeBuilder, tmp_path: Path, given: str) -> None:
    options = options_of(f"-C {tree.root} --store {tmp_path} {given}")
    again = options.command("build", tree.root, asked=True)
    assert again.startswith("pkgtool build ")
    assert options_of(again.removeprefix("pkgtool build ")) == options


def test_a_hash_is_of_the_packages_that_were_asked_for_alone(tree: TreeBuilder) -> None:
    options = options_of(f"-C {tree.root} --hash abc --force-dirty --tag 'v1-{{{{.Hash}}}}'")
    again = options_of(options.command("build", tree.root, asked=False).removeprefix("pkgtool build "))
    assert again == replace(options, tag=TagOverrides())


@pytest.mark.parametrize("path", ["pkg", "."])
def test_a_hash_path_is_found_from_anywhere(tree: TreeBuilder, path: str) -> None:
    tree.write("pkg/one/build.yml", "image: one\n")
    options = options_of(f"-C {tree.root / 'pkg'} --hash-path {tree.root / path}")
    assert options.tag.hash_path is not None
    again = options.command("build", tree.root, asked=True)
    assert options_of(again.removeprefix("pkgtool build ")) == options
