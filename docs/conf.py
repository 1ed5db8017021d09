"""How `make docs` builds the guide and the reference.

The reference lists what a package offers by itself (`Public`), so nothing new can be forgotten.
Everything a page needs is in the built folder: formulas become MathML while building, and a page
that would load something from elsewhere fails the build. Docstrings are plain text with `code`,
indented formulas and examples; `_as_rst` makes reStructuredText of them.
"""

import importlib
import inspect
import pkgutil
import re
from pathlib import Path
from types import ModuleType
from typing import ClassVar

import latex2mathml.converter
from docutils import nodes
from docutils.parsers.rst import directives
from pygments import token
from pygments.lexer import RegexLexer, bygroups
from sphinx.application import Sphinx
from sphinx.errors import ExtensionError
from sphinx.util.docutils import SphinxDirective
from sphinx.util.math import get_node_equation_number
from sphinx.util.parsing import nested_parse_to_nodes

import backlit

project = "Backlit"
author = "the Backlit authors"
release = version = backlit.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc"]
exclude_patterns = ["_build"]
myst_enable_extensions = ["dollarmath", "deflist", "colon_fence"]
myst_heading_anchors = 3
smartquotes = False  # what stands in quotes is often code
highlight_language = "python"
pygments_style = "friendly"

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_default_options = {"members": True}
python_use_unqualified_type_names = True
add_module_names = False
toc_object_entries_show_parents = "hide"

html_theme = "furo"
html_title = f"Backlit {release}"
html_static_path = ["_static"]
html_css_files = ["backlit.css"]
html_show_sourcelink = False
html_copy_source = False
html_math_renderer = "mathml"
html_theme_options = {
    "light_css_variables": {"color-brand-primary": "#0b6e4f", "color-brand-content": "#0b6e4f"},
    "dark_css_variables": {"color-brand-primary": "#5fd3a6", "color-brand-content": "#5fd3a6"},
    "footer_icons": [],
}


# -- formulas -----------------------------------------------------------------------------------


def _inline_math(translator, node):
    translator.body.append(latex2mathml.converter.convert(node.astext()))
    raise nodes.SkipNode


def _block_math(translator, node):
    mathml = latex2mathml.converter.convert(node.astext(), display="block")
    number = get_node_equation_number(translator, node) if node["number"] else ""
    translator.body.append(f'<div class="math">{mathml}{number}</div>')
    raise nodes.SkipNode


# -- terminals ----------------------------------------------------------------------------------


class Terminal(RegexLexer):
    """Commands and what they print; `backlit grad` in its own colours."""

    name = "console"
    _value, _gradient, _role = token.Generic.Inserted, token.Generic.Deleted, token.Name.Function
    tokens: ClassVar = {
        "root": [
            (r"^(\$ )(.*\n)", bygroups(token.Generic.Prompt, token.Generic.Strong)),
            (
                r"((?:up|down)stream |local )((?:(?!   ).)*? = )?"
                r"((?=[-−\d\[I∘]|diag).+?)(?=   |\n)",
                bygroups(token.Text, token.Text, _gradient),
            ),
            (r"(∂\S+ *= )(.*?)(?= = |\n)", bygroups(token.Text, _gradient)),
            (
                r"(?:\b\w+|[+−×÷@]) "
                r"(?:distributes|shares|routes|switches|scales|mixes|moves|adds)\b",
                _role,
            ),
            (r"(?<= = )(?:[-−]?[\d.]\S*|\[.*?\](?=  |\n))", _value),
            (r"\w+|\s|.", token.Text),
        ]
    }


# -- docstrings ---------------------------------------------------------------------------------


_FORMULA = [".. code-block:: text", "   :class: formula", ""]


def _as_rst(text: str) -> list[str]:
    """A docstring as reStructuredText: blocks are examples, formulas (indented) or prose."""
    lines: list[str] = []
    for block in re.split(r"\n[ ]*\n", text):
        rows = [row for row in block.split("\n") if row.strip()]
        if not rows:
            continue
        indent = min(len(row) - len(row.lstrip()) for row in rows)
        if rows[0].lstrip().startswith(">>>"):
            lines += [".. code-block:: pycon", "", *(f"   {row[indent:]}" for row in rows), ""]
        elif indent >= 4:
            lines += [*_FORMULA, *(f"   {row[indent:]}" for row in rows), ""]
        else:
            lines += _mixed(rows)
    return lines


def _mixed(rows: list[str]) -> list[str]:
    """Prose, in which a list or an indented formula may follow a line without a blank one."""
    lines: list[str] = []
    inside = ""
    for row in rows:
        stripped = row.lstrip()
        if inside == "list" and row.startswith("  ") and not stripped.startswith("- "):
            lines.append(f"  {_escaped(stripped)}")
            continue
        kind = "list" if stripped.startswith("- ") else "formula" if row.startswith("    ") else ""
        if kind != inside:
            lines += ["", *_FORMULA] if kind == "formula" else [""]
        inside = kind
        if kind == "formula":
            lines.append(f"   {row[4:]}")
        else:
            lines.append(f"- {_escaped(stripped[2:])}" if kind else _escaped(row))
    return [*lines, ""]


