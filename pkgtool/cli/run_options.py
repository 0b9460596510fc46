"""From parsed arguments to the options of the use cases."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

from pkgtool import tag_template
from pkgtool.config.package import Overrides
from pkgtool.errors import UsageError
from pkgtool.fingerprint import TagOverrides
from pkgtool.model import BuildArg
from pkgtool.nodes import Node, merge, parse_builder
from pkgtool.values import check_organisation, is_tag
from pkgtool.workflows.options import RunOptions
from pkgtool.workflows.tree import find_root


def run_options(parsed: argparse.Namespace) -> RunOptions:
    """Raises `UsageError` for values that argparse could not check."""
    given = vars(parsed)
    return RunOptions(
        directory=parsed.directory,
        platforms=tuple(dict.fromkeys(platform for group in parsed.platform for platform in group)),
        engine=parsed.engine,
        jobs=parsed.jobs,
        keep_going=parsed.keep_going,
        store=parsed.store,
        registry=given.get("registry", ""),
        builders=_builders(given.get("builder", [])),
        cache_from=tuple(given.get("cache_from", [])),
        cache_to=tuple(given.get("cache_to", [])),
        pull=given.get("pull", True),
        registry_optional=given.get("registry_optional", False),
        overrides=Overrides(
            org=_org(parsed.org),
            tag=_tag(given.get("tag")),
            network=given.get("network"),
            build_args=tuple(_build_args(given.get("build_arg", []), given.get("build_arg_file", []))),
            build_file=given.get("build_yml", "build.yml"),
        ),
        tag=TagOverrides(
            content_hash=_hash(given.get("hash", "")),
            hash_path=_hash_path(parsed.directory, given.get("hash_path")),
            force_dirty=given.get("force_dirty", False),
        ),
        revision=given.get("hash_commit", "HEAD"),
    )


def _org(text: str | None) -> str | None:
    if text is not None:
        try:
            check_organisation(text)
        except ValueError as problem:
            raise UsageError(f"--org {text!r} can't be an organisation: {problem}") from problem
    return text


def _tag(template: str | None) -> str | None:
    if template is not None and not tag_template.gives_a_tag(template):
        raise UsageError(f"--tag {template!r} gives no valid tag", hint=tag_template.HINT)
    return template


def _hash(text: str) -> str:
    if text and not is_tag(text):
        raise UsageError(f"--hash {text!r} can't be in a tag", hint="letters, digits, . _ and -")
    return text


def _builders(texts: list[str]) -> tuple[Node, ...]:
    found = []
    for text in texts:
        try:
            found.append(parse_builder(text))
        except ValueError as problem:
            raise UsageError(f"--builder {problem}", hint="--builder linux/arm64=tcp://HOST:1234") from problem
    return merge(found)


def _hash_path(directory: Path, path: str | None) -> str | None:
    if path is None:
        return None
    root = find_root(directory)
    place = (directory / path).resolve()
    if not place.is_relative_to(root):
        raise UsageError(f"--hash-path {path} is outside the tree {root}")
    inside = place.relative_to(root).as_posix()
    return "" if inside == "." else inside


def _build_args(lines: list[str], files: list[Path]) -> Iterator[BuildArg]:
    for file in files:
        try:
            content = file.read_text("utf-8")
        except (OSError, UnicodeDecodeError) as problem:
            reason = problem.strerror if isinstance(problem, OSError) else "it is not UTF-8"
            raise UsageError(f"--build-arg-file {file} can't be read: {reason}") from problem
        lines = [*(line for line in content.splitlines() if line.strip()), *lines]
    for line in lines:
        name, equals, value = line.partition("=")
        if not equals or not name.strip():
            raise UsageError(f"{line!r} is not of the form NAME=VALUE")
        yield BuildArg(name.strip(), value.strip())
