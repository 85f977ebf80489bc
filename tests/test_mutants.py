"""The list of the survivors of bench/mutants.py agrees with the code."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

from bench.mutations import mutants_of, stale

ROOT = Path(__file__).parents[1]


def test_every_listed_survivor_is_a_mutant_of_the_code() -> None:
    """A reason stands for the line that it was written for: a changed line needs its reason checked again."""
    assert stale(ROOT, json.loads((ROOT / "bench/survivors.json").read_text())) == []


def test_key_of_a_changed_line_or_file_is_stale(tmp_path: Path) -> None:
    """A key is stale if its line has changed or its file is gone; a moved line keeps its key."""
    module = tmp_path / "one.py"
    module.write_text("def one():\n    return 1\n")
    keys = [mutant.key for mutant in mutants_of(tmp_path, "one.py")]
    module.write_text(f"# moved\n{module.read_text()}")

    assert len(keys) == 2
    assert stale(tmp_path, keys) == []
    assert stale(tmp_path, [*keys, "gone.py: return None in return 1"]) == ["gone.py: return None in return 1"]
    module.write_text("def one():\n    return 0 + 1\n")
    assert stale(tmp_path, keys) == keys


def test_pass_fails_because_of_a_stale_key(tmp_path: Path) -> None:
    """A run in which every mutant is killed still fails if survivors.json lists a mutant that did not survive."""
    key = "app/one.py: return None in return 2"
    for folder in ("app", "bench", "tests"):
        (tmp_path / folder).mkdir()
    for name in ("mutants.py", "mutations.py"):
        shutil.copy(ROOT / "bench" / name, tmp_path / "bench")
    (tmp_path / "app/one.py").write_text("def one():\n    return 1\n")
    (tmp_path / "tests/test_one.py").write_text("from app import one\n\ndef test_one():\n    assert one.one() == 1\n")
    (tmp_path / "bench/survivors.json").write_text(json.dumps({key: "a reason"}))

    result = subprocess.run(
        [sys.executable, tmp_path / "bench/mutants.py", "--only", "app/one.py", "--jobs", "1"],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )

    assert "100.0% of 2 killed; 0 alive" in result.stdout, result.stdout + result.stderr
    assert key in result.stdout
    assert result.returncode == 1
