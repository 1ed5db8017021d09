"""The repository's outside: commands, dependencies, floors, the picture."""

import ast
import functools
import html
import importlib.util
import os
import re
import subprocess
import tomllib
from pathlib import Path

import pytest

import backlit
from apart import printed

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "backlit"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
MAKEFILE = (ROOT / "Makefile").read_text("utf-8")


# -- commands -----------------------------------------------------------------------------------


def test_every_make_target_is_explained():
    targets = set(re.search(r"^\.PHONY: (.*)$", MAKEFILE, re.M)[1].split()) - {"help"}
    explained = set(re.findall(r"^#     make (\w+)", MAKEFILE, re.M))
    defined = set(re.findall(r"^([a-z]+):", MAKEFILE, re.M)) - {"help"}
    assert targets == explained == defined


def test_every_stamp_is_an_extra():
    stamps = set(re.findall(r"\$\(VENV\)/\.(\w+)", MAKEFILE)) - {"created"}
    assert stamps <= set(PROJECT["project"]["optional-dependencies"])


def test_all_comparisons_with_pytorch_stand_in_one_folder():
    """`make parity` looks nowhere else, and nobody else needs PyTorch."""
    for path in (ROOT / "tests").rglob("*.py"):
        text = path.read_text("utf-8")
        marked = "pytest.mark." + "parity" in text
        imported = re.search(r"^\s*(import|from) torch\b|importorskip\(.torch", text, re.M)
        if path.parent.name == "parity":
            assert path.name == "conftest.py" or marked, f"{path} is not marked"
        else:
            assert not marked, path
            assert not imported or "dialect" in path.parts, path  # where it means Backlit's own


def test_the_gate_runs_tests_linters_and_parity():
    script = ROOT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    assert "for step in test lint parity; do" in script.read_text("utf-8")


def test_the_gate_fails_when_one_step_fails(tmp_path):
    (tmp_path / ".ci").mkdir()
    gate = tmp_path / ".ci" / "run"
    gate.write_text((ROOT / ".ci" / "run").read_text("utf-8"))
    makefile = "test:\n\t@echo '===== 3 passed in 0.12s ====='\nlint:\n\t@false\nparity:\n\t@true\n"
    (tmp_path / "Makefile").write_text(makefile)
    quiet = {k: v for k, v in os.environ.items() if not k.startswith("MAKE")}
    failed = subprocess.run(["sh", gate], capture_output=True, text=True, env=quiet, check=False)
    assert failed.returncode == 1
    assert failed.stdout.endswith(
        "make test: passed  ===== 3 passed in 0.12s =====\nmake lint: FAILED\nmake parity: passed\n"
    )
    (tmp_path / "Makefile").write_text(makefile.replace("false", "true"))
    passed = subprocess.run(["sh", gate], capture_output=True, text=True, env=quiet, check=False)
    assert passed.returncode == 0


