"""What is found in an image's files."""

import hashlib
import io
import tarfile
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pkgtool.errors import InputError, StoreError
from pkgtool.sbom import debian, go, kernel
from pkgtool.sbom.deb_file import read_deb
from pkgtool.sbom.files import ImageFile, visible_files
from pkgtool.sbom.inventory import take_inventory
from pkgtool.sbom.known import KnownPackage
from pkgtool.sbom.model import Inventory, Kind
from pkgtool.values import Digest
from tests.support.registry.images import AMD64

MANIFEST = Digest.of(b"manifest")

STATUS = """\
Package: libc6
Status: install ok installed
Architecture: amd64
Source: glibc
Version: 2.41-12
Maintainer: GNU Libc Maintainers <debian-glibc@lists.debian.org>
Depends: libgcc-s1

Package: libgcc-s1
Status: install ok installed
Architecture: amd64
Source: gcc-14 (14.2.0-19)
Version: 14.2.0-19
Depends: gcc-14-base (= 14.2.0-19), libc6 (>= 2.35)
Description: GCC support library
 Shared version of the support library.
 .
 Used by programs.

Package: mawk
Status: install ok installed
Architecture: amd64
Version: 1.3.4.20250131-1
Provides: awk
Pre-Depends: libc6 (>= 2.38)

Package: base-files
Status: install ok installed
Architecture: amd64
Version: 13.8+deb13u1
Depends: gawk | awk

Package: removed
Status: deinstall ok config-files
Architecture: amd64
Version: 1

Package: half
Status: install ok half-configured
Version: 1

Package: crane
Status: install ok installed
Architecture: amd64
Source: go-containerregistry
Version: 1:0.20.3~ds1-1
Built-Using: golang-1.24 (= 1.24.4-1), docker-cli (= 26.1.5~ds1-2)
"""


def files(content: Mapping[str, bytes], mode: int = 0o755) -> list[ImageFile]:
    def opener(data: bytes) -> Callable[[], io.BytesIO]:
        return lambda: io.BytesIO(data)

    return [ImageFile(path, mode, len(data), opener(data)) for path, data in content.items()]


def inventory(content: Mapping[str, bytes], **options) -> Inventory:
    return take_inventory(files(content), platform=AMD64, manifest=MANIFEST, **options)


def names(found: Inventory, kind: Kind) -> list[str]:
    return [f"{each.name} {each.version}" for each in found.components if each.kind is kind]


# -- dpkg -----------------------------------------------------------------------------------------------


def test_dpkgs_record() -> None:
    found = inventory({debian.STATUS: STATUS.encode()})
    assert names(found, Kind.DEBIAN) == [
        "base-files 13.8+deb13u1",
        "crane 1:0.20.3~ds1-1",
        "libc6 2.41-12",
        "libgcc-s1 14.2.0-19",
        "mawk 1.3.4.20250131-1",
    ]
    assert names(found, Kind.DEBIAN_SOURCE) == ["docker-cli 26.1.5~ds1-2", "golang-1.24 1.24.4-1"]
    by_name = {each.name: each for each in found.components}
    assert by_name["libc6"].source == "glibc 2.41-12"
    assert by_name["crane"].purl == "pkg:deb/debian/crane@1:0.20.3~ds1-1?arch=amd64"
    assert by_name["base-files"].purl == "pkg:deb/debian/base-files@13.8%2Bdeb13u1?arch=amd64"
    assert by_name["base-files"].depends == (by_name["mawk"].purl,)
    assert by_name["libgcc-s1"].depends == (by_name["libc6"].purl,)
    assert by_name["crane"].generated_from == (by_name["docker-cli"].purl, by_name["golang-1.24"].purl)


def test_one_file_a_package() -> None:
    record = "Package: base-files\nVersion: 13\nArchitecture: amd64\n"
    found = inventory(
        {"var/lib/dpkg/status.d/base": record.encode(), "var/lib/dpkg/status.d/base.md5sums": b"Package: no\n"}
    )
    assert names(found, Kind.DEBIAN) == ["base-files 13"]


@given(st.text())
def test_any_text_is_a_record_of_something_or_nothing(text: str) -> None:
    debian.components(debian.parse_record(text))


# -- packages that no record names ----------------------------------------------------------------------

SSHD, LIBC, COPYRIGHT = b"\x7fELF sshd", b"\x7fELF libc", b"the same everywhere"


