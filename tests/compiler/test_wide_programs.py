"""Random programs of many kinds in processes of their own: whatever ends one is seen."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from sampling import one_in

TESTS = Path(__file__).parents[1]
PROGRAMS = [sys.executable, "-W", "ignore", "-m", "compiler.wide_programs"]


def run(what: str, start: int, stop: int) -> None:
    environment = {**os.environ, "BACKLIT_CACHE": "", "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run(
        [
            sys.executable,
            "-W",
            "ignore",
            "-m",
            "compiler.wide_programs",
            what,
            str(start),
            str(stop),
        ],
        cwd=TESTS,
        env=environment,
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    last = done.stdout.split()[-1:]
    assert done.returncode == 0, f"program {last}, exit {done.returncode}\n{done.stderr[-3000:]}"
    assert last == [str(stop - 1)]


@pytest.mark.slow
@pytest.mark.parametrize("start", one_in(20, range(0, 80, 4)))
def test_wide_programs_do_natively_what_the_interpreter_does(start: int) -> None:
    run("compare", start, start + 4)


@pytest.mark.slow
@pytest.mark.parametrize("start", one_in(10, range(1000, 1040, 4)))
def test_wide_programs_are_compiled(start: int) -> None:
    run("compile", start, start + 4)
