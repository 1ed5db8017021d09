# Everything this project can do, each by one command on a machine with Python 3.11 or newer.
#
#     make demo      install, train a network on handwritten digits, say where the results are
#     make test      install, run the tests, the docstrings' examples and the documentation's
#     make check     run a part of the tests, for a first answer in a minute
#     make long      run the tests that check one thing in many ways
#     make lint      style, format and types
#     make parity    compare values and gradients with PyTorch (installs it)
#     make docs      build the guide and the reference into docs/_build/html
#     make bench     time training steps and eager ops beside PyTorch and JAX (installs them)
#     make reproduce train on real data beside PyTorch (installs it), and print one table
#     make picture   draw the README's picture anew from real output
#     make clean     remove what the commands above have made
#
# All of them share one virtual environment, .venv. Installing is skipped while pyproject.toml is
# the same as when it was last done.

VENV := .venv
BIN := $(VENV)/bin
RUN := $(BIN)/python
INSTALL := $(RUN) -m pip install --quiet --disable-pip-version-check
JOBS ?= 2
# Tests of a file share what they have made once: one process runs them all.
TOGETHER := --dist loadfile

.PHONY: help demo test check long lint parity docs bench reproduce picture clean
.DELETE_ON_ERROR:

help:
	@sed -n 's/^#     make/  make/p' Makefile

demo: $(VENV)/.data
	$(BIN)/backlit train digits --out runs/digits

# Each test process has one core's share: BLAS threads of its own would only get in the way.
# Machine code that tests compile is kept inside the environment, not in the user's home.
test check long parity: export OPENBLAS_NUM_THREADS = 1
test check long parity: export BACKLIT_CACHE = $(CURDIR)/$(VENV)/cache
# Nor are modules compiled anew in each process, also where the environment asks for that.
test check long parity: export PYTHONDONTWRITEBYTECODE =

# The functions of the front have their examples tested in the modules where they are written.
test: $(VENV)/.test
	$(RUN) -m pytest -n $(JOBS) $(TOGETHER) -m "not parity and not long" \
		--doctest-modules --deselect src/backlit/__init__.py src/backlit tests

check: $(VENV)/.test
	$(RUN) -m pytest -n $(JOBS) $(TOGETHER) -m "not parity" --quick tests

long: $(VENV)/.test
	$(RUN) -m pytest -n $(JOBS) -m long tests

lint: $(VENV)/.lint
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

parity: $(VENV)/.parity
	$(RUN) -m pytest -n $(JOBS) -m parity tests/parity

docs: $(VENV)/.docs
	$(RUN) -m sphinx --builder html --fresh-env --fail-on-warning --keep-going --quiet \
		--doctree-dir docs/_build/doctrees docs docs/_build/html
	@echo "Open docs/_build/html/index.html."

# For example: make bench BENCH="--only mlp,gpt --quick"
bench: $(VENV)/.bench
	$(RUN) -m bench $(BENCH)
	$(RUN) -m bench.eager_ops
	$(RUN) -m bench.loading

# For example: make reproduce REPRODUCE="--only mnist --seeds 1 --data FOLDER"
reproduce: $(VENV)/.parity
	$(RUN) -m bench.reproduce $(REPRODUCE)

picture: $(VENV)/.test
	$(RUN) scripts/draw_picture.py

clean:
	rm -rf $(VENV) docs/_build build dist bench/results .pytest_cache .mypy_cache .ruff_cache \
		.hypothesis

# One stamp for each extra of pyproject.toml: older than that file means "install again".
$(VENV)/.%: pyproject.toml | $(VENV)/.created
	$(INSTALL) --editable ".[$*]"
	@touch $@

$(VENV)/.created:
	@for python in $(PYTHON) python3 python3.14 python3.13 python3.12 python3.11 python; do \
		if $$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
			echo "$$python -m venv $(VENV)"; \
			$$python -m venv --clear $(VENV) && touch $@; \
			exit; \
		fi; \
	done; \
	echo "make: Python 3.11 or newer is needed and was not found;" \
		"install it, or name it: make PYTHON=/path/to/python3" >&2; \
	exit 1