def md5(content: bytes) -> str:
    return hashlib.md5(content).hexdigest()


def known_packages() -> list[KnownPackage]:
    def package(name: str, files: Mapping[str, bytes]) -> KnownPackage:
        paragraph = {"Package": name, "Version": "1", "Architecture": "amd64"}
        sums = {path: md5(content) for path, content in files.items()}
        return KnownPackage(debian.from_paragraph(paragraph), sums, "ab" * 32, f"http://deb.debian.org/{name}.deb")

    return [
        package("openssh-server", {"usr/sbin/sshd": SSHD, "usr/share/doc/copyright": COPYRIGHT, "etc/empty": b""}),
        package("libc6", {"lib/x86_64-linux-gnu/libc.so.6": LIBC, "usr/share/doc/libc/copyright": COPYRIGHT}),
        package("unused", {"usr/bin/unused": b"unused", "usr/share/doc/unused/copyright": COPYRIGHT}),
    ]


def test_packages_are_known_by_their_files_in_an_image_without_a_record() -> None:
    found = inventory(
        {
            "usr/sbin/sshd": SSHD,
            "usr/lib/x86_64-linux-gnu/libc.so.6": LIBC,
            "some/copyright": COPYRIGHT,
            "etc/empty": b"",
            "usr/bin/unused": b"another program of that name",
        },
        known=known_packages(),
    )
    assert names(found, Kind.DEBIAN) == ["libc6 1", "openssh-server 1"]
    (libc, sshd) = found.components
    assert (sshd.locations, libc.locations) == (("usr/sbin/sshd",), ("usr/lib/x86_64-linux-gnu/libc.so.6",))
    assert sshd.hashes == {"sha256": "ab" * 32}
    assert sshd.download == "http://deb.debian.org/openssh-server.deb"


def test_a_copy_in_another_place_still_counts_if_only_one_package_has_it() -> None:
    found = inventory({"init/sshd": SSHD}, known=known_packages())
    assert names(found, Kind.DEBIAN) == ["openssh-server 1"]


def test_what_the_lock_knows_is_added_to_what_the_record_says() -> None:
    record = "Package: libc6\nVersion: 1\nArchitecture: amd64\nStatus: install ok installed\n"
    found = inventory({debian.STATUS: record.encode()}, known=known_packages())
    (libc,) = found.components
    assert libc.hashes == {"sha256": "ab" * 32}
    assert libc.locations == ()


def foreign(name: str, files: Mapping[str, bytes], version: str = "1", arch: str = "arm64") -> KnownPackage:
    paragraph = {"Package": name, "Version": version, "Architecture": arch}
    return KnownPackage(debian.from_paragraph(paragraph), {path: md5(content) for path, content in files.items()})


def test_the_record_is_not_contradicted_by_files_that_other_versions_share() -> None:
    record = "Package: libc6\nVersion: 1\nArchitecture: amd64\nStatus: install ok installed\n"
    others = [foreign("libc6", {"usr/share/doc/libc/copyright": COPYRIGHT}, version="0")]
    files = {debian.STATUS: record.encode(), "usr/share/doc/libc/copyright": COPYRIGHT}
    found = inventory(files, known=[*known_packages(), *others])
    assert names(found, Kind.DEBIAN) == ["libc6 1"]


def test_of_one_package_for_two_architectures_the_one_is_found_that_more_files_speak_for() -> None:
    other = foreign("libc6", {"usr/lib/aarch64/libc.so.6": b"\x7fELF arm", "usr/share/doc/libc/copyright": COPYRIGHT})
    files = {"usr/lib/x86_64-linux-gnu/libc.so.6": LIBC, "usr/share/doc/libc/copyright": COPYRIGHT}
    for known in ([*known_packages(), other], [other, *known_packages()]):
        (libc,) = inventory(files, known=known).components
        assert libc.purl == "pkg:deb/debian/libc6@1?arch=amd64"


# -- Go -------------------------------------------------------------------------------------------------

MODULES = (
    "path\tgithub.com/moby/vpnkit/go/cmd/vpnkit-forwarder\n"
    "mod\tgithub.com/moby/vpnkit\tv0.6.0\th1:abc=\n"
    "dep\tgithub.com/Sirupsen/logrus\tv1.9.3\th1:def=\n"
    "dep\tgolang.org/x/old\tv0.1.0\n"
    "=>\tgolang.org/x/sys\tv0.33.0\th1:ghi=\n"
    "build\t-buildmode=exe\n"
    "build\tvcs.revision=0123abc\n"
)


