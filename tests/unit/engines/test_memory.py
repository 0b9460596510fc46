"""Memory that may be used, from the kernel's own files."""

from __future__ import annotations

from pathlib import Path

from pkgtool.engines import memory


def files(tmp_path: Path, **groups: tuple[str, str]) -> tuple[Path, Path, Path]:
    (tmp_path / "meminfo").write_text("MemTotal:  9 kB\nMemAvailable:      1000 kB\n")
    (tmp_path / "own").write_text("1:cpu:/old\n0::/outer/inner\n")
    for name, (limit, used) in groups.items():
        place = tmp_path / "groups" / name.replace("__", "/")
        place.mkdir(parents=True, exist_ok=True)
        (place / "memory.max").write_text(f"{limit}\n")
        (place / "memory.current").write_text(f"{used}\n")
    return tmp_path / "meminfo", tmp_path / "own", tmp_path / "groups"


def test_the_machines_free_memory(tmp_path: Path) -> None:
    assert memory.available(*files(tmp_path)) == 1000 * 1024


def test_the_narrowest_limit_above_counts(tmp_path: Path) -> None:
    places = files(tmp_path, outer=("5000", "2000"), outer__inner=("max", "1500"))
    assert memory.available(*places) == 3000


def test_a_limit_that_is_reached(tmp_path: Path) -> None:
    assert memory.available(*files(tmp_path, outer__inner=("100", "200"))) == 0


def test_a_machine_that_tells_nothing(tmp_path: Path) -> None:
    assert memory.available(tmp_path / "a", tmp_path / "b", tmp_path / "c") == 0
