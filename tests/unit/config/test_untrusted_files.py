"""Files that nobody meant to be read: whatever they hold, there is an error with a place, and never a defect."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pkgtool.config import typed
from pkgtool.config.schema import BuildFile, TreeFile
from pkgtool.config.yaml_reader import MAX_SIZE, Source
from pkgtool.errors import ConfigError
from tests.support.command_line import PROJECT
from tests.support.configuration import package_problems, problems
from tests.unit.config.documents import documents

BOMB = b"a: &a [x,x,x,x,x,x,x,x,x]\n" + b"".join(
    b"%c: &%c [%s]\n" % (98 + i, 98 + i, b",".join([b"*%c" % (97 + i)] * 9)) for i in range(12)
)
HOSTILE = {
    "flow": b"[" * 200_000,
    "braces": b"{" * 200_000,
    "dashes": b"- " * 100_000 + b"x",
    "questions": b"? " * 100_000,
    "small and deep": b"[" * 8000,
    "small and deep, of blocks": b"- " * 4000 + b"x",
    "deep and whole": b"image: p\nconfig: " + b"[" * 5000 + b"]" * 5000,
    "billion laughs": BOMB,
    "billion laughs in a key": BOMB.replace(b"a: &a", b"image: p\nbuildArgs: &a", 1) + b"arches: *l\n",
    "an alias of itself": b"image: &a [*a]\n",
    "a mapping in itself": b"&a {image: p, config: *a}\n",
    "unknown alias": b"image: *nobody\n",
    "many items": b"buildArgs: [" + b"A," * 120_000 + b"]",
    "many wrong items": b"image: p\nbuildArgs: [" + b"A," * 9000 + b"]",
    "many unknown keys": b"".join(b"k%d: v\n" % i for i in range(9000)),
    "too long": b"image: " + b"x" * MAX_SIZE,
    "no UTF-8": b"image: p\nnetwork: \xff\xfe\xfd\n",
    "half a character": b"image: p\n# \xe2\x82\n",
    "NUL": b"image: p\x00q\n",
    "escape": b"image: p\nnetwork: \x1b[31m\n",
    "half an UTF-16 file": "image: p\n".encode("utf-16")[:-1],
    "surrogate": b'image: "\\uD800"\n',
    "tab": b"image:\n\t- p\n",
    "open quote": b'image: "p\n',
    "directive": b"%YAML 9.9\n---\nimage: p\n",
    "tag": b"!!python/object/apply:os.system ['true']\n",
    "only a comment": b"# nothing\n",
    "nothing": b"",
    "a list": b"- image\n",
    "a word": b"image\n",
    "a null": b"~\n",
    "a key that is a list": b"? [a, b]\n: c\n",
    "a key that is a mapping in config": b"image: p\nconfig: {sysctl: {? {a: b} : c}}\n",
    "a long number": b"image: p\nconfig: {oomScoreAdj: " + b"9" * 5000 + b"}\n",
    "a number without digits": b"image: p\nconfig: {oomScoreAdj: 0x_}\n",
}
VALID = ("billion laughs in a key",)


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_build_files(tmp_path: Path, name: str) -> None:
    began = time.process_time()
    found = package_problems(tmp_path, HOSTILE[name])
    assert found
    assert all(len(message) < 500 for message in found)
    assert time.process_time() - began < 10


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_settings(tmp_path: Path, name: str) -> None:
    found = problems(tmp_path, {"pkgtool.yml": HOSTILE[name]})
    assert all(isinstance(problem, ConfigError) for problem in found)
    assert found or not HOSTILE[name].strip()


def test_deep_nesting_does_not_crash_a_process_with_a_small_stack() -> None:
    """The size below which nesting isn't looked at must be harmless for C code on a stack of a megabyte."""
    script = (
        "import sys, threading; sys.path.insert(0, sys.argv[1]); threading.stack_size(1 << 20)\n"
        "from pkgtool.config.yaml_reader import Source, compose\n"
        "run = lambda: [compose(Source('f', c * (2048 // len(c)))) for c in (b'[', b'{', b'- ', b'? ', b'[{')]\n"
        "thread = threading.Thread(target=run); thread.start(); thread.join(); print('alive')"
    )
    done = subprocess.run([sys.executable, "-c", script, str(PROJECT)], capture_output=True, text=True)
    assert done.stdout == "alive\n", done


def as_bytes(document: str) -> bytes:
    return document.encode("utf-8", "surrogatepass")


@given(st.binary(max_size=200))
@example(b"\xff\xfe")
@example(b"\x00")
@example(b"image: p\n\x85x: \xc2\x85")
def test_random_bytes(content: bytes) -> None:
    for schema in (BuildFile, TreeFile):
        found, wrong = typed.read(Source("f", content), schema)
        assert (found is None) == bool(wrong)
        assert all(problem.location and problem.location.file == "f" for problem in wrong)


@given(st.text(alphabet=st.sampled_from("abpimage:-{}[]&*!|>'\"%@`,?#~ \n\t01\u00e9\u2028"), max_size=120))
def test_random_text_of_what_yaml_is_made_of(content: str) -> None:
    for schema in (BuildFile, TreeFile):
        found, wrong = typed.read(Source("f", content.encode()), schema)
        assert (found is None) == bool(wrong)


@settings(max_examples=60)
@given(documents())
def test_random_documents_with_real_keys(tmp_path: Path, content: str) -> None:
    """Every problem of what is read beyond the schema has its place too."""
    for problem in problems(tmp_path, {"pkg/p/build.yml": as_bytes(content)}):
        assert isinstance(problem, ConfigError)
        assert problem.location is not None
        assert problem.location.file == "pkg/p/build.yml"


@settings(max_examples=60)
@given(documents(of="tree"))
def test_random_settings_with_real_keys(tmp_path: Path, content: str) -> None:
    for problem in problems(tmp_path, {"pkgtool.yml": as_bytes(content), "pkg/p/build.yml": "image: p\n"}):
        assert isinstance(problem, ConfigError)
        assert problem.location is not None
