"""Publish what the current tree's tags name: build what is missing, then images, indexes, and tags last."""

from __future__ import annotations

import argparse

from pkgtool.cli import options, signing
from pkgtool.errors import ExitCode

EXAMPLES = """\
examples:
  pkgtool push --registry localhost:5000          the whole tree, for all its platforms
  pkgtool push --no-build getty                   only what is built
  pkgtool push --sign --key release.key           publish, then sign
  pkgtool push --no-index --platform linux/arm64  this machine's part; a last push makes the indexes
  pkgtool push --dry-run                          what would be done
"""


def configure(parser: argparse.ArgumentParser) -> None:
    options.add_packages(parser)
    parser.add_argument("--dry-run", action="store_true", help="show the plan and do nothing")
    parser.add_argument("--no-build", action="store_true", help="fail if something is not built yet")
    parser.add_argument("--force", action="store_true", help="build the named packages anew; published tags stay")
    parser.add_argument("--allow-dirty", action="store_true", help="publish what is not committed, under dirty tags")
    options.add_replace(parser)
    parser.add_argument(
        "--no-index", action="store_false", dest="index", help="one of several jobs: a last push makes the indexes"
    )
    parser.add_argument("--sign", action="store_true", help="sign what was published, and attach its statements")
    parser.add_argument(
        "--allow-development-keys", action="store_true", help="with --sign: kernels of this checkout's own key, too"
    )
    signing.add_signing_options(parser)
    options.add_builder_options(parser)
    options.add_registry_options(parser, optional=False)
    options.add_tag_options(parser)


def run(parsed: argparse.Namespace) -> int:
    from pkgtool.cli.run_options import run_options
    from pkgtool.cli.session import cancellable
    from pkgtool.report import push_report, summary
    from pkgtool.report.progress import sink_for
    from pkgtool.workflows.failures import failure
    from pkgtool.workflows.push import PushOptions, push

    sign = signing.signing_options(parsed) if parsed.sign else None
    chosen = PushOptions(
        no_build=parsed.no_build,
        rebuild=parsed.force,
        allow_dirty=parsed.allow_dirty,
        index=parsed.index,
        replace=tuple(parsed.replace),
        sign=sign,
        allow_development=parsed.allow_development_keys,
    )
    if parsed.dry_run:
        return _show_plan(parsed, chosen)
    events = sink_for(options.progress_mode(parsed), verbosity=parsed.verbose)
    with cancellable() as cancel:
        report = push(run_options(parsed), chosen, parsed.packages, events=events, cancel=cancel)
    summary.add(summary.of_run("Published", report))
    options.emit(push_report.as_json(report) if parsed.json else push_report.as_table(report))
    if report.results.good:
        return ExitCode.OK
    raise failure(report, interrupted=cancel.requested)


def _show_plan(parsed: argparse.Namespace, chosen: object) -> int:
    from pkgtool.cli.run_options import run_options
    from pkgtool.plan import plan_push
    from pkgtool.report import plan_report
    from pkgtool.workflows.push import PushOptions, plan_of

    assert isinstance(chosen, PushOptions)
    planned, registry = plan_of(run_options(parsed), chosen, parsed.packages)
    tree = planned.tree
    plan = plan_push(planned.plan, tree.names, tree.fingerprints, registry, sign=chosen.sign is not None)
    options.emit(plan_report.as_json(tree, plan) if parsed.json else plan_report.as_text(tree, plan))
    return ExitCode.OK