def varint(number: int) -> bytes:
    out = bytearray()
    while number >= 0x80:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def go_program(modules: str = MODULES, padding: int = 4096, version: str = "go1.24.4") -> bytes:
    framed = b"a" * 16 + modules.encode() + b"b" * 16 if modules else b""
    header = b"\xff Go buildinf:" + bytes([8, 2]) + bytes(16)
    strings = varint(len(version)) + version.encode() + varint(len(framed)) + framed
    return b"\x7fELF".ljust(padding, b"\0") + header + strings + b"\0" * 100


def test_the_modules_of_a_go_program() -> None:
    found = inventory({"usr/bin/vpnkit-forwarder": go_program()})
    assert names(found, Kind.GO_MODULE) == [
        "github.com/moby/vpnkit v0.6.0",
        "github.com/Sirupsen/logrus v1.9.3",
        "golang.org/x/sys v0.33.0",
        "stdlib 1.24.4",
    ]
    main = found.components[0]
    assert main.generated_from == tuple(each.purl for each in found.components[1:])
    assert found.components[1].purl == "pkg:golang/github.com/sirupsen/logrus@v1.9.3"
    assert found.components[2].properties == {"go.sum": "h1:ghi="}


def test_a_program_without_a_module_version_has_its_commit() -> None:
    found = inventory({"a": go_program(MODULES.replace("v0.6.0", "(devel)"))})
    assert found.components[0].version == "0123abc"


def test_a_module_in_two_programs_is_one_component_with_two_places() -> None:
    found = inventory({"usr/bin/a": go_program(), "usr/bin/b": go_program()})
    assert {each.locations for each in found.components} == {("usr/bin/a", "usr/bin/b")}


def test_only_executables_are_looked_into() -> None:
    assert not take_inventory(files({"a": go_program()}, 0o644), platform=AMD64, manifest=MANIFEST).components


@pytest.mark.parametrize("padding", [16, 64, (1 << 20) - 16, (1 << 20) - 32, 1 << 20, (1 << 20) + 16, 3 << 20])
def test_the_header_is_found_wherever_it_lies(padding: int) -> None:
    info = go.read_build_info(io.BytesIO(go_program(padding=padding)))
    assert info is not None
    assert len(info.modules) == 2


def test_a_program_that_only_looks_for_the_header_is_not_taken_for_one() -> None:
    magic = b"\xff Go buildinf:"
    program = b"\x7fELF".ljust(40, b"\0") + magic + b"\0" * 8 + magic
    assert go.read_build_info(io.BytesIO(program)) is None
    assert go.read_build_info(io.BytesIO(program.ljust(164, b"\0") + go_program()[4:])) is not None