def _escaped(text: str) -> str:
    """Nothing in prose is markup but `code`."""
    pieces = re.split(r"(`[^`]+`)", text)
    return "".join(
        f"`{piece}`" if i % 2 else re.sub(r"([\\*_|`])", r"\\\1", piece)
        for i, piece in enumerate(pieces)
    )


def _process_docstring(app, what, name, obj, options, lines):
    lines[:] = _as_rst("\n".join(lines))


# -- what a package offers ----------------------------------------------------------------------


class Public(SphinxDirective):
    """`.. public:: backlit.nn`: every public class and function, under the module it stands in.

    Public is what `__all__` lists; without that, what the package has that is its own. `from` keeps
    to names that stand in some module, `submodules` looks into the package's modules instead. What
    a page has already is not told again.
    """

    required_arguments = 1
    option_spec: ClassVar = {"from": directives.unchanged, "submodules": directives.flag}

    def run(self) -> list[nodes.Node]:
        """The documentation of all that is public."""
        package = importlib.import_module(self.arguments[0])
        groups: dict[str, list[str]] = {}
        told = self.env.temp_data.setdefault("public", set())  # of this page
        for path, thing in self.offered(package):
            if thing in told:
                continue
            told.add(thing)
            groups.setdefault(thing.__module__, []).append(self.entry(path, thing))
        lines = []
        for module, entries in groups.items():
            title = module.rpartition(".")[2].replace("_", " ").capitalize()
            about = inspect.getdoc(importlib.import_module(module)) or ""
            lines += [title, "-" * len(title), "", *_as_rst(about), "", *entries, ""]
        return nested_parse_to_nodes(self.state, "\n".join(lines), allow_section_headings=True)

    def offered(self, package: ModuleType):
        """Paths and things in the order of the modules they stand in."""
        modules = [package]
        if "submodules" in self.options:
            found = pkgutil.iter_modules(package.__path__, f"{package.__name__}.")
            modules = [importlib.import_module(m.name) for m in found]
        origin = self.options.get("from", "backlit.")
        things = []
        for module in modules:
            for name in getattr(module, "__all__", None) or vars(module):
                thing = getattr(module, name)
                own = getattr(thing, "__module__", None) or ""
                listed = hasattr(module, "__all__") or own.startswith(package.__name__)
                public = own.startswith(origin) and not name.startswith("_")
                if listed and public and (inspect.isclass(thing) or inspect.isroutine(thing)):
                    things.append((f"{module.__name__}.{name}", thing))
        return sorted(things, key=lambda pair: pair[1].__module__)

    def entry(self, path: str, thing) -> str:
        """The directive that documents one thing."""
        if not inspect.isclass(thing):
            return f".. autofunction:: {path}"
        if issubclass(thing, backlit.Op) and thing.__module__.startswith("backlit.ops"):
            hidden = "forward, backward, infer, check, save"
            return f".. autoclass:: {path}()\n   :exclude-members: {hidden}"
        if issubclass(thing, backlit.nn.Module) and thing is not backlit.nn.Module:
            return f".. autoclass:: {path}\n   :exclude-members: forward, extra_repr"
        if thing is backlit.train.Trainer:  # with what is known of its training
            return f".. autoclass:: {path}\n   :inherited-members:"
        return f".. autoclass:: {path}"


# -- no page loads anything from elsewhere ------------------------------------------------------

_LOADED = re.compile(
    r"""<(?:script|img|iframe|source)\b[^>]*\bsrc=["'](?:https?:)?//"""
    r"""|<link\b(?=[^>]*stylesheet|[^>]*preload|[^>]*icon)[^>]*\bhref=["'](?:https?:)?//"""
    r"""|@import\s+(?:url\()?["']?(?:https?:)?//|url\(["']?(?:https?:)?//""",
    re.IGNORECASE,
)


def _refuse_remote_assets(app: Sphinx, exception: Exception | None) -> None:
    if exception is not None:
        return
    for path in sorted(Path(app.outdir).rglob("*")):
        if path.suffix in (".html", ".css", ".svg") and _LOADED.search(path.read_text("utf-8")):
            raise ExtensionError(f"{path} loads something that is not part of the pages")


def setup(app: Sphinx) -> None:
    """Called by Sphinx."""
    app.add_lexer("console", Terminal)
    app.add_directive("public", Public)
    app.add_html_math_renderer("mathml", (_inline_math, None), (_block_math, None))
    app.connect("autodoc-process-docstring", _process_docstring)
    app.connect("build-finished", _refuse_remote_assets)
