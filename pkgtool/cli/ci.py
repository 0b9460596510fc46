"""What a CI system needs: the jobs that build what changed, why a package is among them, what a release changed."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

from pkgtool.cli import options
from pkgtool.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from pkgtool.ci.matrix import Job

EXAMPLES = """\
examples:
  pkgtool ci matrix --since origin/main                     the jobs, as JSON
  pkgtool ci matrix --since v1.0 --format github >> "$GITHUB_OUTPUT"
  pkgtool ci matrix --unpublished --registry ghcr.io/team   what is not in the registry yet
  pkgtool ci explain --since origin/main getty              why getty is in or out
  pkgtool ci changes                                        since the last git tag, as Markdown
"""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("action", choices=("matrix", "explain", "changes"), help="what to print")
    options.add_packages(parser)
    parser.add_argument("--since", default="", metavar="REV", help="what changed since this revision")
    parser.add_argument("--unpublished", action="store_true", help="matrix: only what the registry does not have")
    parser.add_argument(
        "--one-wave", action="store_true", help="matrix: jobs that need nothing of each other, where nothing is pushed"
    )
    parser.add_argument("--shards", type=int, default=0, metavar="N", help="jobs per wave and platform at most")
    parser.add_argument("--timings", type=Path, metavar="FILE", help="recorded times (default: the store's)")
    parser.add_argument("--format", choices=("json", "github"), default="json", help="how the matrix is written")
    options.add_registry_options(parser, pulling=False)


def run(parsed: argparse.Namespace) -> int:
    return {"matrix": _matrix, "explain": _explain, "changes": _changes}[parsed.action](parsed)


def _matrix(parsed: argparse.Namespace) -> int:
    from pkgtool.cli.run_options import run_options
    from pkgtool.workflows.ci import MatrixOptions, matrix

    if parsed.shards < 0:
        raise UsageError("--shards must be at least 1")
    chosen = MatrixOptions(parsed.since, parsed.unpublished, parsed.shards, parsed.timings, parsed.one_wave)
    jobs = matrix(run_options(parsed), chosen, parsed.packages)
    waves = sorted({job.wave for job in jobs})
    if parsed.format == "github":
        # One output a wave, each the value of a `strategy.matrix`; a job per wave needs the one before.
        options.emit(f"waves={json.dumps(waves)}")
        for wave in waves:
            entries = [_document(job) for job in jobs if job.wave == wave]
            options.emit(f"wave{wave}={json.dumps({'include': entries})}")
        return ExitCode.OK
    options.emit(json.dumps({"waves": [[_document(j) for j in jobs if j.wave == wave] for wave in waves]}, indent=2))
    return ExitCode.OK


def _document(job: Job) -> dict[str, object]:
    return {
        "name": job.name,
        "wave": job.wave,
        "platform": str(job.platform),
        "runner": job.runner,
        "packages": " ".join(job.packages),
        "seconds": round(job.seconds, 1),
    }


def _explain(parsed: argparse.Namespace) -> int:
    from pkgtool.cli.run_options import run_options
    from pkgtool.workflows.ci import explanations

    if not parsed.since:
        raise UsageError("explain needs --since REV")
    found = explanations(run_options(parsed), parsed.packages, since=parsed.since)
    if parsed.json:
        documents = [
            {
                "package": item.package,
                "included": item.included,
                "reason": item.reason,
                "changes": [line for change in item.changes for line in change.lines()],
            }
            for item in found
        ]
        options.emit(json.dumps(documents, indent=2))
        return ExitCode.OK
    for item in found:
        options.emit(f"{item.package}: {'in' if item.included else 'out'}, {item.reason}")
        for change in item.changes:
            options.emit("\n".join(change.lines("  ")))
    return ExitCode.OK


def _changes(parsed: argparse.Namespace) -> int:
    from pkgtool.cli.run_options import run_options
    from pkgtool.report import changes_report, summary
    from pkgtool.workflows.changes import changes_since

    if parsed.packages:
        raise UsageError("changes is about all packages", hint="pkgtool why PKG --against REV")
    found = changes_since(run_options(parsed), parsed.since)
    text = changes_report.as_markdown(found)
    summary.add(text)
    options.emit(changes_report.as_json(found) if parsed.json else text)
    return ExitCode.OK
