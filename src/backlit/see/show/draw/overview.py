"""What is seen first: as much unfolded as can be read at one glance, in rows that fill the window.

`view.js` repeats this for its own window.
"""

from __future__ import annotations

from .labels import Labels
from .layout import Frame, Known, layout, seen
from .tree import Tree

#: The smallest scale at which all texts can be read: those of 12 pixels then have 11.
READABLE = 11 / 12
#: The smallest scale of a picture that else would show no module from inside: text of 9 pixels.
SMALL = 0.75
#: And of one that even so would show none: then the outermost are opened, and none inside of them.
TINY = 0.55
#: Small pictures are not blown up further.
LARGEST = 1.8
#: Room around the picture, in pixels.
MARGIN = 20
#: So many modules that would not fit are tried before the rest stays folded.
TRIES = 12
#: What may be kept free beside the outermost modules; the better one is taken.
BESIDE = (0.0, 230.0, 520.0)
#: In a picture of more boxes it is not tried.
MANY = 200

#: The window for which a picture without a page is made.
WINDOW = (1240.0, 800.0)


def overview(
    tree: Tree, labels: Labels, window: tuple[float, float] = WINDOW
) -> tuple[list[bool], dict[int, Frame]]:
    """Which boxes stay folded, and the frames: modules are unfolded from the outside in, if the
    whole then still can be read in the window."""
    known: Known = {}
    folded = _unfolded(tree, labels, window, READABLE, known)
    for least in (SMALL, TINY):
        if not _opened(tree, folded):
            folded = _unfolded(tree, labels, window, least, known, deeper=least == SMALL)
    return folded, in_rows(tree, labels, folded, window, known)


def _unfolded(
    tree: Tree,
    labels: Labels,
    window: tuple[float, float],
    least: float,
    known: Known,
    deeper: bool = True,
) -> list[bool]:
    """Which boxes stay folded if the picture must not be smaller than `least`."""
    folded = tree.at_first()
    width = _row(window, least)

    def fits() -> bool:
        return any(
            scale(layout(tree, labels, folded, width, beside, known)[0], window) >= least
            for beside in _besides(tree, folded)
        )

    queue, failures = ([0] if fits() else []), 0
    for b in queue:
        for kind in _kinds(tree, b):
            if failures == TRIES:
                break
            for inner in kind:
                folded[inner] = False
            if fits():
                queue += kind if deeper else []
                continue
            failures += 1
            for inner in kind:
                folded[inner] = True
    return folded


def _opened(tree: Tree, folded: list[bool]) -> bool:
    """Whether a module of modules is open, or there is none."""
    nests = [b.id for b in tree.boxes[1:] if b.parent == 0 and any(map(tree.is_module, b.members))]
    return not nests or not all(folded[b] for b in nests)


def _kinds(tree: Tree, box: int) -> list[list[int]]:
    """What is unfolded together, directly in a box: a module of modules alone, those without
    modules inside with all of their type, so that equal layers look alike. What holds the output
    comes first: it is looked for."""
    found: dict[str, list[int]] = {}
    for m in tree.boxes[box].members:
        if m < tree.count or (inner := tree.boxes[m - tree.count]).kind != "module":
            continue
        alone = any(map(tree.is_module, inner.members))
        key = str(inner.id) if alone else inner.title.rpartition(": ")[2]
        found.setdefault(key, []).append(inner.id)
    output = tree.record.output
    home = [] if output is None else tree.chain(output)
    return sorted(found.values(), key=lambda kind: not any(inner in home for inner in kind))


def in_rows(
    tree: Tree,
    labels: Labels,
    folded: list[bool],
    window: tuple[float, float],
    known: Known,
) -> dict[int, Frame]:
    """The frames in rows of the length with which the picture is largest in the window.

    Long rows make it small by its width, short ones by its height; the scale at which both agree
    is enclosed by halving.
    """
    best: dict[int, Frame] = {}
    for beside in _besides(tree, folded):
        low, high = 0.005, LARGEST
        tried = high
        for _ in range(8):
            frames = layout(tree, labels, folded, _row(window, tried), beside, known)
            if not best or scale(frames[0], window) > scale(best[0], window):
                best = frames
            if (frames[0].height + 2 * MARGIN) * tried > window[1]:
                high = tried
            elif tried == LARGEST:
                break
            else:
                low = tried
            tried = (low * high) ** 0.5
    return best


def _besides(tree: Tree, folded: list[bool]) -> tuple[float, ...]:
    """Where everything is folded, no box is narrower for what stands beside it; where there are
    very many, it does not matter."""
    return BESIDE[:1] if all(folded[1:]) or len(seen(tree, folded)) > MANY else BESIDE


def scale(frame: Frame, window: tuple[float, float]) -> float:
    """At which scale a frame fills a window."""
    across, down = frame.width + 2 * MARGIN, frame.height + 2 * MARGIN
    return min(window[0] / across, window[1] / down, LARGEST)


def _row(window: tuple[float, float], at: float) -> float:
    """How long rows can be at a scale."""
    return window[0] / at - 2 * MARGIN
