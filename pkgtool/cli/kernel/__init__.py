"""Linux kernels: list the series, build, sign, verify and boot them, look at configurations, find new releases."""

from __future__ import annotations

import argparse
from importlib import import_module

from pkgtool.cli import options
from pkgtool.errors import UsageError

EXAMPLES = """\
examples:
  pkgtool kernel list                            the series, their releases and variants
  pkgtool kernel build                           every series, its modules signed
  pkgtool kernel build 4.9 6.1 --variant debug
  pkgtool kernel build 6.1 --unsigned            where the key is not
  pkgtool kernel sign 6.1 --certificate modules.pem --key pkcs11:token=modules
  pkgtool kernel verify 6.1                      every module against the certificate in that kernel
  pkgtool kernel config 6.1 --diff 6.1-debug     what two configurations ask for
  pkgtool kernel config 6.1 --hardening          what kernel-hardening-checker says of it
  pkgtool kernel boot 6.1                        in QEMU, with getty, at this terminal; Ctrl-] leaves
  pkgtool kernel boot 6.1 --test                 prompt, ssh, vsock, modules: with what the kernel said
  pkgtool kernel bump 6.1                        pin the next release
"""
ACTIONS = {
    "list": "the series, their releases and variants",
    "build": "build kernels and sign their modules",
    "config": "what the configuration asks for, and whether a tree can have it",
    "sign": "sign what is built, or take published signatures off and put them on",
    "verify": "every module against the certificate inside its kernel",
    "boot": "boot a built kernel in QEMU",
    "bump": "find, check and pin the next release of a series",
}


def configure(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_argument_group("actions", "\n".join(f"{name}: {what}" for name, what in ACTIONS.items()))
    actions.add_argument("action", choices=ACTIONS, help="what to do", metavar="ACTION")
    actions.add_argument(
        "series",
        nargs="*",
        default=[],
        metavar="SERIES",
        help="6.1, or a release such as 4.9.31, or with a variant: 6.1-debug",
    )
    actions.add_argument("--variant", default="", metavar="NAME", help="plain, debug, small or another of the series")
    _build_options(parser.add_argument_group("build and sign"))
    _other_options(parser.add_argument_group("config, verify, boot and bump"))
    options.add_registry_options(parser)
    options.add_builder_options(parser)


def _build_options(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--unsigned", action="store_true", help="build: without signing the modules")
    group.add_argument("--force", action="store_true", help="build: anew, without any cache")
    group.add_argument("--offline", action="store_true", help="build: fetch nothing")
    group.add_argument("--certificate", metavar="FILE", default="", help="the certificate that the kernel trusts")
    group.add_argument("--key", metavar="URI", default="", help="its key: a file, pkcs11:…, awskms:… and more")
    group.add_argument("--key-password-file", metavar="FILE", help="the key's passphrase, in a file")
    group.add_argument("--secure-boot-certificate", metavar="FILE", default="", help="what firmware trusts (PEM)")
    group.add_argument("--secure-boot-key", metavar="FILE", default="", help="its key (PEM)")
    group.add_argument("--signatures", metavar="FILE", help="sign: put these published signatures on, without a key")
    group.add_argument("--detach", metavar="FILE", help="sign: write the signatures of what is signed into FILE")


def _other_options(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--diff", metavar="OTHER", help="config: what differs from a series or a .config file")
    group.add_argument("--tree", metavar="DIR", help="config: configure this kernel source and insist on the result")
    group.add_argument("--hardening", action="store_true", help="config: ask kernel-hardening-checker")
    group.add_argument(
        "--module", action="append", default=[], metavar="FILE", help="verify: a module of one's own, too"
    )
    group.add_argument("--test", action="store_true", help="boot: prove it with the tree's own packages")
    group.add_argument("--append", default="", metavar="WORDS", help="boot: more of the kernel's command line")
    group.add_argument("--seconds", type=float, default=300, metavar="N", help="boot: how long a test may take")
    group.add_argument(
        "--busybox", metavar="FILE", help="boot: a static busybox for the kernel's platform (default: this machine's)"
    )
    group.add_argument("--keyring", metavar="FILE", help="bump: the keys that may sign a release (kernel.org)")


def run(parsed: argparse.Namespace) -> int:
    if parsed.action in ("config", "boot", "bump") and not parsed.series:
        raise UsageError(f"'kernel {parsed.action}' needs a series", hint="pkgtool kernel list")
    return int(import_module(f"pkgtool.cli.kernel.{parsed.action}").run(parsed))
