"""A kernel's way from build to release, with a kernel in miniature that any engine makes in a second.

What is miniature is the kernel; the engine, the store, the registry, the keys and the signatures are real.
"""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from pkgtool.errors import ExitCode
from pkgtool.kernel.identity import read_certificate
from tests.support import recorded, sid_tools
from tests.support.command_line import CommandLine
from tests.support.kernel import KeyPair, miniature_kernel, modules, openssl_key_pair, write_archive
from tests.support.registry.registries import docker_registry
from tests.support.tree import TreeBuilder

pytestmark = [pytest.mark.engine]
RECIPE = """\
ARG KERNEL_BUILD_TOOL
FROM scratch
COPY image/ /
"""
SOURCE = b"the source"
OTHER_PLACE = "https://kernel.invalid/v5.x/"
SOURCE_URL = "https://kernel.invalid/linux-6.1.9.tar.xz"
SOURCE_SHA256 = hashlib.sha256(SOURCE).hexdigest()
CONFIGURATION = b'CONFIG_MODULE_SIG_HASH="sha256"\n'
SERIES = """\
series: "6.1"
version: 6.1.9
end-of-life: 2027-12-31
releases:
  6.1.9:
    url: {url}
    sha256: {sha256}
compiler: gcc-12
platforms: [linux/amd64]
configuration:
  plain: [base]
"""


@pytest.fixture(scope="module")
def pair(tmp_path_factory) -> KeyPair:
    return openssl_key_pair(tmp_path_factory.mktemp("key"), "modules")


@pytest.fixture
def host(tmp_path: Path) -> Iterator[str]:
    with docker_registry(tmp_path / "registry") as address:
        yield address


@pytest.fixture
def tree(tmp_path: Path, pair: KeyPair) -> TreeBuilder:
    builder = TreeBuilder(tmp_path / "tree").init()
    source = tmp_path / "mirror/linux-6.1.9.tar.xz"
    source.parent.mkdir()
    source.write_bytes(SOURCE)
    builder.write("kernel/series/6.1.yml", SERIES.format(url=SOURCE_URL, sha256=SOURCE_SHA256))
    builder.write("kernel/config/base.config", "CONFIG_MODULES=y\n")
    builder.write("kernel/config/signing-sha256.config", "CONFIG_MODULE_SIG=y\n")
    builder.write("kernel/build/Dockerfile", RECIPE)
    builder.write("kernel/certs/modules.pem", pair.certificate.read_bytes())
    image = builder.root / "kernel/build/image"
    image.mkdir()
    certificate = read_certificate(pair.certificate)
    miniature_kernel(image, certificate.der)
    write_archive(image / "kernel.tar", modules(20))
    (image / "kernel-config").write_bytes(CONFIGURATION)
    (image / "kernel-certificate.der").write_bytes(certificate.der)
    (image / "kernel-source-info").write_text(
        f"KERNEL_SOURCE={SOURCE_URL} sha256:{SOURCE_SHA256}\n"
        "KERNEL_VERSION=6.1.9\nKERNEL_RELEASE=6.1.9-linuxkit\n"
        f"KERNEL_PATCH_0001=a-fix.patch sha256:{'1' * 64}\n"
    )
    builder.package("kernel-build", "arches: [amd64]\n")
    builder.write(
        "pkgtool.yml",
        "org: acme\nplatforms: [linux/amd64]\nkernels: {certificate: kernel/certs/modules.pem}\n"
        f"mirrors: {{https://kernel.invalid/: {source.parent.as_uri()}/}}\n",
    )
    builder.commit()
    return builder


@pytest.fixture
def pkgtool(tree: TreeBuilder, tmp_path: Path) -> CommandLine:
    return CommandLine(tree.root, tmp_path / "store")


def digests(pkgtool: CommandLine) -> dict[str, str]:
    return {entry["reference"]: entry["digest"] for entry in pkgtool("store", "ls", "--json").ok().json}


def test_from_an_unsigned_kernel_to_a_signed_one_and_back(pkgtool, tree, pair, tmp_path):
    pkgtool("kernel", "build", "--unsigned", "6.1").ok()
    refused = pkgtool("kernel", "build", "6.1")
    assert "no key is named" in refused.err, "the certificate is there, the key is not"
    pkgtool("kernel", "sign", "6.1", "--key", str(pair.key)).ok()
    verified = pkgtool("kernel", "verify", "6.1", "--json").ok().json
    assert [(v["modules"], v["refused"], v["trusted"]) for v in verified] == [(20, [], ["modules"])]

    # A stranger has no key: the same tree, an unsigned rebuild and the published signatures give the same digest.
    pkgtool("kernel", "sign", "6.1", "--detach", str(tmp_path / "signatures.tar")).ok()
    stranger = CommandLine(tree.root, tmp_path / "another-store")
    stranger("kernel", "build", "--unsigned", "6.1").ok()
    stranger("kernel", "sign", "6.1", "--signatures", str(tmp_path / "signatures.tar")).ok()
    assert digests(stranger) == digests(pkgtool)


