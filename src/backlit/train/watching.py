"""A callback that watches layers over the epochs of a run, with `see.watch`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..array_api.arguments import whole
from ..nn.keeping import kept
from ..see import Watch as Rows
from ..see import watch
from .batch import as_batch
from .callbacks import Callback
from .training import Training


class Watch(Callback):
    """Take down a row of `see.watch` after every `every` epochs: one entry for each layer.

    `rows` has them by epochs done. `update` is how far a layer's parameters went since the row
    before, relative to their size. Outputs and gradients are those of `batch`, which is what the
    loader gives: the model's inputs, then the target; it runs through the model between epochs, in
    training mode. Without a batch they are None. So the steps stay native, and training goes on as
    if nobody had looked, to the bit. `layers` names some, by default all innermost ones.

    After resuming, `update` is None where the parameters of the row before are not known.

    >>> from backlit import nn, optim, tensor
    >>> from backlit.train import Trainer
    >>> net = nn.Sequential(nn.Linear(2, 8), nn.ReLU(), nn.Linear(8, 2))
    >>> batch = tensor([[0.5, -1.0], [1.0, 0.3], [-0.2, 0.7]]), tensor([0, 1, 1])
    >>> watch = Watch(batch, layers=["0", "2"])
    >>> optimizer = optim.SGD(net.parameters(), lr=0.1)
    >>> loss_fn = nn.CrossEntropyLoss()
    >>> trainer = Trainer(net, loss_fn, optimizer, callbacks=[watch], progress="quiet")
    >>> _ = trainer.fit([batch], epochs=2)
    >>> sorted(watch.rows), watch.rows[2]["0"]["update"] > 0
    ([1, 2], True)
    """

    def __init__(
        self,
        batch: Sequence[Any] | None = None,
        layers: Sequence[str] | None = None,
        every: int = 1,
    ):
        self.batch = batch
        self.layers = layers
        self.every = whole("Watch: every", every)
        #: The rows by epochs done: `rows[3]["0"]["update"]`.
        self.rows: dict[int, dict[str, dict[str, float | None]]] = {}
        self._watch: Rows | None = None
        self._model: Any = None
        self._resumed = False

    required = False  # in a run that was saved without it, it begins where that is resumed

    def on_train_start(self, trainer: Training) -> None:
        """Keep the parameters, from which the first update is measured."""
        if self._watch is not None and self._model is trainer.model and not self._resumed:
            return
        self._watch, self._model = watch(trainer.model, self.layers), trainer.model
        if trainer.position == 0 and (trainer.epoch in self.rows or trainer.epoch == 0):
            self._resumed = False

    def on_epoch_end(self, trainer: Training, record: dict[str, float]) -> None:
        """Take down a row, if it is this epoch's turn."""
        if trainer.epoch % self.every or self._watch is None:
            return
        if self.batch is None:
            row = self._watch.step()
        else:
            with kept(trainer.model):
                trainer.model.train()
                for p in trainer.model.parameters():
                    p.grad = None
                with self._watch:
                    trainer.outcome(as_batch(self.batch)).loss.backward()
            row = self._watch.rows[-1]
        self._watch.rows.clear()  # they are kept here
        if self._resumed:
            row = {name: {**entry, "update": None} for name, entry in row.items()}
            self._resumed = False
        self.rows[trainer.epoch] = row

    def state_dict(self) -> dict[str, Any]:
        """The rows so far."""
        return {"rows": [[epoch, row] for epoch, row in self.rows.items()]}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from these rows."""
        self.rows = dict(state["rows"])
        self._resumed = True
