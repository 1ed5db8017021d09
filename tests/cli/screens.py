"""A terminal for tests: what a program writes, as the rows of a screen."""

import re

from rich.cells import cell_len

_STEERING = r"\x1b\[([?<>=]?)([\d;:]*)([ -/]*[@-~])"
_PIECE = re.compile(_STEERING + r"|\x1b[\]P_^].*?(?:\x07|\x1b\\)|\x1b.?|[^\x1b]")


class Screen:
    """Rows of cells; of what steers a terminal only what moves the cursor or wipes."""

    def __init__(self, columns, rows):
        self.columns, self.rows = columns, rows
        self.rest = ""
        self.wipe()

    def wipe(self):
        self.cells = [[" "] * self.columns for _ in range(self.rows)]
        self.x = self.y = 0

    def feed(self, text):
        text = self.rest + text
        start = text.rfind("\x1b")  # what steers may come in two parts
        whole = start < 0 or _PIECE.match(text, start)[0] not in ("\x1b", "\x1b[", "\x1b]")
        self.rest = "" if whole else text[start:]
        for piece in _PIECE.finditer(text if whole else text[:start]):
            private, numbers, final = piece[1], piece[2], piece[3]
            if final is not None:
                if not private:
                    self._steer(final, [int(n or 0) for n in re.split("[;:]", numbers)])
            elif piece[0] == "\r":
                self.x = 0
            elif piece[0] == "\n":
                self.y = min(self.y + 1, self.rows - 1)
            elif piece[0] >= " " and not piece[0].startswith("\x1b"):
                self._put(piece[0])

    def _put(self, sign):
        width = cell_len(sign)
        if self.x + width <= self.columns:
            self.cells[self.y][self.x] = sign
            self.cells[self.y][self.x + 1 : self.x + width] = [""] * (width - 1)
        self.x += width

    def _steer(self, final, numbers):
        first = numbers[0]
        if final in "Hf":
            self.y = min(max(first, 1), self.rows) - 1
            self.x = min(max(numbers[1] if len(numbers) > 1 else 1, 1), self.columns) - 1
        elif final == "J" and first == 2:
            self.wipe()
        elif final == "K":
            self.cells[self.y][self.x :] = [" "] * (self.columns - self.x)
        elif final == "G":
            self.x = max(first, 1) - 1

    @property
    def lines(self):
        return ["".join(row).rstrip() for row in self.cells]

    def __str__(self):
        return "\n".join(self.lines)
