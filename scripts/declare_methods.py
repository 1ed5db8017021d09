"""Write `src/backlit/attached.py`, which tells type checkers what `dialect` attaches to Tensors.

python scripts/declare_methods.py
"""

import ast
import inspect
import textwrap
from pathlib import Path

from backlit.dialect.attach import names
from backlit.tensor import Tensor

SOURCE = Path(__file__).parents[1] / "src" / "backlit"

HEAD = '''"""The names of what `dialect` attaches to the Tensor, for type checkers alone.

`scripts/declare_methods.py` writes them down, and a test compares.
"""

from __future__ import annotations

from typing import Any


class Methods:
    """What a Tensor has besides what its class says."""

    def _method(self, *given: Any, **named: Any) -> Any: ...

'''


def said() -> set[str]:
    """The names that the class's own body has, also those for type checkers."""
    body = ast.parse(inspect.getsource(Tensor)).body[0].body
    for node in list(body):
        if isinstance(node, ast.If):
            body.extend(node.body)
    found = {node.name for node in body if isinstance(node, ast.FunctionDef)}
    for node in body:
        if isinstance(node, ast.Assign):
            found |= {ast.unparse(target) for target in node.targets}
        elif isinstance(node, ast.AnnAssign):
            found.add(ast.unparse(node.target))
    return found


def text() -> str:
    """The module as it has to be."""
    attached = names() | {n for n in vars(Tensor) if not n.startswith("_")}
    attached -= said() | set(Tensor.__slots__)
    values = {n for n in attached if isinstance(vars(Tensor).get(n), property)}
    lines = textwrap.wrap(" = ".join(sorted(attached - values)), 80)
    declared = [f"    {line.strip(' =')} = _method" for line in lines]
    return HEAD + "\n".join([*declared, *(f"    {n}: Any" for n in sorted(values)), ""])


if __name__ == "__main__":
    (SOURCE / "attached.py").write_text(text(), "utf-8")
