"""Recipes: from a file or a folder to a trained network, its report, and its predictions.

    from backlit import recipes

    task = recipes.look("houses.csv", target="price")
    print(task)                       # what was understood, and what is odd
    run = task.train("runs/houses")   # the run, its report, its test
    run.predict({"rooms": 4, "city": "Oslo"})

`look` says what is there; a `recipe` is a `task` that can be trained, its `parts` are split
examples, and their `form` is what is learned of the training part, by which examples become arrays
and outputs predictions. The kinds of data are `builtin`, `images`, `sounds`, `tables` (with
`columns`), `texts`, `sequences` (of bases), `tagging` (with `tags`), `corpus`, `series` and
`arrays` (with `numbers`, of files); `large` and `large_texts` are tables in pieces, `others`
formats that are not read. `targets` are classes, labels or numbers, `networks` what is trained,
also from a `script`, `settings` what can be set, `split` who trains and who tests. A `job` trains,
a `run` is its folder, read back as `typed`.
"""

import typing as _typing

from ..calls import explain as _explain
from .look import look
from .recipe import Recipe
from .run import Run, load
from .targets import Prediction

__all__ = ["Prediction", "Recipe", "Run", "load", "look"]

_explain(__name__, __all__)

if not _typing.TYPE_CHECKING:
    from ..spelling import recipe as __getattr__
