"""How `make docs` builds the guide and the reference.

Everything a page needs is in the built folder: formulas become MathML while building, and a page
that would load something from elsewhere fails the build. Docstrings are plain text with `code`,
indented formulas and examples; `_as_rst` makes reStructuredText of them.
"""

import re
from pathlib import Path

import latex2mathml.converter
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.errors import ExtensionError
from sphinx.util.math import get_node_equation_number

import backlit

project = "Backlit"
author = "the Backlit authors"
release = version = backlit.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc"]
exclude_patterns = ["_build"]
myst_enable_extensions = ["dollarmath", "deflist", "colon_fence"]
myst_heading_anchors = 3
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


# -- docstrings ---------------------------------------------------------------------------------


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
            lines += ["::", "", *(f"   {row[indent:]}" for row in rows), ""]
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
            lines += ["", "::", ""] if kind == "formula" else [""]
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
    app.add_html_math_renderer("mathml", (_inline_math, None), (_block_math, None))
    app.connect("autodoc-process-docstring", _process_docstring)
    app.connect("build-finished", _refuse_remote_assets)