@given(st.binary(max_size=200), st.integers(0, 3))
def test_damaged_build_information_never_ends_in_a_traceback(noise: bytes, cut: int) -> None:
    program = go_program(padding=16)
    go.read_build_info(io.BytesIO(program[: len(program) // (cut + 1)]))
    go.read_build_info(io.BytesIO(program[:48] + noise))


# -- kernels and firmware -------------------------------------------------------------------------------


def test_a_kernel_and_its_firmware() -> None:
    digest = "35017bb40b604e0b577fc2b87e727632b46608a2ba3a4f5858b9177f58f376b3"
    info = (
        f"KERNEL_SOURCE=https://cdn.kernel.org/linux-4.4.302.tar.xz sha256:{digest}\n"
        "KERNEL_VERSION=4.4.302\nKERNEL_RELEASE=4.4.302-linuxkit\n"
    )
    found = inventory(
        {"kernel-source-info": info.encode(), "kernel-config": b"CONFIG_A=y\n", "lib/firmware/tigon/tg3.bin": b"fw"},
        labels={"org.example.kernel.patches": "abc", "other": "x"},
    )
    firmware, linux = sorted(found.components, key=lambda each: each.kind)
    assert (linux.name, linux.version, linux.hashes) == ("linux", "4.4.302", {"sha256": digest})
    assert linux.download == "https://cdn.kernel.org/linux-4.4.302.tar.xz"
    assert linux.properties["kernel.config.sha256"] == hashlib.sha256(b"CONFIG_A=y\n").hexdigest()
    assert linux.properties["org.example.kernel.patches"] == "abc"
    assert firmware.name == "tigon/tg3.bin"


def test_debians_firmware_packages_account_for_the_files() -> None:
    record = "Package: firmware-misc\nVersion: 1\nArchitecture: all\nStatus: install ok installed\n"
    found = inventory({debian.STATUS: record.encode(), "usr/lib/firmware/x.bin": b"x"})
    assert [each.kind for each in found.components] == [Kind.DEBIAN]


def test_a_kernel_without_a_version_is_none() -> None:
    assert kernel.kernel("KERNEL_SOURCE=x\n", "", {}) is None


# -- layers ---------------------------------------------------------------------------------------------


def tar(*entries: str | tuple[str, bytes]) -> Callable[[], io.BytesIO]:
    """A layer; names that end in a slash are directories."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for entry in entries:
            name, content = (entry, b"") if isinstance(entry, str) else entry
            member = tarfile.TarInfo(name.rstrip("/"))
            member.type = tarfile.DIRTYPE if name.endswith("/") else tarfile.REGTYPE
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return lambda: io.BytesIO(buffer.getvalue())


def seen(*layers: Callable[[], io.BytesIO]) -> dict[str, bytes]:
    return {file.path: file.open().read() for file in visible_files(layers)}


def test_upper_layers_hide_lower_ones() -> None:
    below = tar(("./a", b"old"), "d/", ("d/x", b"x"), ("d/y", b"y"), ("e/z", b"z"), ("f", b"file"), ("g/h", b"h"))
    above = tar(
        ("a", b"new"), ("d/.wh.x", b""), ("e/.wh..wh..opq", b""), ("e/new", b"n"), "f/", ("f/in", b"i"), ("g", b"g")
    )
    assert seen(below, above) == {"a": b"new", "d/y": b"y", "e/new": b"n", "f/in": b"i", "g": b"g"}


def test_a_whiteout_hides_a_whole_directory_and_not_its_own_layer() -> None:
    assert seen(tar(("d/x", b"1")), tar((".wh.d", b""), ("d/y", b"2"))) == {"d/y": b"2"}
    assert seen(tar(("x", b"1")), tar((".wh..wh..opq", b""), ("y", b"2"))) == {"y": b"2"}
    assert seen(tar(("dd", b"1")), tar((".wh.d", b""))) == {"dd": b"1"}


def test_a_damaged_layer_is_an_error() -> None:
    whole = tar((debian.STATUS, b"x" * 5000))().getvalue()
    for cut in (100, 700, 2000):
        damaged = visible_files([lambda cut=cut: io.BytesIO(whole[:cut])])
        with pytest.raises(StoreError, match="can't be read"):
            take_inventory(damaged, platform=AMD64, manifest=MANIFEST)


# -- .deb files -----------------------------------------------------------------------------------------


def deb(compression: str) -> bytes:
    control = io.BytesIO()
    with tarfile.open(fileobj=control, mode=f"w:{compression}") as archive:
        for name, content in (
            ("./control", b"Package: x\nVersion: 1\nArchitecture: all\n"),
            ("./md5sums", f"{md5(b'x')}  usr/bin/x\n".encode()),
        ):
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    out = b"!<arch>\n"
    for name, content in (("debian-binary", b"2.0"), (f"control.tar.{compression}", control.getvalue())):
        out += f"{name:<16}{0:<12}{0:<6}{0:<6}{100644:<8}{len(content):<10}`\n".encode() + content
        out += b"\n" * (len(content) % 2)
    return out


@pytest.mark.parametrize("compression", ["xz", "gz"])
def test_a_deb_says_what_it_holds(tmp_path: Path, compression: str) -> None:
    (tmp_path / "x.deb").write_bytes(deb(compression))
    known = read_deb(tmp_path / "x.deb", sha256="00", url="u")
    assert (known.package.name, known.package.arch) == ("x", "all")
    assert known.files == {"usr/bin/x": md5(b"x")}


@pytest.mark.parametrize(
    "content",
    [b"", b"!<arch>\n", b"no archive at all", deb("xz")[:100], deb("gz")[:200]],
    ids=["nothing", "empty", "text", "cut xz", "cut gz"],
)
def test_what_is_no_deb_is_an_error(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.deb").write_bytes(content)
    with pytest.raises(InputError, match="not a Debian package"):
        read_deb(tmp_path / "x.deb")
