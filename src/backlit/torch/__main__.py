"""`python -m backlit.torch script.py [arguments]`: a PyTorch script, run by Backlit."""

from __future__ import annotations

import sys

from .instead import run_as_python_would

if __name__ == "__main__":
    if len(sys.argv) < 2:
        raise SystemExit("usage: python -m backlit.torch script.py [arguments]")
    run_as_python_would(sys.argv[1], sys.argv[2:])
