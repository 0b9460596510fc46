"""A series as a package of the tree: what the kernel recipe gets as context, inputs and arguments.

Kernels go through the same graph, store, engines and memo as packages. The package holds exactly what determines the
kernel: the recipe, the fragments and patches of this series and variant, the pinned source, the certificate. So
another series' files never move its tag, and `why` names the fragment, the argument or the source that did.
"""

from __future__ import annotations

import base64

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
)
from pkgtool.source.trees import SourceTree

PLAIN = "plain"
_SUFFIXES = {PLAIN: "", "debug": "-dbg"}
_GIT_NAME = "linux"
TOOL_ARGUMENT = "KERNEL_BUILD_TOOL"


def kernel_package(
    tree: SourceTree,
    series: Series,
    certificate: Certificate,
    *,
    version: str = "",
    variant: str = PLAIN,
    org: str = "linuxkit",
    source_url: str = "",
    source_date_epoch: int = DEFAULT_SOURCE_DATE_EPOCH,
) -> Package:
    """The package `ORG/kernel:VERSION-HASH` of one release and variant (`VERSION-dbg-HASH` for debug).

    Raises `KernelError` for a release that is not pinned or a variant that the series does not have.
    """
    release = series.release(version)
    return Package(
        name="kernel",
        org=org,
        path=f"{DIRECTORY}/build",
        tag_template=f"{release.version}{_SUFFIXES.get(variant, '-' + variant)}-{{{{.Hash}}}}",
        platforms=series.platforms,
        context=_context(tree, series, release, variant),
        source_url=source_url,
        source_date_epoch=source_date_epoch,
        dockerfile="Dockerfile",
        build_args=_arguments(series, release, variant, certificate),
        dependencies=(Dependency(series.tool, Role.TOOL),),
        inputs=_inputs(release),
        build_file=f"{DIRECTORY}/series/{series.name}.yml",
    )


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
        BuildArg("KERNEL_DEBUG", "1" if variant == "debug" else ""),
        BuildArg("KERNEL_CERTIFICATE", base64.b64encode(certificate.der).decode()),
        BuildArg(TOOL_ARGUMENT, refers_to=(series.tool,)),
    )


def _inputs(release: Release) -> Inputs:
    if release.git:
        return Inputs(git=(GitInput(_GIT_NAME, release.git, release.commit),))
    digest = release.sha256.hex if release.sha256 else ""
    return Inputs(files=(FileInput(release.file_name, release.url, release.mirrors, digest),))
