"""Programs in a process of their own, for several test files."""

import os
import subprocess
import sys


def printed(program: str, *options: str, timeout: float = 150, **environment: str) -> str:
    """What a program prints; it must end well. `options` are Python's, as `-W ignore`."""
    done = subprocess.run(
        [sys.executable, *options, "-c", program],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout
