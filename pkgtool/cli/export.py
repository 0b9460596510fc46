"""Copy a release into a directory or archive (an OCI image layout), for closed networks."""

from __future__ import annotations

import argparse
from pathlib import Path

from pkgtool.cli import options, transfers
from pkgtool.errors import ExitCode

EXAMPLES = """\
examples:
  pkgtool export --release v1.2.json release-v1.2.tar
  pkgtool export --release v1.2.json --registry staging.example.com /media/usb/v1.2
"""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("path", type=Path, metavar="PATH", help="a new directory, or an archive that ends in .tar")
    parser.add_argument("--release", type=Path, required=True, metavar="FILE", help="the release file")
    options.add_registry_options(parser, pulling=False)


def run(parsed: argparse.Namespace) -> int:
    from pkgtool.cli.run_options import run_options
    from pkgtool.cli.session import cancellable
    from pkgtool.release import Release
    from pkgtool.report.progress import sink_for
    from pkgtool.workflows.promote import Moving, export_release

    release = Release.read(parsed.release)
    source = parsed.registry or release.registry
    events = sink_for(options.progress_mode(parsed), verbosity=parsed.verbose)
    with cancellable() as cancel:
        done = export_release(run_options(parsed), release, source, parsed.path, Moving(events), cancel=cancel)
    transfers.emit(done, as_json=parsed.json)
    return ExitCode.OK
