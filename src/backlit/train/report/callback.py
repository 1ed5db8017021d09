"""The callback that watches a run and writes its report."""

from __future__ import annotations

import os
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ...autograd import no_grad
from ...data import DataLoader, collate
from ...data.dataset import rows_of
from ...errors import ArgumentError, DataError, NonFiniteError
from ...files import set_aside, write_whole
from ...nn import Module
from ...nn.keeping import kept
from ...see import draw, record
from ...tensor import Tensor, as_tensor
from ..callbacks import Callback
from ..failure.account import Account, account_of, interrupted
from ..training import INTERRUPTED, Training
from .everywhere import everywhere
from .examples import EXAMPLES, Describe, Tokens, Words, classes_of, look_at_examples
from .looking import look
from .page import page

#: Looks at the layers that are kept; when there are more, every second one is let go.
LOOKS = 32
#: Examples of the batch on which layers are looked at.
PROBE = 32
#: While the run goes on the page is written again when this many times its price has passed.
PATIENCE = 30
#: Texts that a model writes after an epoch, and their length.
SAMPLES, LONGEST = 4, 600
#: A graph of more nodes is left out of the page, and its pictures have so many bytes.
NODES = 4000
PICTURES = 2**20


class Report(Callback):
    """Write one self-contained HTML page about a run: curves, layers, mistakes, the graph.

    >>> import os, tempfile
    >>> from backlit import nn, optim
    >>> from backlit.data import DataLoader, playground
    >>> from backlit.train import Trainer
    >>> train, test = playground("gauss", 100)
    >>> model = nn.Linear(2, 2)
    >>> path = os.path.join(tempfile.mkdtemp(), "report.html")
    >>> report = Report(path, test, classes=["orange", "blue"])
    >>> optimizer = optim.Adam(model.parameters(), lr=0.1)
    >>> trainer = Trainer(
    ...     model, nn.CrossEntropyLoss(), optimizer, callbacks=[report], progress="quiet"
    ... )
    >>> _ = trainer.fit(DataLoader(train, 20), epochs=2)
    >>> os.path.exists(path)
    True

    `examples` are what the page looks at: a data set, a DataLoader (its data set is read, the
    loader stays where it is), or a tuple of arrays (the model's inputs, then the target). At most
    10,000 of them. The first 32 are the batch on which the layers are looked at after an epoch;
    without examples the page has the curves only. `classes` names the labels. `describe` turns the
    inputs of one example into text, where a picture or its numbers would not do:
    `lambda tokens: " ".join(words[i] for i in tokens)`. `tokens` are the words by their numbers, or
    a function that makes a list of words of an example's inputs: mistakes are then shown token by
    token. `units` turns the numbers that a model gives, and its targets, into those to be shown: of
    a network that learns prices of mean 0 and deviation 1, `lambda z: 80 * z + 310`. `samples` is a
    function of the model, which writes a text, or several, after an epoch.

    Where the inputs are two numbers, the page shows what the network says all over the plane, from
    epoch to epoch; where they are one, the curve that it is.

    Training is the same to the last bit with and without the report: it takes what it needs after
    epochs, on copies, and puts back all random numbers. Of a long run at most 32 epochs' layers are
    kept. The page is written when the training starts, now and then while it goes on, and at its
    end, each time whole. An earlier page at the same path is renamed (`report.1.html`), unless the
    run is resumed. `write(trainer)` writes it at any other time. If an exception ends the run, the
    page begins with what failed: where, the cause in the words of `backlit replay`, the cure, and
    the command that does the step again.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        examples: Any = None,
        *,
        classes: Sequence[str] | None = None,
        describe: Describe | None = None,
        tokens: Sequence[str] | Tokens | None = None,
        units: Callable[[np.ndarray], np.ndarray] | None = None,
        samples: Callable[[Module], str | Sequence[str]] | None = None,
        title: str = "Training report",
    ):
        self.path = Path(path)
        if self.path.suffix.lower() not in (".html", ".htm"):
            raise ArgumentError(
                f"Report: the file's name must end in .html, got {os.fspath(path)!r}"
            )
        self.examples = examples
        self.words = replace(_words(classes, describe, tokens), units=units)
        self.samples = samples
        self.title = title
        #: More lines for the top of the page: name to text.
        self.facts: dict[str, str] = {}
        #: What a test has given in the end: name to text; it stands before everything else.
        self.tested: dict[str, str] = {}
        #: What was seen of the layers: an entry for an epoch, see `backlit.see.plot`.
        self.looks: list[dict[str, Any]] = []
        #: What went wrong with looking, if something did; training went on.
        self.problems: list[str] = []
        #: What is told of a run that failed or was interrupted.
        self.account: Account | None = None
        #: The command, or the call, with which an interrupted run goes on.
        self.go_on = ""
        self._stride = 1
        self._last: dict[str, Any] | None = None  # of the last epoch, if that is none of the kept
        self._columns: tuple[Tensor, ...] | None = None
        self._total = 0
        self._drawing: str | None = None
        self._own = False  # whether the file at the path is this run's
        self._next = 0.0

    required = False  # a run that was saved without a report gets one of what is still to come

    # -- what the Trainer calls ---------------------------------------------------------------

    def on_train_start(self, trainer: Training) -> None:
        """Make room for the page, and write it as things stand before the first step."""
        self.account = None
        if self._columns is None and self.examples is not None:
            with kept(trainer.model):
                self._columns, self._total = _columns(self.examples)
        if not self.looks and trainer.epoch == 0 and trainer.position == 0:
            self._look(trainer)
        self.write(trainer, "running")

    def on_epoch_end(self, trainer: Training, record: dict[str, float]) -> None:
        """Look at the layers, if it is this epoch's turn, and write the page now and then."""
        if trainer.epoch % self._stride == 0:
            self._look(trainer)
            if len(self.looks) > LOOKS:
                self._stride *= 2
                self.looks = [s for s in self.looks if s["epoch"] % self._stride == 0]
        if time.monotonic() >= self._next:
            self._try_to_write(trainer, "running")

    def on_train_end(self, trainer: Training) -> None:
        """Write the page."""
        newest = self.looks[-1]["epoch"] if self.looks else None
        self._last = None
        if trainer.stopped == INTERRUPTED:
            self.account = interrupted(trainer, self.go_on)
        if trainer.position == 0 and newest != trainer.epoch:
            self._look(trainer, last=True)
        self._try_to_write(trainer, trainer.stopped or "finished")

    def on_exception(self, trainer: Training, error: BaseException) -> None:
        """Write the page with what is known of the failure: cause, cure, the command to replay."""
        self.account = account_of(trainer, error)
        state = "failed: the loss was not finite"
        if not isinstance(error, Exception):
            state = INTERRUPTED
            self._columns = None  # who asks twice waits for nothing more
        elif not isinstance(error, NonFiniteError):
            state = f"failed: {type(error).__name__}"
        self.write(trainer, state)

    def state_dict(self) -> dict[str, Any]:
        """What was seen so far."""
        return {"stride": self._stride, "looks": list(self.looks)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from what was seen; the page at the path is this run's."""
        self._stride, self.looks = state["stride"], list(state["looks"])
        self._own = True

    # -- looking ------------------------------------------------------------------------------

    def _look(self, trainer: Training, last: bool = False) -> None:
        if self._columns is None:
            return
        with self._looking(trainer, "layers"):
            batch = tuple(c[:PROBE] for c in self._columns)
            seen = {"epoch": trainer.epoch, **look(trainer, batch)}
            self._look_around(trainer, seen)
            if last:
                self._last = seen
            else:
                self.looks.append(seen)

    def _look_around(self, trainer: Training, seen: dict[str, Any]) -> None:
        """Take down what the model says everywhere, and what it writes."""
        assert self._columns is not None
        *inputs, target = self._columns
        with self._looking(trainer, "plane"):
            classes = classes_of(trainer.loss_fn, target, self.words)
            found = everywhere(trainer.model, trainer.loss_fn, inputs, classes)
            if found is not None:
                seen["everywhere"] = found
        if self.samples is not None:
            with self._looking(trainer, "samples"), no_grad():
                said = self.samples(trainer.model.eval())
                texts = [said] if isinstance(said, str) else list(said)
                seen["samples"] = [str(text)[:LONGEST] for text in texts[:SAMPLES]]

    @contextmanager
    def _looking(self, trainer: Training, what: str) -> Iterator[None]:
        """A look at the model, which stays as it is; what goes wrong must not end a training."""
        try:
            with kept(trainer.model):
                yield
        except Exception as error:
            text = f"{what}: {type(error).__name__}: {error}"
            if text not in self.problems:
                self.problems.append(text)

    def _results(self, trainer: Training) -> dict[str, Any]:
        if self._columns is None:
            return {"kind": "none", "why": "the report was given no examples"}
        with self._looking(trainer, "examples"):
            model, loss_fn = trainer.model, trainer.loss_fn
            found = look_at_examples(model, loss_fn, self._columns, self.words)
            return {**found, "of": self._total}
        return {"kind": "none", "why": "the model could not be applied to the examples"}

    def _graph(self, trainer: Training) -> str | None:
        """The page that draws one example's way through the network, with its gradients."""
        if self._columns is None:
            return None
        with self._looking(trainer, "graph"):
            trainer.model.eval()
            seen = record(trainer.outcome(tuple(c[:1] for c in self._columns)).loss)
            if len(seen) > NODES:
                raise DataError(f"it has {len(seen):,} nodes, too many for here")
            return draw(seen, title="One example").html(PICTURES)
        return None

    # -- writing ------------------------------------------------------------------------------

    def write(self, trainer: Training, state: str = "finished") -> None:
        """Write the page as things stand; the file appears whole or not at all."""
        if not self._own and self.path.exists():
            set_aside(self.path)
        self._write(trainer, state)
        self._own = True

    def _write(self, trainer: Training, state: str) -> None:
        started = time.monotonic()
        if state != "running":
            self._drawing = self._graph(trainer)
        looks = self.looks if self._last is None else [*self.looks, self._last]
        text = page(
            trainer,
            title=self.title,
            state=state,
            facts=self.facts,
            tested=self.tested,
            account=self.account,
            looks=looks,
            results=self._results(trainer),
            drawing=self._drawing,
            problems=self.problems,
        )
        write_whole(self.path, text.encode(errors="replace"))
        now = time.monotonic()
        self._next = now + PATIENCE * (now - started)

    def _try_to_write(self, trainer: Training, state: str) -> None:
        try:
            self._write(trainer, state)
        except DataError as error:
            warnings.warn(f"Report: {error}; the training goes on", stacklevel=4)
            self._next = time.monotonic() + 60


def _columns(source: Any) -> tuple[tuple[Tensor, ...], int]:
    """The examples as Tensors, the model's inputs, then the target; and how many there are."""
    make = None
    if isinstance(source, DataLoader):
        make, source = source.collate_fn, source.dataset
    if isinstance(source, tuple | list):
        return _checked(source, None)
    if not (hasattr(source, "__getitem__") and hasattr(source, "__len__")):
        raise ArgumentError(
            "Report: examples must be a data set with a length, a DataLoader of one, or a tuple of "
            f"arrays, got {type(source).__name__}"
        )
    total = len(source)
    count = min(total, EXAMPLES)
    rows = rows_of(source, np.arange(count)) if count and make is None else None
    if rows is not None:
        return _checked(rows, total)
    first = [source[i] for i in range(count)]
    return _checked((make or collate)(first) if first else ([], []), total)


def _words(classes: Any, describe: Any, tokens: Any) -> Words:
    if tokens is not None and not callable(tokens):
        known = [str(t) for t in tokens]
        if classes is None:  # a language model's classes are its tokens
            classes = known
        return Words(classes, describe, lambda ids: [known[int(i)] for i in ids])
    return Words(classes, describe, tokens)


def _checked(columns: Any, total: int | None) -> tuple[tuple[Tensor, ...], int]:
    if not isinstance(columns, tuple | list) or len(columns) < 2:
        raise ArgumentError(
            "Report: examples must be the model's inputs, then the target, got "
            f"{type(columns).__name__}"
        )
    tensors = tuple(as_tensor(c) for c in columns)
    lengths = [t.shape[0] if t.shape else 0 for t in tensors]
    if len(set(lengths)) > 1 or 0 in lengths:
        raise ArgumentError(
            "Report: examples must be equally many inputs and targets, at least one, got "
            f"{' and '.join(map(str, lengths))}"
        )
    return tuple(t[:EXAMPLES] for t in tensors), lengths[0] if total is None else total
