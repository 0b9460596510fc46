"""A series as packages of the tree, which go through the same graph, store, engines and memo as all others.

A kernel is two packages. `kernel-6.1-unsigned` is built from exactly what determines it: the recipe, the fragments and
patches of this series and variant, the pinned source, the certificate. So another series' files never move its tag, and
`why` names the fragment, the argument or the source that did. `kernel-6.1` is made from it by signing its modules.
"""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass

from pkgtool.kernel.identity import Certificate
from pkgtool.kernel.series import DIRECTORY, Release, Series
from pkgtool.model import (
    DEFAULT_SOURCE_DATE_EPOCH,
    BuildArg,
    ContextPath,
    Dependency,
    FileInput,
    GitInput,
    Inputs,
    Package,
    Role,
    Seal,
)
from pkgtool.source.trees import SourceTree

IMAGE = "kernel"
PLAIN, DEBUG = "plain", "debug"
UNSIGNED = "-unsigned"
_TAG_MARKS = {PLAIN: "", DEBUG: "-dbg"}
_GIT_NAME = "linux"
_NAME = re.compile(
    r"kernel-(?P<series>\d+\.\d+)(?P<patch>\.\d+)?(?:-(?P<variant>(?!unsigned\Z)[a-z][a-z0-9]*))?(?:-unsigned)?\Z"
)


@dataclass(frozen=True, slots=True)
class KernelName:
    """Which kernel a package's name means; an empty `version` is the series' own choice."""

    series: str
    version: str = ""
    variant: str = PLAIN

    @classmethod
    def parse(cls, name: str) -> KernelName | None:
        """`kernel-6.1`, `kernel-4.9.31-debug`, `kernel-6.1-small-unsigned`; None for a name that is of no kernel."""
        found = _NAME.match(name)
        if found is None:
            return None
        version = f"{found['series']}{found['patch']}" if found["patch"] else ""
        return cls(found["series"], version, found["variant"] or PLAIN)

    def __str__(self) -> str:
        return f"kernel-{self.version or self.series}" + (f"-{self.variant}" if self.variant != PLAIN else "")


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a tree decides for all its kernels: where they are published, whom they trust, their dates.

    `secure_boot` is the sha256 of the certificate that firmware trusts, or empty. `outside_settings` and
    `outside_args` are those of `Package`.
    """

    org: str
    certificate: Certificate
    source_url: str = ""
    source_date_epoch: int = DEFAULT_SOURCE_DATE_EPOCH
    secure_boot: str = ""
    outside_settings: tuple[tuple[str, str], ...] = ()
    outside_args: tuple[BuildArg, ...] = ()


def kernel_packages(
    tree: SourceTree, series: Series, name: KernelName, surroundings: Surroundings
) -> tuple[Package, Package]:
    """The unsigned kernel `ORG/kernel:VERSION-HASH-unsigned` and the signed one, `ORG/kernel:VERSION-HASH`.

    The tag of a debug kernel begins with `VERSION-dbg`. Raises `KernelError` for a release that is not pinned or a
    variant that the series does not have.
    """
    release = series.release(name.version)
    tag = f"{release.version}{_TAG_MARKS.get(name.variant, f'-{name.variant}')}-{{{{.Hash}}}}"
    build_file = f"{DIRECTORY}/series/{series.name}.yml"
    unsigned = Package(
        name=f"{name}{UNSIGNED}",
        image=IMAGE,
        org=surroundings.org,
        path=f"{DIRECTORY}/build",
        tag_template=f"{tag}{UNSIGNED}",
        platforms=series.platforms,
        context=_context(tree, series, release, name.variant),
        source_url=surroundings.source_url,
        source_date_epoch=surroundings.source_date_epoch,
        build_args=_arguments(series, release, name.variant, surroundings.certificate),
        outside_args=surroundings.outside_args,
        outside_settings=surroundings.outside_settings,
        dependencies=(Dependency(series.tool, Role.TOOL),),
        inputs=_inputs(release),
        build_file=build_file,
        usual_objects=series.objects.get(name.variant, 0),
    )
    certificate = surroundings.certificate
    settings = {"certificate": certificate.fingerprint, "module-hash": series.module_hash}
    if surroundings.secure_boot:
        settings["secure-boot"] = surroundings.secure_boot
    signed = Package(
        name=str(name),
        image=IMAGE,
        org=surroundings.org,
        path=unsigned.path,
        tag_template=tag,
        platforms=series.platforms,
        context=(),
        source_url=surroundings.source_url,
        source_date_epoch=surroundings.source_date_epoch,
        outside_settings=(*surroundings.outside_settings, *settings.items()),
        dependencies=(Dependency(unsigned.name, Role.PACKAGE),),
        build_file=build_file,
        seal=Seal(unsigned.name, certificate.der, series.module_hash, surroundings.secure_boot),
    )
    return unsigned, signed


def _context(tree: SourceTree, series: Series, release: Release, variant: str) -> tuple[ContextPath, ...]:
    """The recipe at the top, config/ and patches/ beside it; patches numbered in the order they are applied."""
    paths = [ContextPath(f"{DIRECTORY}/build", "")]
    arches = sorted({platform.arch for platform in series.platforms})
    for name in series.fragments(variant):
        files = (f"{name}.config", *(f"{name}.{arch}.config" for arch in arches))
        existing = (file for file in files if tree.is_file(f"{DIRECTORY}/config/{file}"))
        paths += [ContextPath(f"{DIRECTORY}/config/{file}", f"config/{file}") for file in existing]
    paths += [
        ContextPath(f"{DIRECTORY}/patches/{patch}", f"patches/{number:04}-{patch}")
        for number, patch in enumerate(release.patches, 1)
    ]
    return tuple(paths)


def _arguments(series: Series, release: Release, variant: str, certificate: Certificate) -> tuple[BuildArg, ...]:
    source = f"files/{release.file_name}" if release.url else f"git/{_GIT_NAME}"
    origin = f"{release.url} {release.sha256}" if release.url else f"{release.git} {release.commit}"
    return (
        BuildArg("KERNEL_VERSION", release.version),
        BuildArg("KERNEL_SOURCE", source),
        BuildArg("KERNEL_SOURCE_INFO", origin),
        BuildArg("KERNEL_FRAGMENTS", " ".join(series.fragments(variant))),
        BuildArg("KERNEL_COMPILER", series.compiler),
        BuildArg("KERNEL_DEBUG", "1" if variant == DEBUG else ""),
        BuildArg("KERNEL_CERTIFICATE", base64.b64encode(certificate.der).decode()),
    )


def _inputs(release: Release) -> Inputs:
    if release.git:
        return Inputs(git=(GitInput(_GIT_NAME, release.git, release.commit),), pinned=True)
    digest = release.sha256.hex if release.sha256 else ""
    return Inputs(files=(FileInput(release.file_name, release.url, release.mirrors, digest),), pinned=True)
