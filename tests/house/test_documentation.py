"""Every code block of the README, CONTRIBUTING and the guide runs, and its output is compared.

    python    run; with `>>>` as a doctest. The blocks of a page share their names, in order.
    text      what the python block just before it must have printed
    console   `$ command` lines are run, the lines after each must be what it prints
    sh        for a person's shell: only `make` with targets that the Makefile has

A line `...` in what is expected stands for any lines.
"""

import contextlib
import doctest
import io
import linecache
import os
import re
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

import backlit
from backlit.array_api.dialects import SPOKEN
from sampling import every

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
PAGES = [p for p in PAGES if "_build" not in p.parts]
FENCE = re.compile(
    r"^(?P<fence>`{3,})(?P<language>[^\n`]*)\n(?P<code>.*?)^(?P=fence)[ ]*$", re.M | re.S
)
#: Directives of the page format: they hold markup, not code.
MARKUP = ("{toctree}", "{eval-rst}", "{note}", "{tip}", "{image}")


@dataclass(frozen=True)
class Block:
    language: str
    code: str
    line: int  # of the first line of the code
    start: int
    end: int


def blocks(text):
    for match in FENCE.finditer(text):
        line = text.count("\n", 0, match.start("code")) + 1
        language = match["language"].strip()
        yield Block(language, match["code"], line, match.start(), match.end())


def fits(expected, printed):
    """Whether the lines agree, where a line `...` stands for any number of lines."""
    lines = [line.rstrip() for line in expected.strip("\n").splitlines()]
    pattern = "".join(r"(?:.*\n)*?" if line == "..." else re.escape(line) + r"\n" for line in lines)
    text = "".join(f"{line.rstrip()}\n" for line in printed.strip("\n").splitlines())
    return re.fullmatch(pattern, text) is not None


def run_python(page, block, names):
    """Run a block and return what it printed."""
    if ">>>" in block.code:
        test = doctest.DocTestParser().get_doctest(
            block.code, names, page.name, str(page), block.line - 1
        )
        test.globs = names  # the parser makes a copy
        report = io.StringIO()
        runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
        runner.run(test, out=report.write, clear_globs=False)
        assert runner.failures == 0, f"{page.name}:{block.line}\n{report.getvalue()}"
        return None
    filename = f"{page.stem}.py"  # as a reader would have it
    linecache.cache[filename] = (len(block.code), None, block.code.splitlines(True), filename)
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(block.code, filename, "exec"), names)
    return printed.getvalue()


def run_console(page, block, directory):
    commands = re.split(r"^\$ ", block.code, flags=re.M)
    assert commands[0] == "", f"{page.name}:{block.line}: a console block starts with '$ '"
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    quiet = {"PATH": path, "COLUMNS": "80", "NO_COLOR": "1", "PYTHONIOENCODING": "utf-8"}
    for command in commands[1:]:
        line, _, expected = command.partition("\n")
        while line.endswith("\\"):
            more, _, expected = expected.partition("\n")
            line = line[:-1] + more
        done = subprocess.run(
            shlex.split(line),
            cwd=directory,
            env={**os.environ, **quiet},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=300,
            check=False,
        )
        where = f"{page.name}:{block.line}: {line}"
        assert fits(expected, done.stdout), f"{where} printed\n{done.stdout}"


def check_shell(page, block):
    """Commands for a fresh machine cannot run here, but they must at least exist."""
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.M))
    for line in block.code.splitlines():
        words = shlex.split(line, comments=True)
        if words:
            assert words[0] == "make", f"{page.name}:{block.line}: {line!r} is never tried"
            unknown = {w for w in words[1:] if "=" not in w} - targets
            assert not unknown, f"{page.name}:{block.line}: the Makefile has no {unknown}"


@pytest.mark.parametrize("page", PAGES, ids=[str(p.relative_to(ROOT)) for p in PAGES])
def test_code_blocks_do_what_the_page_says(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    backlit.manual_seed(0)
    text = page.read_text("utf-8")
    monkeypatch.setattr(SPOKEN, "pytorch", "import backlit.torch" in text)
    names = {"__name__": "__main__"}
    before, printed = None, None
    for block in blocks(text):
        where = f"{page.name}:{block.line}"
        if block.language == "python":
            printed = run_python(page, block, names)
        elif block.language == "text":
            between = text[before.end : block.start] if before is not None else "nothing"
            assert before is not None, f"{where}: no code prints this"
            assert before.language == "python", f"{where}: no code prints this"
            assert not between.strip(), f"{where}: no code prints this"
            assert fits(block.code, printed), f"{where}: printed\n{printed}"
        elif block.language == "console":
            run_console(page, block, tmp_path)
        elif block.language == "sh":
            check_shell(page, block)
        else:
            assert block.language in MARKUP, f"{where}: a block of {block.language!r} is not tested"
        before = block


@every("page", PAGES)
def test_links_between_files_lead_somewhere(page):
    text = FENCE.sub("", page.read_text("utf-8"))
    for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", text):
        if not re.match(r"[a-z]+:", target):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_fits_compares_lines_and_knows_the_ellipsis():
    assert fits("a\n...\nd\n", "a\nb\nc\nd\n")
    assert fits("a  \nb", "a\nb  \n")
    assert not fits("a\nb\n", "a\n")
    assert not fits("a\n...\n", "b\nc\n")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("```python\nprint(1)\n```\n\n```text\n2\n```\n", "page.md:6: printed"),
        ("```python\n>>> 1 + 1\n3\n```\n", "Got:"),
        ("```text\n2\n```\n", "no code prints this"),
        ("```console\n$ backlit --version\nsomething else\n```\n", "backlit --version printed"),
        ("```sh\nmake coffee\n```\n", "the Makefile has no {'coffee'}"),
        ("```sh\nrm -rf x\n```\n", "is never tried"),
        ("```ruby\nputs 1\n```\n", "a block of 'ruby' is not tested"),
    ],
)
def test_blocks_that_lie_are_found(text, complaint, tmp_path, monkeypatch):
    page = tmp_path / "page.md"
    page.write_text(text)
    with pytest.raises(AssertionError, match=re.escape(complaint)):
        test_code_blocks_do_what_the_page_says(page, tmp_path, monkeypatch)
