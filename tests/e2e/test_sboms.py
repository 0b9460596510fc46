"""The SBOMs of the tree's own packages: the formats' validators accept them, and running images say the same."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

from tests.e2e.conftest import Built
from tests.support.sbom_validators import cyclonedx_problems, spdx_problems

PACKAGES = ("getty", "sshd", "vsudd")
QUERY = ("dpkg-query", "-W", "-f", "${binary:Package} ${Version} ${Architecture} ${db:Status-Status}\n")


def sbom(built: Built, package: str, form: str = "spdx") -> dict[str, Any]:
    built.image(package)
    command = ("sbom", "--format", form, "--platform", "linux/amd64", package)
    found: dict[str, Any] = built.pkgtool.run(*command).ok().json
    return found


def purls(document: dict[str, Any], kind: str) -> list[str]:
    """All of one kind, in the order of the document: what is listed twice is here twice."""
    references = [ref["referenceLocator"] for each in document["packages"] for ref in each.get("externalRefs", [])]
    return [locator for locator in references if locator.startswith(f"pkg:{kind}/")]


@pytest.mark.parametrize("package", PACKAGES)
def test_the_official_validators_accept_both_formats(built: Built, package: str) -> None:
    assert spdx_problems(sbom(built, package)) == []
    assert cyclonedx_problems(sbom(built, package, "cyclonedx")) is None


@pytest.mark.parametrize("package", ["getty", "sshd"])
def test_the_packages_are_those_that_the_running_image_names(
    built: Built, rootfs: Callable[..., Path], package: str
) -> None:
    asked = subprocess.run(["chroot", rootfs(package), *QUERY], check=True, capture_output=True, text=True).stdout
    running = []
    for line in asked.splitlines():
        name, version, arch, state = line.split()
        assert state == "installed"
        running.append((name.partition(":")[0], version, arch))
    listed = []
    for each in purls(sbom(built, package), "deb/debian"):
        name, _, rest = unquote(each).removeprefix("pkg:deb/debian/").partition("@")
        version, _, arch = rest.partition("?arch=")
        listed.append((name, version, arch))
    # Sources whose code was compiled into a package (Built-Using) are listed as well, and are not installed.
    assert sorted(each for each in listed if each[2] != "source") == sorted(running)
    assert len(running) > 50


def test_a_go_program_in_an_image_from_scratch_is_listed_with_its_modules(
    built: Built, rootfs: Callable[..., Path]
) -> None:
    said = subprocess.run(
        ["go", "version", "-m", rootfs("vsudd") / "vsudd"], check=True, capture_output=True, text=True
    ).stdout
    fields = [line.strip().split("\t") for line in said.splitlines()[1:]]
    modules = {f"pkg:golang/{each[1]}@{each[2]}" for each in fields if each[0] in ("dep", "mod")}
    go = f"pkg:golang/stdlib@{said.split()[1].removeprefix('go')}"
    assert set(purls(sbom(built, "vsudd"), "golang")) == {each.replace("+", "%2B") for each in modules} | {go}


def test_both_formats_and_every_call_say_the_same(built: Built) -> None:
    first, second = sbom(built, "sshd"), sbom(built, "sshd")
    assert json.dumps(first) == json.dumps(second)
    other = sbom(built, "sshd", "cyclonedx")
    assert {each["purl"] for each in other["components"]} == set(purls(first, "deb/debian"))
