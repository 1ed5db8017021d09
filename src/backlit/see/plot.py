"""Pictures for papers and slides: of runs, parameters, gradients and functions of two numbers.

Every function takes what Backlit has seen and returns a matplotlib `Figure`: save it with
`figure.savefig("curves.pdf")`, or let a notebook show it. No window opens and no global state of
matplotlib is touched. matplotlib is needed: `pip install "backlit[plot]"`.

The colours are those of Okabe & Ito ("Color universal design", 2008), told apart with any common
colour blindness; lines differ in their dashes, too. Maps of numbers use cividis or, around 0,
blue, white and orange.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..dtypes import FLOATING
from ..errors import ArgumentError, MissingDependencyError
from ..nn.module import Module
from ..tensor import Tensor, as_tensor
from .measure.surface import Surface, of_function
from .records.from_tape import as_record
from .records.model import Record
from .records.value import array_of
from .show.jacobians import Jacobian, cells

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = [
    "confusion",
    "curves",
    "feature_maps",
    "filters",
    "gradient_flow",
    "histograms",
    "jacobian",
    "landscape",
    "update_ratios",
]

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#a08b00", "#56b4e9", "#333333")
DASHES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)))
#: Layers in one picture: the first and last of more are shown.
LAYERS = 30
#: Filters in one picture.
FILTERS = 256

_STYLE: Any = {
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 10,
    "axes.grid": False,
    "text.parse_math": False,  # a name with $ is a name
}


def curves(history: Sequence[Mapping[str, float]], names: Sequence[str] | None = None) -> Figure:
    """The numbers of a run over its epochs, one panel for each, validation beside training.

    `history` is what `Trainer.fit` returns. `names` chooses: `["loss", "accuracy"]`; by default all
    but the learning rate.
    """
    known = dict.fromkeys(n.removeprefix("validation_") for r in history for n in r)
    known.pop("epoch", None)
    if not known:
        raise ArgumentError("curves: the history must have at least one epoch, got none")
    chosen = [n for n in known if n != "lr"] if names is None else list(names)
    unknown = [n for n in chosen if n not in known]
    if unknown or not chosen:
        raise ArgumentError(f"curves: names must be of {', '.join(known)}, got {unknown or chosen}")
    figure, panels = _panels(len(chosen), 3.4, 2.6)
    epochs = [r.get("epoch", i + 1) for i, r in enumerate(history)]
    for panel, name in zip(panels, chosen, strict=True):
        for i, key in enumerate((name, f"validation_{name}")):
            if any(key in r for r in history):
                values = [_finite(r.get(key)) for r in history]
                label = "validation" if i else "training"
                marker = "o" if len(history) < 3 else None
                panel.plot(epochs, values, DASHES[i], color=COLOURS[i], label=label, marker=marker)
        panel.set_title(name)
        panel.set_xlabel("epoch")
        panel.xaxis.get_major_locator().set_params(integer=True)
        if f"validation_{name}" in history[-1]:
            panel.legend(frameon=False)
    return figure


def histograms(record: Record, what: str = "values", bins: int = 50) -> Figure:
    """How the numbers of each parameter are distributed; `what` is "values" or "gradients".

    A parameter without gradients says so in its panel.
    """
    if what not in ("values", "gradients"):
        raise ArgumentError(f"histograms: what must be 'values' or 'gradients', got {what!r}")
    parameters = _parameters(record, "histograms")
    figure, panels = _panels(len(parameters), 2.5, 1.8)
    for panel, (name, value, gradient) in zip(panels, parameters, strict=True):
        array = value if what == "values" else gradient
        panel.set_title(name, fontsize=8)
        panel.set_yticks([])
        if array is None:
            _say(panel, "not computed")
            continue
        finite = array[np.isfinite(array)]
        if not finite.size:
            _say(panel, "no finite number")
            continue
        colour = COLOURS[2] if what == "values" else COLOURS[1]
        panel.hist(finite, bins, color=colour, edgecolor="none")
        if finite.size < array.size:
            panel.set_xlabel(f"{array.size - finite.size} not finite", fontsize=7)
    return figure


def gradient_flow(record: Record) -> Figure:
    """The size of each parameter's gradient from the first layer to the last.

    The bar is the mean of |g|, the mark its largest. What was not computed or is 0 has no bar, and
    says so.
    """
    parameters = _parameters(record, "gradient_flow")
    names = [name for name, _, _ in parameters]
    figure, (panel,) = _panels(1, max(3.5, 0.36 * len(names) + 1.2), 3.2)
    bars = []
    for _, _, g in parameters:
        size = None if g is None or not g.size else np.abs(g.astype(np.float64))
        bars.append(None if size is None else (float(size.mean()), float(size.max())))
    shown = [i for i, b in enumerate(bars) if b and b[0] > 0 and math.isfinite(b[1])]
    means, tops = [bars[i][0] for i in shown], [bars[i][1] for i in shown]  # type: ignore[index]
    panel.bar(shown, means, color=COLOURS[1], label="mean |g|")
    panel.plot(shown, tops, "_", color=COLOURS[6], markersize=9, label="max |g|")
    if shown:
        panel.set_yscale("log")
        panel.set_ylim(bottom=10.0 ** math.floor(math.log10(min(means)) - 1e-9))
        panel.legend(frameon=False)
    for i, b in enumerate(bars):
        if i not in shown:
            why = "not computed" if b is None else "0" if b[0] == 0 else "not finite"
            transform = panel.get_xaxis_transform()
            panel.text(i, 0.02, why, rotation=90, ha="center", fontsize=7, transform=transform)
    panel.set_xticks(range(len(names)), names, rotation=60, ha="right", fontsize=7)
    panel.set_xlim(-0.7, len(names) - 0.3)
    panel.set_ylabel("gradient")
    return figure


def update_ratios(looks: Sequence[Mapping[str, Any]]) -> Figure:
    """By how much one step changes each weight, of its own size, over the epochs.

    `looks` is what a `train.Report` took down: `report.looks`. The band from 3e-4 to 3e-3 is what
    is usual in healthy training.
    """
    if not looks:
        raise ArgumentError(
            "update_ratios: there must be at least one look at the layers, got none"
        )
    names = [x["name"] for x in looks[-1]["layers"] if len(x["shape"]) >= 2]
    names = names or [x["name"] for x in looks[-1]["layers"]]
    figure, (panel,) = _panels(1, 5.6, 3.2)
    panel.axhspan(3e-4, 3e-3, color="#56b4e9", alpha=0.15, linewidth=0)
    epochs = [k["epoch"] for k in looks]
    for i, name in enumerate(names):
        found = [{x["name"]: x["update"] for x in k["layers"]}.get(name) for k in looks]
        values = [v if v else math.nan for v in found]
        colour, dash = _line(i, len(names))
        panel.plot(epochs, values, color=colour, linestyle=dash, label=name, marker=".")
    panel.set_yscale("log")
    panel.set_xlabel("epoch")
    panel.set_ylabel("‖Δw‖ / ‖w‖ of one step")
    panel.xaxis.get_major_locator().set_params(integer=True)
    beside = {"loc": "center left", "bbox_to_anchor": (1.0, 0.5), "ncols": -(-len(names) // 15)}
    panel.legend(fontsize=7, frameon=False, **beside)
    return figure


def confusion(counts: Any, classes: Sequence[str] | None = None) -> Figure:
    """A confusion matrix: true classes in rows, shaded by their share of the row.

    `counts` is a `train.ConfusionMatrix` or an array (C, C).
    """
    matrix = np.asarray(getattr(counts, "counts", counts))
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] or not matrix.size:
        raise ArgumentError(f"confusion: the counts must have shape (C, C), got {matrix.shape}")
    n = len(matrix)
    names = [str(c) for c in classes] if classes is not None else [str(i) for i in range(n)]
    if len(names) != n:
        raise ArgumentError(f"confusion: there must be {n} class names, got {len(names)}")
    size = min(9.0, max(3.0, 0.42 * n + 1))
    figure, (panel,) = _panels(1, size, size)
    total = matrix.sum(axis=1, keepdims=True)
    share = np.divide(matrix, total, out=np.zeros(matrix.shape), where=total > 0)
    panel.imshow(share, cmap="Blues", vmin=0, vmax=1)
    if n <= 30:
        for i, j in zip(*np.nonzero(matrix), strict=True):
            colour = "white" if share[i, j] > 0.55 else "black"
            size = 8 if n <= 15 else 6
            panel.text(
                j, i, f"{matrix[i, j]}", ha="center", va="center", color=colour, fontsize=size
            )
    turned = max(map(len, names)) > 2
    panel.set_xticks(
        range(n), names, rotation=60 if turned else 0, ha="right" if turned else "center"
    )
    panel.set_yticks(range(n), names)
    panel.set_xlabel("taken for")
    panel.set_ylabel("true class")
    return figure


def filters(weight: Any, columns: int | None = None) -> Figure:
    """The filters of a convolution (F, C, H, W) as pictures: in colour for 3 channels, else grey.

    `weight` may be a model: then its first convolution is meant. With other numbers of channels
    each filter is a row of its channels. All share one scale; grey is 0. At most 256 pictures.
    """
    if isinstance(weight, Module):
        weight = _first_convolution(weight)
    array = np.asarray(as_tensor(weight).numpy(), np.float64)
    if array.ndim != 4 or not array.size:
        raise ArgumentError(f"filters: the weight must have shape (F, C, H, W), got {array.shape}")
    count, channels, height, width = array.shape
    if channels == 3:
        tiles = array.transpose(0, 2, 3, 1)
    else:
        tiles = array.reshape(count * channels, height, width)
        columns = columns or (channels if 1 < channels <= 32 else None)
    tiles = tiles[:FILTERS]
    top = float(np.abs(tiles[np.isfinite(tiles)]).max(initial=0.0)) or 1.0
    panel, figure = _sheet(0.5 + tiles / (2 * top), columns, "gray", (0, 1))
    panel.set_title(f"{len(tiles)} of {count * (1 if channels == 3 else channels)}, ±{top:.2g}")
    return figure


def _first_convolution(model: Module) -> Tensor:
    for p in model.parameters():
        if p.ndim == 4:
            return p
    raise ArgumentError(
        "filters: the model must have a convolution, a parameter of shape (F, C, H, W), got "
        f"{type(model).__name__} without one"
    )


def feature_maps(
    source: Any,
    node: Any,
    example: int = 0,
    what: str = "value",
    columns: int | None = None,
) -> Figure:
    """The maps of one example at a node of a record: channels (N, C, H, W), heads (N, H, T, T).

    `source` is a record, a recording or a Tensor with its graph; `node` the name or number of one,
    or a Tensor; `what` is "value" or "gradient". All maps share one scale: cividis from 0, or blue,
    white and orange around 0. At most 256 maps.
    """
    if what not in ("value", "gradient"):
        raise ArgumentError(f"feature_maps: what must be 'value' or 'gradient', got {what!r}")
    found = as_record(source).find(node)
    array = array_of(found.value if what == "value" else found.upstream)
    if array is None or array.ndim < 3 or not array.size:
        got = "none was computed" if array is None else f"its shape is {array.shape}"
        raise ArgumentError(
            f"feature_maps: the {what} of {found.label} must have maps, (N, C, H, W) or (C, H, W), "
            f"but {got}; choose the result of a convolution or of the softmax of an attention"
        )
    if array.ndim > 3:
        if not -array.shape[0] <= example < array.shape[0]:
            raise ArgumentError(
                f"feature_maps: example must be one of {array.shape[0]}, got {example}"
            )
        array = array[example]
    maps = array.reshape(-1, *array.shape[-2:]).astype(np.float64)
    tiles = maps[:FILTERS]
    finite = tiles[np.isfinite(tiles)]
    low, high = float(finite.min(initial=0.0)), float(finite.max(initial=0.0))
    signed, top = low < 0, max(-low, high) or 1.0
    ends = (-top, top) if signed else (0.0, top)
    panel, figure = _sheet(tiles, columns, _around_zero() if signed else "cividis", ends)
    figure.colorbar(panel.images[0], ax=panel, shrink=0.8)
    panel.set_title(f"{what} of {found.label}: {len(tiles)} of {len(maps)}")
    return figure


def _around_zero() -> Any:
    """Blue below 0, white at 0, orange above."""
    from matplotlib.colors import LinearSegmentedColormap

    return LinearSegmentedColormap.from_list("around zero", ["#004f96", "#ffffff", "#d55e00"])


def _sheet(
    tiles: np.ndarray, columns: int | None, colours: Any, ends: tuple[float, float]
) -> tuple[Any, Figure]:
    """Tiles (n, H, W), or with colours (n, H, W, 3), beside and below each other."""
    columns = columns or math.ceil(math.sqrt(len(tiles)))
    rows, (height, width) = -(-len(tiles) // columns), tiles.shape[1:3]
    sheet = np.full((rows * (height + 1) + 1, columns * (width + 1) + 1, *tiles.shape[3:]), np.nan)
    for i, tile in enumerate(tiles):
        y, x = (i // columns) * (height + 1) + 1, (i % columns) * (width + 1) + 1
        sheet[y : y + height, x : x + width] = tile
    figure, (panel,) = _panels(1, 5.0, max(0.8, min(9.0, 5.0 * sheet.shape[0] / sheet.shape[1])))
    if sheet.ndim == 3:
        panel.imshow(np.where(np.isfinite(sheet), sheet, 1.0), interpolation="nearest")
    else:
        shown = np.ma.masked_invalid(sheet)
        panel.imshow(shown, cmap=colours, vmin=ends[0], vmax=ends[1], interpolation="nearest")
    panel.set_axis_off()
    return panel, figure


def jacobian(found: Jacobian, size: int = 256) -> Figure:
    """The structure of a derivative: where the matrix of a `see.jacobian` is not 0, and how large.

    At most `size` cells a side; a cell of a larger matrix shows its largest element.
    """
    shown = cells(found, size)
    figure, (panel,) = _panels(1, 3.6, 3.6)
    top = float(shown.max(initial=0.0)) or 1.0
    panel.imshow(
        np.ma.masked_equal(shown, 0), cmap="cividis_r", vmin=0, vmax=top, interpolation="nearest"
    )
    rows, columns = found.shape
    panel.set_title(f"{found.structure}, {rows} × {columns}")
    panel.set_xticks([])
    panel.set_yticks([])
    panel.set_xlabel("elements of x")
    panel.set_ylabel("elements of y")
    for spine in panel.spines.values():
        spine.set_visible(True)
    return figure


# -- beneath --------------------------------------------------------------------------------------


def landscape(
    f: Callable[[Tensor, Tensor], Tensor] | Surface,
    x: tuple[float, float] | None = None,
    y: tuple[float, float] | None = None,
    paths: Mapping[str, Any] | None = None,
    *,
    arrows: int = 0,
) -> Figure:
    """Contours of f(x, y), on them the ways of optimizers, and ∇f as arrows.

    f      of two Tensors of one shape, element by element: lambda x, y: x**2 + 10 * y**2; or a
           `see.Surface`, which has its x and y, such as a slice of a network's loss
    x, y   from where to where
    paths  a name and positions (T, 2) for each way; its start is a ring, its end a dot
    arrows how many along each axis; their lengths are those of ∇f, to one scale
    """
    if not isinstance(f, Surface):
        if x is None or y is None:
            raise ArgumentError("landscape: a function needs x and y, each (lowest, highest)")
        f = of_function(f, x, y, 161, "landscape")
    figure, (panel,) = _panels(1, 5.0, 4.0)
    heights = np.ma.masked_invalid(f.heights)
    lines = panel.contour(f.xs, f.ys, heights, 24, cmap="cividis", linewidths=0.8)
    figure.colorbar(lines, ax=panel, label=f.title)
    if arrows:
        tails, slopes = f.gradients(arrows)
        panel.quiver(*tails.T, *slopes.T, angles="xy", color=COLOURS[6])
    for i, (name, positions) in enumerate((paths or {}).items()):
        way = as_tensor(positions).detach().numpy()
        if way.ndim != 2 or way.shape[1] != 2 or not len(way):
            raise ArgumentError(f"landscape: path {name!r} must be (T, 2), got {way.shape}")
        colour, dash = _line(i, len(paths or {}))
        panel.plot(*way.T, color=colour, linestyle=dash, label=name, linewidth=1.2)
        panel.plot(*way[0], "o", color=colour, markerfacecolor="none")
        panel.plot(*way[-1], "o", color=colour)
    ends = [(float(a[0]), float(a[-1])) for a in (f.xs, f.ys)]
    panel.set(xlim=ends[0], ylim=ends[1], xlabel=f.labels[0], ylabel=f.labels[1])
    if paths:
        panel.legend(fontsize=7)
    return figure


def _panels(count: int, width: float, height: float) -> tuple[Figure, list[Any]]:
    """A figure with so many panels, each of a size in inches, about four in a row."""
    try:
        import matplotlib
        from matplotlib.figure import Figure
    except ImportError:
        raise MissingDependencyError(
            "see.plot: matplotlib must be installed for pictures, but is not; "
            'pip install "backlit[plot]"'
        ) from None
    columns = min(count, 4)
    rows = -(-count // columns)
    with matplotlib.rc_context(_STYLE):
        figure = Figure(figsize=(width * columns, height * rows), layout="constrained")
        axes = figure.subplots(rows, columns, squeeze=False).reshape(-1)
    for unused in axes[count:]:
        unused.set_axis_off()
    return figure, list(axes[:count])


def _parameters(record: Record, who: str) -> list[tuple[str, np.ndarray | None, np.ndarray | None]]:
    """Name, values and gradients of the parameters of a record, in the order of their use."""
    if not isinstance(record, Record):
        raise ArgumentError(f"{who}: needs a Record, got {type(record).__name__}; see.record(loss)")
    found = []
    for n in record.nodes:
        if n.kind == "parameter" and n.dtype in FLOATING:
            value, gradient = array_of(n.value), array_of(n.upstream)
            found.append((n.label.partition(".")[2] or n.label, value, gradient))
    if not found:
        raise ArgumentError(f"{who}: the record must have parameters, got none of {len(record)}")
    return found if len(found) <= LAYERS else [*found[: LAYERS // 2], *found[-LAYERS // 2 :]]


def _line(i: int, count: int) -> tuple[Any, Any]:
    """The colour and dash of a line: told apart where there are few, in order where many."""
    if count <= len(COLOURS):
        return COLOURS[i], DASHES[i % len(DASHES)]
    from matplotlib import colormaps

    return colormaps["cividis"](i / (count - 1)), "-"


def _finite(value: float | None) -> float:
    return value if value is not None and math.isfinite(value) else math.nan


def _say(panel: Any, text: str) -> None:
    panel.text(0.5, 0.5, text, ha="center", va="center", transform=panel.transAxes, color="#666666")
    panel.set_xticks([])