def test_signing_does_not_compile(pkgtool, pair):
    ended = pkgtool("kernel", "sign", "6.1", "--key", str(pair.key))
    assert "not built: kernel-6.1-unsigned linux/amd64" in ended.err
    assert "pkgtool kernel build --unsigned 6.1" in ended.err


def test_what_is_built_anew_is_compiled_anew(pkgtool, tree, pair):
    """A signed kernel alone would only be signed once more, and that says nothing about its bytes."""
    settings = tree.root / "pkgtool.yml"
    settings.write_text(settings.read_text().replace("kernels: {", f"kernels: {{key: {pair.key}, "))
    tree.commit()
    pkgtool("kernel", "build", "6.1").ok()
    built = "build kernel-6.1-unsigned linux/amd64: built"
    assert built not in pkgtool("kernel", "build", "6.1").ok().err
    assert built in pkgtool("kernel", "build", "--force", "6.1").ok().err
    again = pkgtool("reproduce", "kernel-6.1").ok()
    assert built in again.err
    assert re.search(r"^kernel-6\.1 .* same$", again.out, re.MULTILINE)


def test_a_package_that_fails_is_told_where_a_kernel_would_boot_with_it(pkgtool, tree, pair):
    for name in ("getty", "sshd", "vsudd", "vpnkit-forwarder"):
        tree.package(name, "arches: [amd64]\n")
    tree.write("pkg/sshd/Dockerfile", "FROM scratch\nCOPY what-is-not-there /\n")
    tree.commit()
    ended = pkgtool("kernel", "boot", "6.1", "--test", "--key", str(pair.key))
    assert "sshd linux/amd64 could not be built" in ended.err
    assert "what-is-not-there" in ended.err


def test_a_missing_source_is_named_the_rest_is_built_and_a_directory_brings_it(
    pkgtool, tree, pair, tmp_path, monkeypatch
):
    source = b"another source"
    text = SERIES.format(url=f"{OTHER_PLACE}linux-5.4.1.tar.xz", sha256=hashlib.sha256(source).hexdigest())
    tree.write("kernel/series/5.4.yml", text.replace("6.1.9", "5.4.1").replace("6.1", "5.4"))
    tree.commit()
    everything = ("kernel", "build", "--keep-going", "--key", str(pair.key))

    def built() -> list[str]:
        return sorted(re.findall(r"acme/kernel:([0-9.]+)-[0-9a-f]{40}$", "\n".join(digests(pkgtool)), re.MULTILINE))

    ended = pkgtool(*everything)
    assert ended.code == ExitCode.INPUT
    assert "an input of kernel-5.4-unsigned is missing: linux-5.4.1.tar.xz" in ended.err
    assert f"PKGTOOL_MIRRORS={OTHER_PLACE}=file:///DIRECTORY/" in ended.err
    assert built() == ["6.1.9"]

    directory = tmp_path / "sources"
    directory.mkdir()
    monkeypatch.setenv("PKGTOOL_MIRRORS", f"{OTHER_PLACE}={directory.as_uri()}/")
    (directory / "linux-5.4.1.tar.xz").write_bytes(source + b"!")
    ended = pkgtool(*everything)
    assert ended.code == ExitCode.INPUT
    assert "wrong bytes" in ended.err
    (directory / "linux-5.4.1.tar.xz").write_bytes(source)
    # The recipe here has one kernel to give, which is another release; only its source is in question.
    assert "linux-5.4.1.tar.xz" not in pkgtool(*everything).err


POLICY = """\
signers:
  release: {key: release.pub}
images:
  - match: ["*"]
    signatures: {by: [release]}
    attestations:
      - {type: slsaprovenance1, by: [release], clean: true, dependencies: verified}
      - {type: spdxjson, by: [release]}
"""


