"""`python -m backlit` is the command `backlit`."""

from .cli import main

if __name__ == "__main__":
    main(prog_name="backlit")
