"""Look at the local store, check it, collect garbage, export from it."""

from __future__ import annotations

import argparse
import dataclasses
import json
import re
from pathlib import Path

from pkgtool.cli import options
from pkgtool.errors import CheckFailed, ExitCode, UsageError

EXAMPLES = """\
examples:
  pkgtool store path                             where it is
  pkgtool store ls                               the references in it
  pkgtool store verify                           check every hash
  pkgtool store gc --older-than 7d --max-size 20G
  pkgtool store export getty getty.tar           the current tag as an OCI archive
  pkgtool store export --form docker getty getty.tar && docker load < getty.tar
"""
_UNITS = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
_TIMES = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("action", choices=("path", "ls", "verify", "gc", "export"), help="what to do")
    parser.add_argument("reference", nargs="?", help="export: a reference, or a package for its current tag")
    parser.add_argument("file", nargs="?", type=Path, help="export: where to write it")
    parser.add_argument("--form", choices=("oci", "docker"), default="oci", help="export: the kind of archive")
    parser.add_argument("--repair", action="store_true", help="verify: take out what is damaged")
    parser.add_argument(
        "--older-than",
        type=_seconds,
        default=_seconds("2w"),
        metavar="TIME",
        help="gc: what was not used for 12h, 7d, 2w (default: 2w)",
    )
    parser.add_argument("--max-size", type=_bytes, metavar="SIZE", help="gc: keep less than 500M, 20G, if that can be")
    parser.add_argument("--dry-run", action="store_true", help="gc: only say what would be removed")


def run(parsed: argparse.Namespace) -> int:
    actions = {"path": _path, "ls": _ls, "verify": _verify, "gc": _gc, "export": _export}
    return actions[parsed.action](parsed)


def _path(parsed: argparse.Namespace) -> int:
    from pkgtool.cli.run_options import run_options
    from pkgtool.workflows.store import find_store

    options.emit(str(find_store(run_options(parsed)).root))
    return ExitCode.OK


def _ls(parsed: argparse.Namespace) -> int:
    from pkgtool.cli.run_options import run_options
    from pkgtool.report.text import size, table
    from pkgtool.workflows.store import find_store, listing

    found = list(listing(find_store(run_options(parsed))))
    if parsed.json:
        documents = [
            {
                "reference": item.reference,
                "digest": str(item.target.digest),
                "mediaType": item.target.media_type,
                "platforms": [str(platform) for platform in item.platforms],
                "size": item.size,
            }
            for item in found
        ]
        options.emit(json.dumps(documents, indent=2))
    elif found:
        rows = [
            (i.reference, str(i.target.digest)[:19], ",".join(str(p) for p in i.platforms), size(i.size)) for i in found
        ]
        options.emit("\n".join(table(("REFERENCE", "DIGEST", "PLATFORMS", "SIZE"), rows)))
    return ExitCode.OK


def _verify(parsed: argparse.Namespace) -> int:
    from pkgtool.cli.run_options import run_options
    from pkgtool.workflows.store import find_store, verify

    store = find_store(run_options(parsed))
    findings = verify(store, repair=parsed.repair)
    messages = [finding.message for finding in findings]
    if parsed.json:
        options.emit(json.dumps({"store": str(store.root), "problems": messages, "repaired": parsed.repair}, indent=2))
    if messages and not parsed.repair:
        raise CheckFailed(
            f"{len(messages)} things are wrong with {store.root}",
            details=messages,
            hint="pkgtool store verify --repair takes them out; the next build makes them again",
        )
    if not parsed.json:
        options.emit("\n".join([*(f"removed: {message}" for message in messages), f"{store.root} is sound"]))
    return ExitCode.OK


def _gc(parsed: argparse.Namespace) -> int:
    from pkgtool.cli.run_options import run_options
    from pkgtool.oci.store.collect import Limits
    from pkgtool.report.text import size
    from pkgtool.workflows.store import gc

    found = gc(run_options(parsed), Limits(parsed.older_than, parsed.max_size), dry_run=parsed.dry_run)
    if parsed.json:
        options.emit(json.dumps(dataclasses.asdict(found), indent=2))
    else:
        verb = "would be removed" if parsed.dry_run else "removed"
        what = f"{found.references} references, {found.memories} results, {found.blobs} blobs, {found.inputs} inputs"
        why = f"no current tag needs them, and they were not used for {_age(parsed.older_than)}"
        why += f" or did not fit into {size(parsed.max_size)}" if parsed.max_size is not None else ""
        options.emit(f"{what} {verb} ({why}): {size(found.freed)} freed, {size(found.kept)} kept")
    return ExitCode.OK


def _export(parsed: argparse.Namespace) -> int:
    from pkgtool.cli.run_options import run_options
    from pkgtool.workflows.store import export

    if not parsed.reference or parsed.file is None:
        raise UsageError("export needs a reference and a file", hint="pkgtool store export getty getty.tar")
    written = export(run_options(parsed), parsed.reference, parsed.file, form=parsed.form)
    options.emit(str(written.digest))
    return ExitCode.OK


def _seconds(text: str) -> float:
    found = re.fullmatch(r"(\d+)([smhdw])", text)
    if not found:
        raise argparse.ArgumentTypeError(f"{text!r} is not a time such as 12h or 7d")
    return float(found.group(1)) * _TIMES[found.group(2)]


def _age(seconds: float) -> str:
    """A time as `--older-than` takes it, in its largest whole unit."""
    unit = max((unit for unit, length in _TIMES.items() if seconds % length == 0), key=lambda unit: _TIMES[unit])
    return f"{seconds / _TIMES[unit]:.0f}{unit}"


def _bytes(text: str) -> int:
    found = re.fullmatch(r"(\d+)([kMGT]?)B?", text)
    if not found:
        raise argparse.ArgumentTypeError(f"{text!r} is not a size such as 500M or 20G")
    return int(found.group(1)) * _UNITS[found.group(2)]
