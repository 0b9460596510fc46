"""Finding and pinning the next release."""

from __future__ import annotations

import json

import pytest

from pkgtool.errors import InputError, KernelError
from pkgtool.kernel.bump import next_version, upstream_version, with_release
from pkgtool.kernel.series import DebianSource, Release, read, read_all
from pkgtool.source.trees import WorkingTree
from pkgtool.values import Digest
from tests.support.kernel import ROOT

SERIES = read_all(WorkingTree(ROOT), ("4.9", "6.1"))


def listing(*versions: str) -> str:
    return json.dumps({"releases": [{"version": version} for version in versions]})


def test_kernel_org_s_list():
    assert next_version(listing("6.12.3", "6.1.200", "6.1.199"), SERIES["6.1"]) == "6.1.200"
    assert next_version(listing("6.1.192"), SERIES["6.1"]) == ""
    with pytest.raises(KernelError, match=r"no release of 4\.9 any more \(end of life 2023-01-07\)"):
        next_version(listing("6.1.200", "4.90.1"), SERIES["4.9"])
    with pytest.raises(InputError, match="something else"):
        next_version("<html>", SERIES["6.1"])


@pytest.mark.parametrize(
    ("debian", "upstream"), [("6.1.192-2", "6.1.192"), ("2:6.1.5-1~bpo12+1", "6.1.5"), ("6.1", "6.1")]
)
def test_debian_s_versions(debian, upstream):
    assert upstream_version(debian) == upstream


@pytest.mark.parametrize("version", ["6.1.200", "6.1.192"])
def test_a_release_is_pinned_and_the_rest_stays(tmp_path, version):
    file = ROOT / "kernel/series/6.1.yml"
    release = Release(
        version,
        url=f"http://deb.debian.org/debian/x_{version}.deb",
        sha256=Digest("sha256", "0" * 64),
        mirrors=(f"https://snapshot.example/x_{version}.deb",),
        debian=DebianSource("bookworm-security", "linux-source-6.1", f"{version}-9"),
        patches=("x86-plt32-relocations.patch",),
    )
    text = with_release(file.read_text(), release)
    (tmp_path / "kernel").mkdir()
    for name in ("config", "patches"):
        (tmp_path / "kernel" / name).symlink_to(ROOT / "kernel" / name)
    (tmp_path / "kernel/series").mkdir()
    (tmp_path / "kernel/series/6.1.yml").write_text(text)
    series, problems = read(WorkingTree(tmp_path), "6.1")
    assert problems == []
    assert series.release() == release
    assert set(series.releases) == {version, "6.1.192"}
    assert text.splitlines()[0] == file.read_text().splitlines()[0]
    assert with_release(text, release) == text
