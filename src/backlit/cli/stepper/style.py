"""How the full-screen stepper looks, and what its help says of its keys."""

from __future__ import annotations

from textual.theme import Theme

from .panes import BAD, FAINT, INK, LOCAL, MARK, PANEL, PAPER, RAISED, SOFT, VALUE

#: The keys, and what they do.
HELP = [
    ("→  n  Space", "next gate"),
    ("←  p", "previous gate"),
    ("b", "to the backward pass, and back to the start"),
    ("Home  End", "first and last stop"),
    ("↑  ↓  PgUp  PgDn", "look at another node of the tape"),
    ("Enter", "go to the node that is looked at"),
    ("c", "run on to the next breakpoint, else to the end"),
    ("t", "set or remove a breakpoint in backward at the node"),
    ("g", "break where a gradient's norm is above a number"),
    ("i", "break at the first gradient that is not finite"),
    ("d", "remove all breakpoints"),
    ("a", "all stops, or only those that lead to the output"),
    ("/", "find a module, parameter, op or line of source"),
    ("s  u", "what if: set the node's value, or the gradient at it"),
    ("w  z", "what that has changed; take the last setting back"),
    ("v", "in a small window: gate, numbers, pictures or source"),
    ("j  k", "scroll what is below the sentence"),
    ("x", "explain the node's gradient path by path"),
    ("!", "a Python prompt with this stop and your variables"),
    ("q", "quit"),
]

#: The colours for what Textual itself draws.
THEME = Theme(
    name="backlit",
    primary=LOCAL,
    secondary=SOFT,
    accent=MARK,
    foreground=INK,
    background=PAPER,
    surface=PANEL,
    panel=PANEL,
    success=VALUE,
    warning=MARK,
    error=BAD,
    dark=True,
)

#: Where what stands, and in which colours.
CSS = f"""
Screen {{ background: {PAPER}; layout: vertical; }}
#head {{ height: 1; padding: 0 2; }}
#scrub {{ height: 1; padding: 0 2; }}
#body {{ height: 1fr; }}
#left {{ width: 46%; min-width: 44; height: 1fr; }}
#right {{ width: 1fr; height: 1fr; }}
#body.small {{ layout: vertical; }}
#body.small #left, #body.small #right {{ width: 100%; min-width: 20; }}
#body.small #left {{ min-height: 5; }}
#body.small #right {{ height: auto; }}
#body.small #frame, #body.small Pane {{ border: none; border-top: solid {FAINT}; }}
#body.small Pane {{ height: auto; min-height: 3; }}
* {{ scrollbar-color: {FAINT}; scrollbar-color-hover: {SOFT}; scrollbar-color-active: {SOFT};
     scrollbar-background: {PANEL}; scrollbar-background-hover: {PANEL}; }}
#titles {{ height: 1; color: {SOFT}; }}
#tape {{ height: 1fr; background: {PANEL}; scrollbar-size-vertical: 1; }}
#frame {{ border: round {RAISED}; border-title-color: {SOFT}; background: {PANEL}; }}
Pane {{ border: round {RAISED}; border-title-color: {SOFT}; padding: 0 1; height: auto;
        background: {PANEL}; scrollbar-size-vertical: 1; }}
#sentence {{ min-height: 5; max-height: 9; }}
#gate {{ min-height: 7; max-height: 16; }}
#numbers {{ height: 1fr; min-height: 4; }}
#source {{ height: 7; }}
#gate Static, #numbers Static, #source Static {{ text-wrap: nowrap; text-overflow: ellipsis; }}
Ask, Find, Page {{ align: center middle; background: {PAPER} 60%; }}
#dialog {{ width: 68; max-width: 96%; height: auto; border: round {LOCAL};
           background: {PANEL}; padding: 0 1; }}
#hits {{ height: auto; max-height: 12; background: {PANEL}; border: none; }}
#page {{ width: 96%; max-width: 110; height: auto; max-height: 90%; border: round {LOCAL};
         background: {PANEL}; padding: 0 1; }}
Keys {{ height: 1; background: {PAPER}; }}
"""
