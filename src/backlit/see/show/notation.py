"""The chain rule's formulas in three notations: Unicode, LaTeX and MathML."""

from __future__ import annotations

import re
from html import escape
from typing import ClassVar, Protocol


class Notation(Protocol):
    """What a notation can write. What is said here is plain text."""

    dots: ClassVar[str] = "…"

    def partial(self, top: str, bottom: str) -> str:
        """∂top/∂bottom."""

    def text(self, text: str) -> str:
        """A number."""
        return text

    def product(self, factors: list[str]) -> str:
        """Factors side by side."""

    def sum(self, terms: list[str]) -> str:
        """Terms with plus signs."""
        return " + ".join(terms)

    def equation(self, sides: list[str]) -> str:
        """Sides with equals signs, as a whole formula."""
        return " = ".join(sides)


class Unicode(Notation):
    """Formulas for a terminal."""

    def partial(self, top: str, bottom: str) -> str:
        """∂top/∂bottom."""
        return f"∂{top}/∂{bottom}"

    def product(self, factors: list[str]) -> str:
        """Factors side by side."""
        return "·".join(factors)


class Latex(Notation):
    """Formulas for LaTeX's mathematics mode."""

    dots: ClassVar[str] = r"\cdots"

    def name(self, text: str) -> str:
        r"""A letter as it is, a longer name upright: `q`, `\mathrm{fc1.weight}`."""
        if re.fullmatch(r"[A-Za-z]", text):
            return text
        escaped = re.sub(r"[#$%&_{}]", r"\\\g<0>", text.replace("\\", r"\backslash "))
        escaped = escaped.replace("^", r"\hat{}").replace("~", r"\sim ")
        return rf"\mathrm{{{escaped}}}"

    def partial(self, top: str, bottom: str) -> str:
        """∂top/∂bottom."""
        return rf"\frac{{\partial {self.name(top)}}}{{\partial {self.name(bottom)}}}"

    def text(self, text: str) -> str:
        """A number."""
        text = text.replace("−", "-").replace("∞", r"\infty ")
        return re.sub(r"e(-?\d+)", r"\\cdot 10^{\1}", text)

    def product(self, factors: list[str]) -> str:
        """Factors side by side."""
        joint = r" \cdot " if all(re.fullmatch(r"[^\\]*", f) for f in factors) else r"\,"
        return joint.join(factors)


class MathML(Notation):
    """Formulas for browsers."""

    dots: ClassVar[str] = "<mo>⋯</mo>"

    def name(self, text: str) -> str:
        """A name."""
        style = "" if len(text) == 1 else ' mathvariant="normal"'
        return f"<mi{style}>{escape(text)}</mi>"

    def partial(self, top: str, bottom: str) -> str:
        """∂top/∂bottom."""
        over, under = (f"<mrow><mo>∂</mo>{self.name(n)}</mrow>" for n in (top, bottom))
        return f"<mfrac>{over}{under}</mfrac>"

    def text(self, text: str) -> str:
        """A number."""
        return f"<mn>{escape(text)}</mn>"

    def product(self, factors: list[str]) -> str:
        """Factors side by side."""
        return f"<mrow>{'<mo>·</mo>'.join(factors)}</mrow>"

    def sum(self, terms: list[str]) -> str:
        """Terms with plus signs."""
        return f"<mrow>{'<mo>+</mo>'.join(terms)}</mrow>"

    def equation(self, sides: list[str]) -> str:
        """Sides with equals signs, as a whole formula."""
        inner = "<mo>=</mo>".join(sides)
        return (
            '<math xmlns="http://www.w3.org/1998/Math/MathML" display="block">'
            f"<mrow>{inner}</mrow></math>"
        )
