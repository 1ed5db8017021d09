"""Real corpora, where they lie beside the repository, else small ones; how much is tried."""

from __future__ import annotations

import os
from pathlib import Path

from hypothesis import HealthCheck, settings

quick = settings(
    max_examples=50,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)

#: A folder of data that is no part of the project.
DATA = Path(os.environ.get("BACKLIT_DATA", Path(__file__).parents[4] / "shared" / "data"))

_TWEETS = "Empire\tB-location\nState\tI-location\n=\tO\n\t\n#\tO\nEmma\tB-person\nsmiles\tO\n\n"
_NAMES = "emma\nolivia\nava\nisabella\nsophia\ncharlotte\nmia\namelia\nharper\nevelyn\n"
_VERSE = "First Citizen:\nBefore we proceed any further, hear me speak.\n\nAll:\nSpeak, speak.\n"
_VECTORS = "the 0.5 -1.25 2.0\nof 0.25 0.125 -3.5\nemma -1.0 0.75 0.5\n"
_MADE = {
    "wnut17/wnut17train.conll": _TWEETS,
    "names/names.txt": _NAMES,
    "tinyshakespeare/input.txt": _VERSE * 40,
    "glove-twitter-25d/glove.twitter.25d.12k.txt.gz": _VECTORS,
}


def corpus(name: str, folder: Path) -> tuple[Path, bool]:
    """The file of this name, and whether it is the real one or was made in the folder."""
    real = DATA / name
    if real.exists():
        return real, True
    print(f"{real} is not there: a small corpus is made instead")
    path = folder / Path(name).name.removesuffix(".gz")
    path.write_text(_MADE[name], "utf-8")
    return path, False