def test_make_says_so_when_python_is_missing(tmp_path):
    (tmp_path / "Makefile").write_text(MAKEFILE)
    (tmp_path / "pyproject.toml").touch()
    tools = tmp_path / "tools"
    tools.mkdir()
    for tool in ("make", "sh"):
        (tools / tool).symlink_to(
            next(p for d in os.get_exec_path() if (p := Path(d) / tool).exists())
        )
    done = subprocess.run(
        [str(tools / "make"), "test"],
        cwd=tmp_path,
        env={"PATH": str(tools)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    assert "Python 3.11 or newer is needed and was not found" in done.stderr


# -- the package --------------------------------------------------------------------------------


def test_core_dependencies_are_few():
    names = {re.match(r"[\w-]+", d)[0] for d in PROJECT["project"]["dependencies"]}
    assert names == {"numpy", "ml_dtypes", "llvmlite", "safetensors", "rich", "click"}


def test_the_package_says_what_it_is():
    project = PROJECT["project"]
    assert project["requires-python"] == ">=3.11"
    assert project["version"] == backlit.__version__
    assert (SOURCE / "py.typed").exists()
    assert "MIT License" in (ROOT / "LICENSE").read_text("utf-8")
    assert f"## {backlit.__version__}" in (ROOT / "CHANGELOG.md").read_text("utf-8")


@pytest.mark.slow
def test_importing_the_package_loads_nothing_that_few_need():
    """Each of these takes 15 to 80 ms. They are loaded when they are asked for."""
    code = (
        "import sys, backlit\n"
        "late = ('llvmlite', 'multiprocessing', 'http', 'ssl', 'rich', 'urllib.request')\n"
        "late += ('backlit.models', 'backlit.see', 'backlit.train')\n"
        "print([m for m in late if m in sys.modules])\n"
        "print([m for m in ('models', 'see', 'train') if m not in dir(backlit)])\n"
        "print(backlit.see.draw, backlit.models.mlp, backlit.train.Trainer)"
    )
    first, second, _ = printed(code).splitlines()
    assert first == second == "[]"


@pytest.mark.slow
def test_importing_the_package_does_not_need_optional_packages():
    code = (
        "import sys\n"
        "for name in ('sklearn', 'scipy', 'torch', 'matplotlib'):\n"
        "    sys.modules[name] = None\n"
        "import backlit, backlit.see, backlit.cli, backlit.train\n"
    )
    printed(code)


#: The floors of the house, lowest first. A module imports from its own floor and from those below.
FLOORS = [
    {"errors", "table", "files", "location", "attached"},
    {"dtypes", "changes", "facts", "foreign", "spelling", "calls"},
    {"backend", "op", "tree"},
    {"ops", "state"},
    {"tape"},
    {"conversion", "execution"},
    {"tensor"},
    {"precision", "promotion", "gates", "widened"},
    {"array_api"},
    {"autograd"},
    {"batch_rules", "batching"},
    {"transforms", "finite_differences", "gradcheck", "roughness", "scanning"},
    {"random", "linalg", "compiler"},
    {"nn", "optim", "data"},
    {"dialect", "distributions"},
    {"see", "models", "interop"},
    {"train"},
    {""},  # the package's own front
    {"recipes"},
    {"torch", "torchvision"},
    {"cli"},
    {"__main__"},
]
FLOOR_OF = {name: number for number, floor in enumerate(FLOORS) for name in floor}


def modules():
    """Each module by its name within the package."""
    for path in sorted(SOURCE.rglob("*.py")):
        parts = path.relative_to(SOURCE).with_suffix("").parts
        yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts), path


NAMES = {name for name, _ in modules()}


@functools.cache
def imported(path):
    """(line, module) for each import in a file: in functions and for type checkers, too."""
    found = []
    package = ("backlit", *path.relative_to(SOURCE).parts[:-1])
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            full = (*base, *(node.module.split(".") if node.module else ()))
            names = [(*full, alias.name) for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [tuple(alias.name.split(".")) for alias in node.names]
        else:
            continue
        for name in names:
            if name[0] == "backlit":
                inside = ".".join(name[1:])
                found.append((node.lineno, inside if inside in NAMES else ".".join(name[1:-1])))
    return found


def imports():
    """For each module the others that it imports."""
    return {name: {other for _, other in imported(path)} - {name} for name, path in modules()}


def reached(start, known):
    """The modules that a module imports, directly or not."""
    found, front = set(), [start]
    while front:
        new = known.get(front.pop(), set()) - found
        found |= new
        front += new
    return found


def test_every_part_of_the_package_has_a_floor():
    assert {name.partition(".")[0] for name in NAMES} <= set(FLOOR_OF)


def test_imports_run_downward():
    """Also those inside functions, and those for type checkers only."""
    wrong = []
    for name, path in modules():
        for line, other in imported(path):
            if FLOOR_OF[other.partition(".")[0]] > FLOOR_OF[name.partition(".")[0]]:
                wrong.append(f"{path.relative_to(ROOT)}:{line}: imports backlit.{other}")
    assert not wrong, "\n".join(wrong)


def test_modules_import_each_other_in_no_circle():
    found = {name: reached(name, imports()) for name in imports()}
    circles = {frozenset(o for o in found[n] if n in found[o]) for n in found if n in found[n]}
    assert not circles, "\n".join(", ".join(sorted(modules)) for modules in circles)


def test_type_checkers_know_the_name_that_hides_code_from_them():
    """They know it by its spelling only: under another name they read what must be hidden."""
    for path in SOURCE.rglob("*.py"):
        assert "_TYPE_CHECKING" not in path.read_text("utf-8"), path


#: The rooms of the two largest parts, lowest first, and the modules beside them.
ROOMS = {
    "compiler": "forks capture llvm contraction lower loops plan eager api",
    "see": "told records problem checks show formula find measure plot",
}


@pytest.mark.parametrize("part", ROOMS)
def test_no_room_knows_a_later_one(part):
    order = ROOMS[part].split()
    inside = {n: others for n, others in imports().items() if n.startswith(f"{part}.")}
    rooms = {name: name.split(".")[1] for name in inside}
    assert set(rooms.values()) == set(order)
    wrong = [
        f"{name} imports {other}"
        for name, others in inside.items()
        for other in others & set(inside)
        if order.index(rooms[other]) > order.index(rooms[name])
    ]
    assert not wrong, "\n".join(sorted(wrong))


def test_every_kind_of_kernel_that_is_loops_has_a_writer():
    from backlit.compiler.loops.kernels import WRITERS
    from backlit.compiler.lower.kinds import CONTRACTION, NATIVE, NONFINITE

    assert {*NATIVE, NONFINITE} - {CONTRACTION} == set(WRITERS)


#: The floors on which an op runs. What it imports late, it imports each time.
GROUND = {name for name, floor in FLOOR_OF.items() if floor <= FLOOR_OF["transforms"]}


@pytest.mark.slow
def test_no_function_of_the_ground_floor_imports_anything():
    for name, path in modules():
        for function in ast.walk(ast.parse(path.read_text("utf-8"))):
            if name.partition(".")[0] in GROUND and isinstance(function, ast.FunctionDef):
                late = any(isinstance(n, ast.Import | ast.ImportFrom) for n in ast.walk(function))
                assert not late, f"{path.relative_to(ROOT)}: {function.name}"


#: Attributes that are assigned outside `__init__` and belong to a base class of another package.
BORROWED = {
    ("Tape", "virtual_size"): "Textual's: how far the view can be scrolled",
    ("Stepper", "theme"): "Textual's: the colours",
}
_BEGINNINGS = ("__init__", "__new__", "__enter__", "__post_init__")


def classes():
    """(path, class) for each class of the package."""
    for path in sorted(SOURCE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.ClassDef):
                yield path, node


def assigned(function):
    """The attributes that a method assigns on its first argument."""
    if not function.args.args:
        return set()
    me = function.args.args[0].arg
    return {
        x.attr
        for x in ast.walk(function)
        if isinstance(x, ast.Attribute) and isinstance(x.ctx, ast.Store)
        if isinstance(x.value, ast.Name) and x.value.id == me
    }


def declared(node):
    """The attributes that a class has from the start: by its body, its slots, its beginnings."""
    fields = any("dataclass" in ast.unparse(d) for d in node.decorator_list)
    names = set()
    for statement in node.body:
        if isinstance(statement, ast.AnnAssign) and (fields or statement.value is not None):
            names.add(ast.unparse(statement.target))
        elif isinstance(statement, ast.Assign):
            names |= {ast.unparse(target) for target in statement.targets}
            if ast.unparse(statement.targets[0]) == "__slots__":
                names |= set(ast.literal_eval(statement.value))
        elif isinstance(statement, ast.FunctionDef):
            names.add(statement.name)  # a property with a setter is no attribute
            if statement.name in _BEGINNINGS:
                names |= assigned(statement)
    return names


@pytest.mark.slow
def test_no_attribute_is_born_outside_init():
    """Whoever reads `__init__` knows all of an object's state."""
    own, bases, late = {}, {}, []
    for path, node in classes():
        own.setdefault(node.name, set()).update(declared(node))
        parents = {ast.unparse(b).split("[")[0].split(".")[-1] for b in node.bases}
        bases.setdefault(node.name, set()).update(parents)
        for method in node.body:
            if isinstance(method, ast.FunctionDef):
                late += [(path, node.name, method.name, name) for name in assigned(method)]

    def has(kind, name):
        return name in own.get(kind, ()) or any(
            has(b, name) for b in bases.get(kind, {kind}) - {kind}
        )

    wrong = [
        f"{path.relative_to(ROOT)}: {kind}.{name} is first set in {method}"
        for path, kind, method, name in late
        if not has(kind, name) and (kind, name) not in BORROWED
    ]
    assert not wrong, "\n".join(sorted(wrong))


@pytest.mark.slow
def test_no_function_is_longer_than_a_page():
    long = [
        f"{path.relative_to(ROOT)}:{node.lineno}: {node.name} has {length} lines"
        for path in sorted(SOURCE.rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        if (length := node.end_lineno - node.lineno + 1) > 80
    ]
    assert not long, "\n".join(long)


#: Lists of three or more names that ops have too, and what they are names of.
NO_OPS = {
    "compiler/eager.py": "functions of the namespace that have native versions",
    "see/checks/numpy_functions.py": "NumPy's functions as users call them, and arrays' methods",
    "see/checks/numpy_names.py": "NumPy's functions as a user's text has them",
    "see/records/value.py": "what is measured of an array",
}


def listed(node, names):
    """The names that a literal collection lists, also several in one text."""
    if isinstance(node, ast.Dict):
        entries = node.keys
    elif isinstance(node, ast.Tuple | ast.List | ast.Set):
        entries = node.elts
    else:
        return set()
    texts = [e.value for e in entries if isinstance(e, ast.Constant) and isinstance(e.value, str)]
    return {word for text in texts for word in text.split() if set(text.split()) <= names}


@pytest.mark.slow
def test_what_is_known_of_ops_stands_on_them_and_in_no_table():
    ops = set(backlit.op.REGISTRY)
    tables = set()
    for room in ("compiler", "see"):
        for path in sorted((SOURCE / room).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text("utf-8"))):
                if len(listed(node, ops)) >= 3:
                    tables.add(path.relative_to(SOURCE).as_posix())
    assert tables == set(NO_OPS), "a fact of an op is an attribute of its class: see backlit/op.py"


@pytest.mark.slow
def test_every_module_says_what_it_is():
    for path in SOURCE.rglob("*.py"):
        doc = ast.get_docstring(ast.parse(path.read_text("utf-8")))
        assert doc, f"{path} has no docstring"
        assert len(doc.splitlines()[0]) <= 100


def test_no_paths_of_one_machine_and_no_registries_in_the_tree():
    private = re.compile(
        "|".join(("/ro" + "ot/", "/wo" + "rk/", "pypi" + r"\.org", "index" + "-url"))
    )
    listed = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if listed.returncode:
        pytest.skip("this is not a git checkout")
    for name in listed.stdout.splitlines():
        path = ROOT / name
        readable = path.suffix in (".py", ".md", ".rst", ".toml", ".css") or "." not in path.name
        if readable and path.exists():
            found = private.search(path.read_text("utf-8"))
            assert found is None, f"{name}: {found}"


def test_the_map_of_the_house_names_every_module_of_its_three_largest_parts():
    text = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    chapters = text.split("### From a function to native code")[1].split("## Add an op")[0]
    compiling, chapters = chapters.split("### From a computation to a picture")
    seeing, training = chapters.split("### From a batch to a checkpoint")

    def children(folder):
        rooms = {f"{p.name}/" for p in folder.iterdir() if (p / "__init__.py").exists()}
        files = [*folder.glob("*.py"), *(p for r in rooms for p in (folder / r).glob("*.py"))]
        return rooms | {p.stem for p in files if p.stem != "__init__"}

    wanted = {compiling: "compiler", seeing: "see", training: "train"}
    for chapter, part in wanted.items():
        names = children(SOURCE / part)
        missing = names - set(re.findall(r"`([\w/]+)`", chapter))
        assert not missing, f"CONTRIBUTING.md does not say what is in {sorted(missing)}"


# -- the pictures -------------------------------------------------------------------------------


@pytest.fixture
def draw():
    spec = importlib.util.spec_from_file_location("draw", ROOT / "scripts" / "draw_picture.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_drawn_graph_is_what_see_draws_today(draw):
    kept = (ROOT / "docs" / "graph.svg").read_text("utf-8")
    assert kept == draw.graph(), "run `make picture`"
    assert "switcher" in kept


def test_the_picture_shows_what_is_printed_today(draw):

    def words(svg):
        pieces = re.findall(r"<text[^>]*>(.*?)</text>", svg, re.S)
        return " ".join(" ".join(map(html.unescape, pieces)).split())

    kept = (ROOT / "docs" / "picture.svg").read_text("utf-8")
    assert words(kept) == words(draw.picture()), "run `make picture`"
    assert "× switches" in words(kept)
    assert "url(http" not in kept
