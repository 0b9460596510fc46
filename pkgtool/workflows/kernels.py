"""The kernels of a tree: which there are, whom they trust, and where their signatures come from."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pkgtool.config.loader import Maker
from pkgtool.config.schema import LINUXKIT_SOURCE
from pkgtool.errors import ConfigError, KernelError, Location
from pkgtool.model import DEFAULT_ORG, DEFAULT_SOURCE_DATE_EPOCH, KernelSettings, Package, TreeSettings
from pkgtool.source.trees import SourceTree, WorkingTree
from pkgtool.workflows.options import RunOptions

if TYPE_CHECKING:
    from pkgtool.actions.sealing import Sealing
    from pkgtool.kernel.identity import Certificate, Identity
    from pkgtool.kernel.package import Surroundings
    from pkgtool.kernel.seal import SecureBootKey
    from pkgtool.kernel.series import Series

_PREFIX = "kernel-"
_DEVELOPMENT = ".pkgtool/kernel"
_PASSPHRASE_VARIABLES = ("PKGTOOL_KERNEL_KEY_PASSWORD",)


def maker(root: Path, tree: SourceTree, options: RunOptions) -> Maker:
    """Makes the packages of a kernel's name (`kernel-6.1-debug`), as the files of `tree` say."""

    def make(name: str, settings: TreeSettings) -> Sequence[Package]:
        if not name.startswith(_PREFIX):
            return ()
        from pkgtool.kernel.package import KernelName, kernel_packages
        from pkgtool.kernel.series import read_all

        found = KernelName.parse(name)
        if found is None:
            return ()
        series = read_all(tree, (found.series,))[found.series]
        return kernel_packages(tree, series, found, _surroundings(root, tree, options, settings))

    return make


def series_of(root: Path) -> dict[str, Series]:
    """All series of the working tree, oldest first. Raises `ConfigError` or `Problems`."""
    from pkgtool.kernel.series import DIRECTORY, read_all

    names = tuple(path.stem for path in sorted((root / DIRECTORY / "series").glob("*.yml")))
    return read_all(WorkingTree(root), names)


def sealing(options: RunOptions, root: Path, settings: TreeSettings, packages: Iterable[Package]) -> dict[str, Sealing]:
    """How each of those packages that is a signed kernel gets its signatures.

    Every key is opened and tried here, so before anything is built. Raises `KernelError` and its kinds.
    """
    signed = [package for package in packages if package.seal]
    if not signed:
        return {}
    from pkgtool.actions.sealing import Sealing

    if options.kernels.signatures:
        return {package.name: Sealing(published=options.kernels.signatures) for package in signed}
    chosen = _chosen(options, settings)
    opened: dict[tuple[bytes, str], Identity] = {}
    found = {}
    for package in signed:
        assert package.seal
        key = (package.seal.certificate, package.seal.hash)
        if key not in opened:
            opened[key] = _identity(options, chosen, root, *key)
        found[package.name] = Sealing(opened[key], _secure_boot(chosen, root) if package.seal.secure_boot else None)
    return found


def refuse_development(packages: Iterable[Package]) -> None:
    """Raise `KernelError` if one of them is signed by a key that nobody vouches for."""
    for package in packages:
        if package.seal:
            from pkgtool.kernel import development
            from pkgtool.kernel.identity import parse_certificate

            development.refuse_development(parse_certificate(package.seal.certificate, what=package.name))


def _chosen(options: RunOptions, settings: TreeSettings) -> KernelSettings:
    own, tree = options.kernels.settings, settings.kernels
    # A certificate and its key belong together: one from here and one from there would be a mistake.
    certificate, key = (own.certificate, own.key) if own.certificate else (tree.certificate, own.key or tree.key)
    firmware = own if own.secure_boot_certificate else tree
    secure_boot_key = own.secure_boot_key or firmware.secure_boot_key
    if key and not certificate:
        raise ConfigError(
            "a key for kernel modules is given, and no certificate of it",
            hint="name it with --certificate FILE, or as kernels.certificate in pkgtool.yml",
        )
    return KernelSettings(certificate, key, firmware.secure_boot_certificate, secure_boot_key)


def _surroundings(root: Path, tree: SourceTree, options: RunOptions, settings: TreeSettings) -> Surroundings:
    from pkgtool.kernel.package import Surroundings

    chosen = _chosen(options, settings)
    outside = []
    if settings.source_url:
        outside.append(("source", settings.source_url))
    epoch = settings.source_date_epoch
    if epoch is not None:
        outside.append(("source-date-epoch", str(epoch)))
    firmware = chosen.secure_boot_certificate
    return Surroundings(
        org=options.overrides.org if options.overrides.org is not None else settings.org or DEFAULT_ORG,
        certificate=_certificate(root, tree, chosen.certificate),
        source_url=settings.source_url or LINUXKIT_SOURCE,
        source_date_epoch=DEFAULT_SOURCE_DATE_EPOCH if epoch is None else epoch,
        secure_boot=_certificate(root, tree, firmware).fingerprint if firmware else "",
        outside_settings=tuple(outside),
        outside_args=options.overrides.build_args,
    )


def _certificate(root: Path, tree: SourceTree, path: str) -> Certificate:
    """The certificate at a path of the tree, an absolute one, or (empty) this checkout's own for development."""
    from pkgtool.kernel.identity import parse_certificate, read_certificate

    if not path:
        from pkgtool.kernel.development import ensure_development_key

        return read_certificate(ensure_development_key(root / _DEVELOPMENT)[1])
    if Path(path).is_absolute():
        return read_certificate(Path(path))
    content = tree.read(path)
    if content is None:
        raise ConfigError(f"there is no certificate {path}", location=Location("pkgtool.yml"), hint=f"git add {path}")
    return parse_certificate(content, what=path)


def _identity(options: RunOptions, chosen: KernelSettings, root: Path, certificate: bytes, hash_name: str) -> Identity:
    from pkgtool.kernel import identity
    from pkgtool.kernel.development import ensure_development_key
    from pkgtool.signing.keys import open_signer, secret_source

    trusted = identity.parse_certificate(certificate, what="the certificate of the kernel")
    if not chosen.certificate:
        key, _ = ensure_development_key(root / _DEVELOPMENT)
        return identity.file_identity(trusted, key, hash_name=hash_name, passphrase=bytes)
    if not chosen.key:
        raise KernelError(
            f"the modules have to be signed for {trusted.common_name!r}, and no key is named",
            hint="name it with --key; without it there: pkgtool kernel build --unsigned, and sign elsewhere",
        )
    ask = secret_source(file=options.kernels.password_file, variables=_PASSPHRASE_VARIABLES)
    if ":" not in chosen.key:
        place = root / Path(chosen.key).expanduser()
        return identity.file_identity(trusted, place, hash_name=hash_name, passphrase=lambda: ask(f"the key {place}"))
    signer = open_signer(chosen.key, ask)
    return identity.identity(trusted, signer.sign, hash_name=hash_name)


def _secure_boot(chosen: KernelSettings, root: Path) -> SecureBootKey:
    from pkgtool.kernel.identity import KeyMissing
    from pkgtool.kernel.seal import SecureBootKey

    found = SecureBootKey(root / chosen.secure_boot_key, root / chosen.secure_boot_certificate)
    if not chosen.secure_boot_key or not found.key.is_file():
        raise KeyMissing(
            f"the kernel has to be signed for {chosen.secure_boot_certificate}, and its key is not there",
            hint="name it with --secure-boot-key FILE, or as kernels.secure-boot-key in pkgtool.yml",
        )
    return found
