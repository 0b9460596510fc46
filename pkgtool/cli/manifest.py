"""Show what is published of packages, per platform."""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING

from pkgtool.cli import options
from pkgtool.errors import ExitCode, RegistryError

if TYPE_CHECKING:
    from pkgtool.workflows.manifest import TagContent

EXAMPLES = """\
examples:
  pkgtool manifest getty
  pkgtool manifest --of v1.2 getty sshd
"""


def configure(parser: argparse.ArgumentParser) -> None:
    options.add_packages(parser)
    parser.add_argument("--of", default="", metavar="TAG", help="look at this tag instead of the current one")
    options.add_registry_options(parser, pulling=False)
    options.add_tag_options(parser)


def run(parsed: argparse.Namespace) -> int:
    from pkgtool.cli.run_options import run_options
    from pkgtool.cli.session import cancellable
    from pkgtool.report.progress import sink_for
    from pkgtool.report.text import size, table
    from pkgtool.workflows.manifest import manifests

    events = sink_for(options.progress_mode(parsed), verbosity=parsed.verbose)
    with cancellable() as cancel:
        found = manifests(run_options(parsed), parsed.packages, tag=parsed.of, events=events, cancel=cancel)
    if parsed.json:
        options.emit(json.dumps([_document(item) for item in found], indent=2))
    else:
        rows = [
            (item.reference, str(platform), str(image.descriptor.digest), size(image.size))
            for item in found
            for platform, image in (item.published.images.items() if item.published else ())
        ]
        options.emit("\n".join(table(("REFERENCE", "PLATFORM", "DIGEST", "SIZE"), rows)))
    absent = [item.reference for item in found if item.published is None]
    if absent:
        raise RegistryError(f"not published: {', '.join(absent)}", hint="pkgtool push")
    return ExitCode.OK


def _document(item: TagContent) -> dict[str, object]:
    published = item.published
    images = published.images.items() if published else ()
    return {
        "package": item.package,
        "reference": item.reference,
        "index": str(published.index.digest) if published else None,
        "platforms": [
            {"platform": str(platform), "digest": str(image.descriptor.digest), "size": image.size}
            for platform, image in images
        ],
    }
