"""Who signs: a key by URI, an identity, or a program; from the command line, else as pkgtool.yml says."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pkgtool.errors import SigningError, UsageError
from pkgtool.model import SigningSettings, Workspace
from pkgtool.signing.attestor import Attestor, KeyAttestor
from pkgtool.signing.keys import Signer, open_signer, password_from
from pkgtool.signing.services import Services
from pkgtool.signing.trusted_root import TrustedRoot

TOKEN_VARIABLE = "SIGSTORE_ID_TOKEN"  # noqa: S105 - the name of a variable
"""Where an identity token may stand, as for cosign."""


@dataclass(frozen=True, slots=True)
class SigningOptions:
    """What the command line says about signing; empty fields are left to pkgtool.yml."""

    key: str = ""
    keyless: bool = False
    signer_command: str = ""
    public_key: str = ""
    password_file: Path | None = None
    trust_config: Path | None = None
    signing_config: Path | None = None
    trusted_root: Path | None = None
    browser: bool = False
    annotations: Mapping[str, str] = field(default_factory=dict)


def open_attestor(options: SigningOptions, workspace: Workspace | None) -> Attestor:
    """Whoever is to sign. Raises `UsageError` if nobody is named, `SigningError` if the key can't be used."""
    given = [bool(options.key), options.keyless, bool(options.signer_command)]
    if sum(given) > 1:
        raise UsageError("--key, --keyless and --signer-command exclude each other")
    settings = workspace.settings.signing if workspace else SigningSettings()
    root = Path(workspace.root) if workspace else Path()
    if options.signer_command:
        return _with_services(_command_signer(options), options, workspace)
    if options.keyless or (not options.key and settings.keyless):
        from pkgtool.signing.keyless import open_keyless

        config = options.trust_config or (root / settings.trust_config if settings.trust_config else None)
        return open_keyless(config, token=os.environ.get(TOKEN_VARIABLE, ""), browser=options.browser)
    key = options.key or _from_root(settings.key, root)
    if not key:
        raise UsageError(
            "nobody is named to sign with",
            hint="--key FILE (make one with 'pkgtool key generate'), --keyless, or 'signing:' in pkgtool.yml",
        )
    signer = open_signer(key, password_from(options.password_file))
    return _with_services(signer, options, workspace)


def link_key(options: SigningOptions, workspace: Workspace | None) -> str:
    """The key that in-toto's links are signed with: they know keys alone. Empty if an identity or a program signs."""
    settings = workspace.settings.signing if workspace else SigningSettings()
    if options.keyless or options.signer_command or (settings.keyless and not options.key):
        return ""
    return options.key or _from_root(settings.key, Path(workspace.root) if workspace else Path())


def _command_signer(options: SigningOptions) -> Signer:
    from pkgtool.signing.keys import open_public_key
    from pkgtool.signing.keys.command import CommandSigner

    if not options.public_key:
        raise UsageError("--signer-command needs --public-key: what it signs is checked at once")
    return CommandSigner(options.signer_command, open_public_key(options.public_key))


def _with_services(signer: Signer, options: SigningOptions, workspace: Workspace | None) -> KeyAttestor:
    settings = workspace.settings.signing if workspace else SigningSettings()
    root = Path(workspace.root) if workspace else Path()
    config = options.signing_config or (root / settings.signing_config if settings.signing_config else None)
    trust = options.trusted_root or (root / settings.trusted_root if settings.trusted_root else None)
    services = Services.load(config) if config else Services()
    if services.logs and trust is None:
        raise SigningError(
            "signatures are to be recorded in a log, but its keys are not known",
            hint="--trusted-root FILE (sigstore's trusted_root.json of that instance)",
        )
    return KeyAttestor(signer, services, root=TrustedRoot.load(trust) if trust else None)


def _from_root(key: str, root: Path) -> str:
    """A relative path in pkgtool.yml starts at the tree's root; a URI stays as it is."""
    place = root / key
    return str(place) if key and ":" not in key and place.exists() else key