def test_a_kernel_goes_the_way_of_any_package(pkgtool, tree, pair, host, tmp_path, monkeypatch):
    monkeypatch.setenv("PKGTOOL_KEY_PASSWORD", "x")
    pkgtool("key", "generate", str(tmp_path / "release")).ok()
    release = ("--key", str(tmp_path / "release.key"))
    tree.write("release.pub", (tmp_path / "release.pub").read_bytes())
    tree.write("policy.yml", POLICY)
    settings = (tree.root / "pkgtool.yml").read_text()
    tree.write("pkgtool.yml", f"{settings}registry: {host}\ninsecure-registries: [{host}]\n")
    tree.commit()
    kernels = ("kernel-6.1", "kernel-6.1-unsigned", "kernel-build")
    pkgtool("kernel", "build", "6.1", "--key", str(pair.key)).ok()
    pkgtool("push", "--no-build", "--sign", *release, *kernels).ok()

    accepted = pkgtool("verify", *kernels, "--json").ok().json
    assert accepted["accepted"]
    assert len(accepted["decisions"]) == len(kernels)

    reference = pkgtool("show-tag", "kernel-6.1").ok().out.strip()
    key = [sid_tools.program("cosign"), "verify", "--key", str(tmp_path / "release.pub"), "--insecure-ignore-tlog"]
    subprocess.run([*key, f"{host}/{reference}"], check=True, capture_output=True)

    (linux,) = (
        package for package in pkgtool("sbom", "kernel-6.1").ok().json["packages"] if package["name"] == "linux"
    )
    assert linux["versionInfo"] == "6.1.9"
    assert {"algorithm": "SHA256", "checksumValue": SOURCE_SHA256} in linux["checksums"]
    assert "a-fix.patch" in json.dumps(linux)
    assert hashlib.sha256(CONFIGURATION).hexdigest() in json.dumps(linux)

    provenance = json.dumps(pkgtool("provenance", "kernel-6.1-unsigned").ok().json)
    assert SOURCE_URL in provenance
    assert SOURCE_SHA256 in provenance
    for name in kernels:
        (shown,) = pkgtool("show-tag", "--json", name).ok().json
        said = pkgtool("provenance", name).ok().json
        assert recorded.missing(shown["record"], said) == [], name
    signed = json.dumps(pkgtool("provenance", "kernel-6.1").ok().json)
    assert pkgtool("show-tag", "kernel-6.1-unsigned").ok().out.strip() in signed

    # All kernels are in one repository: a release's name stands where the hash was. Then it is promoted.
    file = tmp_path / "v1.json"
    pkgtool("release", "v1", "--file", str(file), *kernels).ok()
    with docker_registry(tmp_path / "another-registry") as customer:
        pkgtool("promote", "--release", str(file), host, customer).ok()
        for tag in ("6.1.9-v1", "6.1.9-v1-unsigned"):
            here, there = (
                subprocess.run(
                    [sid_tools.program("crane"), "digest", "--insecure", f"{registry}/acme/kernel:{tag}"],
                    check=True, capture_output=True, text=True,
                ).stdout
                for registry in (host, customer)
            )  # fmt: skip
            assert here == there
        moved = [*key, f"{customer}/acme/kernel:6.1.9-v1"]
        subprocess.run(moved, check=True, capture_output=True)


def test_kernels_are_released_from_a_git_tag_as_from_its_checkout(pkgtool, tree, pair, host, tmp_path):
    kernels = ("kernel-6.1", "kernel-6.1-unsigned", "kernel-build")
    pkgtool("kernel", "build", "6.1", "--key", str(pair.key)).ok()
    pkgtool("push", "--no-build", "--registry", host, *kernels).ok()
    here, there = tmp_path / "here.json", tmp_path / "there.json"
    pkgtool("release", "v1", "--registry", host, "--file", str(here), *kernels).ok()
    tree.git("tag", "v1")

    # Everything that a kernel is made from is another one now, or gone.
    tree.write("kernel/config/base.config", "CONFIG_MODULES=y\nCONFIG_PRINTK=y\n")
    tree.write("kernel/certs/modules.pem", openssl_key_pair(tmp_path, "later").certificate.read_bytes())
    (tree.root / "kernel/series/6.1.yml").unlink()
    tree.commit()
    assert "there is no series '6.1'" in pkgtool("release", "v1", "--registry", host, "kernel-6.1").err

    again = pkgtool("release", "v1", "--registry", host, "--git-tag", "v1", "--file", str(there), *kernels)
    assert again.ok()
    first, second = json.loads(here.read_bytes()), json.loads(there.read_bytes())
    assert second["git"].pop("tag") == "v1"
    assert first == second
    assert {package["name"] for package in first["packages"]} == set(kernels)


def test_a_certificate_that_is_not_in_the_kernel_is_noticed(tree, pkgtool, tmp_path):
    other = openssl_key_pair(tmp_path, "other")
    ended = pkgtool("kernel", "build", "6.1", "--certificate", str(other.certificate), "--key", str(other.key))
    assert ended.code != 0
    assert "this kernel does not trust the certificate 'other', but 'modules'" in ended.err
