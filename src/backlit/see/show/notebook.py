"""How Tensors, modules and records show themselves in a notebook.

One line each: type, range, mean, spread, a histogram, what is not finite. Opened, an array is a map
of its elements and a table of the first; a module is its tree; a record is its drawing. All of it
is HTML without scripts, so it also lives in notebooks that were exported or are not trusted, and
small: of an array of any size at most a few pictures of 64 × 64 cells and 64 numbers.
"""

from __future__ import annotations

import math
from html import escape
from typing import Any

import numpy as np

from ...dtypes import FLOATING
from ...nn.module import Module
from ...op import Shape, describe
from ...tensor import Tensor
from ..records.model import Record
from ..records.value import number, statistics
from .cells import bars, pooled
from .draw.drawing import HEIGHT, SMALLER, Drawing
from .jacobians import Jacobian, cells
from .page import framed
from .png import png_uri

#: Of more elements, evenly spaced ones are looked at.
LOOKED_AT = 2**22
#: Cells of a map on a side, maps of an array, rows and columns of its table, bars of its histogram.
CELLS, FACES, TABLE, BARS = 64, 12, 8, 24
#: Pixels of an image on a side.
IMAGE = 96
#: Modules of a tree that are listed.
MODULES = 400
#: A record of more nodes is not drawn unasked: its page would be large.
NODES = 3000

#: The type in which numbers and code are set.
MONO = "font:12px/1.5 ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono',monospace"
_SOFT = "opacity:.65"
#: Darker on light paper and lighter on dark: mixed with the colour of the text, which knows which.
_GREEN, _RED = (f"color-mix(in srgb, currentColor 32%, {c})" for c in ("#00a873", "#e8631a"))


def tensor_html(t: Tensor) -> str:
    """A Tensor's line, and its gradient's if it has one."""
    if type(t.array) is not np.ndarray:
        return f'<div style="{MONO}">{escape(repr(t))}</div>'
    made = f" from {t.op}" if t.node is not None else " leaf" if t.requires_grad else ""
    lines = [_array(t.array, t.name or "Tensor", f"{describe(t)}{made}", _GREEN)]
    gradient = t.grad if t.is_leaf else None
    if gradient is not None and type(gradient.array) is np.ndarray:
        lines.append(_array(gradient.array, "gradient", describe(gradient), _RED, gradient=True))
    return _framed("".join(lines))


def module_html(module: Module) -> str:
    """A module's tree, folded below the first two levels."""
    rows = 0
    parts: list[str] = []
    # (name, module, depth), or the text that closes what was opened
    stack: list[tuple[str, Module, int] | str] = [("", module, 0)]
    while stack:
        top = stack.pop()
        if isinstance(top, str):
            parts.append(top)
            continue
        name, m, depth = top
        rows += 1
        if rows > MODULES:
            parts.append("<div>…</div>")
            break
        parts.append(_module_line(name, m, depth))
        if m._modules:
            stack.append("</div></details>")
            inner = [(n, i, depth + 1) for n, i in m._modules.items() if i is not None]
            stack += reversed(inner)
    parts += [left for left in reversed(stack) if isinstance(left, str)]
    return _framed("".join(parts))


def _module_line(name: str, m: Module, depth: int) -> str:
    own = ", ".join(
        f"{n} {'×'.join(map(str, p.shape)) or 'number'}"
        for n, p in m._parameters.items()
        if p is not None and isinstance(p, Tensor)
    )
    count = sum(math.prod(p.shape) for p in m.parameters() if isinstance(p, Tensor))
    label = f'<span style="{_SOFT}">{escape(name)}: </span>' if name else ""
    text = f"{label}<b>{escape(type(m).__name__)}</b>({escape(m.extra_repr())})"
    if own:
        text += f' <span style="color:{_GREEN}">{escape(own)}</span>'
    if count:
        text += f' <span style="{_SOFT}">{count:,} parameters</span>'
    if not m._modules:
        return f'<div style="padding-left:1.1em">{text}</div>'
    shown = " open" if depth < 2 else ""
    return f'<details{shown}><summary>{text}</summary><div style="padding-left:1.1em">'


def record_html(record: Record) -> str:
    """What was recorded, in a line; opened, its drawing."""
    kinds = [n.kind for n in record.nodes]
    text = f"<b>Record</b> of {_count(kinds.count('op'), 'op')}, "
    text += _count(kinds.count("parameter"), "parameter")
    output = None if record.output is None else record.nodes[record.output]
    if output is not None and output.value is not None and output.value.item() is not None:
        value = number(output.value.item())
        text += f', {escape(output.label)} = <span style="color:{_GREEN}">{value}</span>'
    if record.error:
        text += f', <span style="color:{_RED}">raised {escape(record.error)}</span>'
    if len(record.nodes) > NODES:
        return _framed(f'<div>{text}. <code>see.draw(record).save("graph.html")</code></div>')
    drawing = Drawing(record)
    page = framed(drawing.html(SMALLER), drawing.title, HEIGHT, "lazy")
    return _framed(f"<details><summary>{text}</summary>{page}</details>")


