"""Reading Dockerfiles, as far as pkgtool must, and declaring in them what every step is to see.

Follows the Dockerfile reference: parser directives, line continuation, comments, here-documents.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

EPOCH_ARGUMENT = "SOURCE_DATE_EPOCH"
_ESCAPE_DIRECTIVE = re.compile(r"#\s*escape\s*=\s*([\\`])\s*\Z", re.IGNORECASE)
_DIRECTIVE = re.compile(r"#\s*[a-zA-Z]+\s*=")
_HEREDOC = re.compile(r"<<-?\s*([\"']?)([A-Za-z_][A-Za-z0-9_]*)\1")
_RUN = re.compile(r"\s*RUN\b", re.IGNORECASE)
_FROM_STAGE = re.compile(r"(?:--from=|--mount=\S*\bfrom=)([^\s,]+)")
_VARIABLE = re.compile(r"\$(?:\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\}|([A-Za-z_][A-Za-z0-9_]*))")


@dataclass(frozen=True, slots=True)
class Instruction:
    """One instruction: its keyword in capitals, its text on one line, and the lines it takes (from 1)."""

    keyword: str
    value: str
    first_line: int
    last_line: int


@dataclass(frozen=True, slots=True)
class Stage:
    """A FROM: the image or earlier stage it names (variables unresolved), its own name, and its platform flag."""

    image: str
    name: str
    platform: str
    instruction: Instruction


def instructions(text: str) -> Iterator[Instruction]:
    """The instructions of a Dockerfile in order."""
    lines = text.splitlines()
    escape = _escape(lines)
    position = 0
    while position < len(lines):
        first = position
        if not lines[position].strip() or lines[position].lstrip().startswith("#"):
            position += 1
            continue
        parts: list[str] = []
        while position < len(lines):
            line = lines[position]
            position += 1
            if parts and (not line.strip() or line.lstrip().startswith("#")):
                continue  # comments and blank lines inside a continued instruction are skipped
            stripped = line.rstrip()
            if not stripped.endswith(escape):
                parts.append(stripped)
                break
            parts.append(stripped[:-1])
        joined = " ".join(part.strip() for part in parts)
        keyword, _, value = joined.partition(" ")
        position = _skip_heredocs(keyword.upper(), joined, lines, position)
        yield Instruction(keyword.upper(), value.strip(), first + 1, position)


def stages(text: str) -> list[Stage]:
    """The build stages of a Dockerfile in order."""
    return [_stage(instruction) for instruction in instructions(text) if instruction.keyword == "FROM"]


def _stage(instruction: Instruction) -> Stage:
    words = instruction.value.split()
    flags = [word for word in words if word.startswith("--")]
    rest = [word for word in words if not word.startswith("--")]
    platform = next((f.partition("=")[2] for f in flags if f.startswith("--platform=")), "")
    name = rest[2] if len(rest) > 2 and rest[1].lower() == "as" else ""
    return Stage(rest[0] if rest else "", name.lower(), platform, instruction)


def outside_images(text: str, arguments: Mapping[str, str]) -> list[tuple[str, int]]:
    """The images from outside that a Dockerfile is FROM or copies from, resolved, with their lines."""
    values: dict[str, str] = {}
    names: set[str] = set()
    found = []
    for instruction in instructions(text):
        if instruction.keyword == "ARG" and not names:
            name, equals, value = instruction.value.partition("=")
            if equals:
                values[name.strip()] = value.strip().strip("\"'")
            values.update((k, v) for k, v in arguments.items() if k == name.strip())
        image = _named_image(instruction, values)
        if image and image.lower() not in names and not image.isdigit():
            found.append((image, instruction.first_line))
        if instruction.keyword == "FROM":
            names |= {_stage(instruction).name, "scratch"}
    return [(image, line) for image, line in found if image != "scratch"]


def _named_image(instruction: Instruction, values: Mapping[str, str]) -> str:
    """The image that a FROM or a COPY --from names, or nothing."""
    if instruction.keyword == "FROM":
        return _resolve(_stage(instruction).image, values)
    source = re.search(r"--from=(\S+)", instruction.value) if instruction.keyword == "COPY" else None
    return _resolve(source.group(1), values) if source else ""


def final_steps(text: str) -> list[str]:
    """The RUN instructions that take part in the final image: of its stage, and of those that this one is FROM."""
    steps: dict[str, list[str]] = {}
    position, current = -1, ""
    for instruction in instructions(text):
        if instruction.keyword == "FROM":
            stage = _stage(instruction)
            position += 1
            current = stage.name or str(position)
            steps[current] = list(steps.get(stage.image.lower(), ()))
        elif instruction.keyword == "RUN" and current:
            steps[current].append(instruction.value)
    return steps.get(current, [])


def steps_on_target(text: str) -> list[Instruction]:
    """The RUN instructions, of stages that the final one needs, which execute programs of the target platform.

    A stage that names a platform runs there; one that is FROM an earlier stage runs where that one does.
    """
    own, needs, elsewhere = _stages_with_steps(text)
    wanted = [next(reversed(own))] if own else []
    found: list[str] = []
    while wanted:
        name = wanted.pop()
        if name in own and name not in found:
            found.append(name)
            wanted += needs[name]
    return [step for name in own if name in found and name not in elsewhere for step in own[name]]


def _stages_with_steps(text: str) -> tuple[dict[str, list[Instruction]], dict[str, list[str]], set[str]]:
    """For every stage its RUN instructions and what other stages it needs; and which stages name a platform."""
    own: dict[str, list[Instruction]] = {}
    needs: dict[str, list[str]] = {}
    elsewhere: set[str] = set()
    current = ""
    for instruction in instructions(text):
        if instruction.keyword == "FROM":
            stage = _stage(instruction)
            current = stage.name or str(len(own))
            own[current], needs[current] = [], [stage.image.lower()]
            if stage.image.lower() in elsewhere or (stage.platform and "TARGETPLATFORM" not in stage.platform):
                elsewhere.add(current)
        elif current:
            needs[current] += [name.lower() for name in _FROM_STAGE.findall(instruction.value)]
            own[current] += [instruction] if instruction.keyword == "RUN" else []
    return own, needs, elsewhere


def mount_targets(step: str) -> list[str]:
    """Where the mounts of a RUN instruction are, as paths without leading slash."""
    flags = re.findall(r"--mount=(\S+)", step)
    fields = (field.partition("=") for flag in flags for field in flag.split(","))
    return [value.strip("\"'/") for key, _, value in fields if key in ("target", "dst", "destination")]


def declaring(text: str, names: Sequence[str]) -> str:
    """The same Dockerfile with arguments declared in every stage, so that every RUN sees them.

    An argument is in the environment of a step only if its stage declares it. Nothing of it stays in the image.
    """
    lines = text.splitlines()
    added = [f"ARG {name}" for name in names]
    for earlier, stage in enumerate(stages(text)):
        place = stage.instruction.last_line + earlier * len(added)
        lines[place:place] = added
    return "\n".join(lines) + "\n"


def with_mount(text: str, flag: str) -> str:
    """The same Dockerfile with one more `--mount=…` in every RUN; no line is added."""
    lines = text.splitlines()
    for instruction in instructions(text):
        if instruction.keyword == "RUN":
            first = instruction.first_line - 1
            lines[first] = _RUN.sub(lambda m: f"{m.group()} {flag}", lines[first], count=1)
    return "\n".join(lines) + "\n"


def original_line(text: str, line: int, *, declared: int = 1) -> int:
    """The line of the Dockerfile as written that became `line` when `declared` arguments were declared in it."""
    ends = (stage.instruction.last_line + number * declared for number, stage in enumerate(stages(text), start=1))
    return line - declared * sum(end < line for end in ends)


def _escape(lines: list[str]) -> str:
    for line in lines:
        found = _ESCAPE_DIRECTIVE.match(line)
        if found:
            return found.group(1)
        if not _DIRECTIVE.match(line):
            break
    return "\\"


def _skip_heredocs(keyword: str, joined: str, lines: list[str], position: int) -> int:
    if keyword not in ("RUN", "COPY", "ADD"):
        return position
    for _, word in _HEREDOC.findall(joined):
        while position < len(lines) and lines[position].strip() != word:
            position += 1
        position += 1
    return min(position, len(lines))


def _resolve(text: str, values: Mapping[str, str]) -> str:
    return _VARIABLE.sub(lambda m: values.get(m.group(1) or m.group(3)) or m.group(2) or "", text)
