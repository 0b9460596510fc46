"""What is generated is current, and what people read names what exists."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from pkgtool.cli import main
from pkgtool.cli import reference as cli_reference
from pkgtool.config import reference as keys_reference
from pkgtool.errors import EXIT_CODE_MEANINGS, ExitCode
from tests.support.command_line import PROJECT, CommandLine

PAGES = [PROJECT / "README.md", *sorted((PROJECT / "docs").glob("*.md"))]


@pytest.mark.parametrize("page", [cli_reference, keys_reference], ids=["cli", "keys"])
def test_generated_pages_are_current(page: object) -> None:
    assert page.FILE.read_text() == page.text(), "run: make generate"  # type: ignore[attr-defined]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    text = re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)
    links = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", text)
    missing = [link for link in links if "://" not in link and not (page.parent / link).exists()]
    assert missing == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_that_are_named_exist(page: Path) -> None:
    code = re.findall(r"```(?:sh|console|shell)\n(.*?)```|`([^`\n]+)`", page.read_text(), flags=re.DOTALL)
    text = "\n".join(block or inline for block, inline in code)
    named = set(re.findall(r"(?:^|[\s$/(])pkgtool ([a-z][a-z-]+)\b", text))
    # "pkgtool fingerprint 1" is the first line of a record, not a command.
    assert named - set(main.COMMANDS) - {"help", "fingerprint"} == set()


@pytest.mark.parametrize("name", main.COMMANDS)
def test_every_command_has_help_with_examples(pkgtool: CommandLine, name: str) -> None:
    said = pkgtool(name, "--help").ok().out
    assert said.startswith(f"usage: pkgtool {name}")
    assert "examples:" in said
    assert f"pkgtool {name}" in said.partition("examples:")[2]


def test_exit_codes_are_told(pkgtool: CommandLine) -> None:
    assert set(EXIT_CODE_MEANINGS) == set(ExitCode)
    said = pkgtool("--help").ok().out
    assert all(f"{int(code):3}  {meaning}" in said for code, meaning in EXIT_CODE_MEANINGS.items())