def jacobian_html(found: Jacobian) -> str:
    """What a derivative's structure is, in a line, and where its matrix is not 0."""
    sheet = cells(found, CELLS)
    top = float(sheet.max(initial=0.0))
    height = max(12, 240 * sheet.shape[0] // max(1, sheet.shape[1])) if sheet.size else 12
    picture = (
        f'<img src="{png_uri(_colors(sheet, top, False))}" alt="sizes of the elements: '
        f'{escape(found.structure)}" style="image-rendering:pixelated;width:240px;'
        f'height:{height}px;max-height:240px;border:1px solid #8886"/>'
    )
    key = f"rows: elements of y; white 0, dark blue {number(top, 3)}"
    line = f'<div style="{_SOFT}">{key}</div>'
    return _framed(f"<div>{escape(repr(found))}</div>{picture}{line}")


# -- one array ------------------------------------------------------------------------------------


def _array(array: np.ndarray, name: str, kind: str, color: str, gradient: bool = False) -> str:
    head = (
        f'<b style="color:{color}">{escape(name)}</b> <span style="{_SOFT}">{escape(kind)}</span>'
    )
    if array.size == 0:
        return f"<div>{head} empty</div>"
    if array.size == 1:
        return f"<div>{head} {_text(array.reshape(-1)[0])}</div>"
    step = -(-array.size // LOOKED_AT)
    sample = array.reshape(-1)[::step]
    found = statistics(sample)
    facts = [f"{number(found['min'], 3)} … {number(found['max'], 3)}"]
    if found["mean"] is not None:
        facts.append(f"mean {number(found['mean'], 3)} ± {number(found['std'], 3)}")
    if step > 1:
        facts.append(f"of 1 in {step} elements")
    line = f"{head} {', '.join(facts)} {_histogram(sample, color)}"
    for bad in ("nan", "inf"):
        if found[bad]:
            line += f' <b style="color:{_RED}">{int(found[bad] or 0):,} {bad}</b>'
    pictures = _images(array) if _are_images(array) and not gradient else _maps(array, gradient)
    return f"<details><summary>{line}</summary>{pictures}{_table(array)}</details>"


def _histogram(sample: np.ndarray, color: str) -> str:
    """The finite elements in bars of equal width, as a picture of a line's height."""
    found = bars(sample, BARS)
    if found is None:
        return ""
    counts, _, _ = found
    drawn = "".join(
        f'<rect x="{3 * i}" y="{14 - h:.1f}" width="2.4" height="{h:.1f}"/>'
        for i, h in enumerate(np.maximum(14 * counts / counts.max(), 0.5 * (counts > 0)))
    )
    return (
        f'<svg width="{3 * BARS}" height="14" style="vertical-align:-2px;fill:{color}" '
        f'role="img" aria-label="histogram">{drawn}</svg>'
    )


def _are_images(array: np.ndarray) -> bool:
    """Whether an array looks like images of one or three channels: (N, C, H, W) or (C, H, W)."""
    if array.ndim not in (3, 4) or array.dtype.kind == "b":
        return False
    channels, height, width = array.shape[-3:]
    return channels in (1, 3) and min(height, width) >= 8


def _images(array: np.ndarray) -> str:
    """The first images: 0 to 1 and 0 to 255 as they are, others from their least to their most."""
    every = [slice(None, None, -(-n // IMAGE)) for n in array.shape[-2:]]
    shown = array.reshape(-1, *array.shape[-3:])[:FACES, :, every[0], every[1]].astype(np.float64)
    finite = shown[np.isfinite(shown)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)
    black, white = (0.0, 1.0) if high <= 1 else (0.0, 255.0)
    if low < 0 or high > 255:
        black, white = low, high
    share = (shown - black) / (white - black or 1.0)
    pixels = np.rint(255 * np.clip(np.nan_to_num(share), 0, 1)).astype(np.uint8)
    pictures = "".join(
        f'<img src="{png_uri(p.transpose(1, 2, 0))}" alt="image" title="image {i}" '
        'style="image-rendering:pixelated;width:96px;margin:2px 4px 2px 0;border:1px solid #8886"/>'
        for i, p in enumerate(pixels)
    )
    count = array.size // math.prod(array.shape[-3:])
    more = f"; the first {FACES} of {count:,}" if count > FACES else ""
    if max(array.shape[-2:]) > IMAGE:
        more += "; some of the pixels, evenly spaced"
    key = f"black {number(black, 3)}, white {number(white, 3)}"
    return f'<div>{pictures}</div><div style="{_SOFT}">{key}{more}</div>'


def _maps(array: np.ndarray, gradient: bool) -> str:
    """Maps of the elements over the last two axes, one for each of the first of the others."""
    sheets = array.reshape(-1, *array.shape[-2:]) if array.ndim > 1 else array.reshape(1, 1, -1)
    if min(sheets.shape[1:]) < 1 or sheets[0].size < 4:
        return ""
    shown = [_cells(s) for s in sheets[:FACES]]
    finite = np.concatenate([s[np.isfinite(s)] for s in shown])
    top = float(np.abs(finite).max()) if finite.size else 0.0
    signed = gradient or (bool(finite.size) and float(finite.min()) < 0)
    width = 240 if len(shown) == 1 else 96
    pictures = "".join(
        f'<img src="{png_uri(_colors(s, top, signed, gradient))}" alt="map of elements" '
        f'title="{escape(_index(i, array.shape))}" style="image-rendering:pixelated;'
        f"width:{width}px;height:{max(12, width * s.shape[0] // s.shape[1]) if s.size else 12}px;"
        f'max-height:240px;margin:2px 4px 2px 0;border:1px solid #8886"/>'
        for i, s in enumerate(shown)
    )
    most = number(top, 3)
    above, below = ("purple", "green") if gradient else ("orange", "blue")
    key = f"{above} {most}, white 0, {below} −{most}" if signed else f"white 0, dark blue {most}"
    more = f"; the first {FACES} of {len(sheets):,} slices" if len(sheets) > FACES else ""
    if max(sheets.shape[1:]) > CELLS:
        more += "; a cell is its element of largest size"
    return f'<div>{pictures}</div><div style="{_SOFT}">{key}; red: not finite{more}</div>'


def _index(i: int, shape: Shape) -> str:
    """Where a sheet stands: `[2, 0, :, :]`."""
    if len(shape) < 3:
        return "all elements"
    return f"[{', '.join(map(str, np.unravel_index(i, shape[:-2])))}, :, :]"


def _cells(sheet: np.ndarray) -> np.ndarray:
    """A sheet as at most 64 × 64 numbers."""
    return pooled(pooled(sheet.astype(np.float64), 0, CELLS), 1, CELLS)


#: White to blue and to orange: Okabe & Ito's blue and vermilion, as in `see.plot`.
_BLUE, _ORANGE = np.array([0, 79, 150.0]), np.array([213, 94, 0.0])
#: Gradients have a scale of their own, ColorBrewer's PRGn, as on the page of a drawing.
_GREEN_BELOW, _PURPLE = np.array([27, 120, 55.0]), np.array([118, 42, 131.0])


def _colors(sheet: np.ndarray, top: float, signed: bool, gradient: bool = False) -> np.ndarray:
    bad = ~np.isfinite(sheet)
    share = np.where(bad, 0.0, sheet) / (top or 1.0)
    below, above = (_GREEN_BELOW, _PURPLE) if gradient else (_BLUE, _ORANGE)
    towards = np.where((share < 0)[..., None] | (not signed), below, above)
    pixels = 255 + (towards - 255) * np.abs(share)[..., None]
    pixels[bad] = (200, 0, 40)
    return np.rint(pixels).astype(np.uint8)


def _table(array: np.ndarray) -> str:
    """The first rows and columns of the first sheet."""
    sheet = array.reshape(-1, *array.shape[-2:])[0] if array.ndim > 1 else array.reshape(1, -1)
    corner = sheet[:TABLE, :TABLE]
    side = "<td>…</td>" if sheet.shape[1] > TABLE else ""
    cell = '<td style="text-align:right;padding:0 .5em">{}</td>'
    rows = "".join(
        f"<tr>{''.join(cell.format(_text(v)) for v in row)}{side}</tr>" for row in corner
    )
    below = "<tr><td>…</td></tr>" if sheet.shape[0] > TABLE else ""
    return f'<table style="{MONO};border:0">{rows}{below}</table>'


def _text(value: Any) -> str:
    if value.dtype == bool:
        return str(bool(value))
    return number(float(value)) if value.dtype in FLOATING else str(int(value))


def _count(n: int, what: str) -> str:
    return f"{n:,} {what}{'' if n == 1 else 's'}"


def _framed(text: str) -> str:
    return f'<div style="{MONO};max-width:100%;overflow-x:auto">{text}</div>'
