"""A callback that looks at one batch over the epochs of a run, with `see.history`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..array_api.arguments import whole
from ..nn.keeping import kept
from ..see import History as Looks
from ..see import history, record
from .batch import as_batch
from .callbacks import Callback
from .training import Training


class History(Callback):
    """Look at a batch before the training and after every `every` epochs, for `see.history`.

    `batch` is what the loader gives, a few examples of it: the model's inputs, then the target. It
    runs through the model between epochs, in training mode, so the steps stay native, and training
    goes on as if nobody had looked, to the bit. `history` is the `see.History`, whose steps are
    epochs; with `path` its page is written when the training ends. At most `limit` epochs are kept.
    `pictures` and `tokens` are those of `see.draw`. A run that is resumed is looked at from there.

    >>> from backlit import nn, optim, tensor
    >>> from backlit.train import Trainer
    >>> net = nn.Sequential(nn.Linear(2, 8), nn.ReLU(), nn.Linear(8, 2))
    >>> batch = tensor([[0.5, -1.0], [1.0, 0.3], [-0.2, 0.7]]), tensor([0, 1, 1])
    >>> look = History(batch)
    >>> optimizer = optim.SGD(net.parameters(), lr=0.1)
    >>> loss_fn = nn.CrossEntropyLoss()
    >>> trainer = Trainer(net, loss_fn, optimizer, callbacks=[look], progress="quiet")
    >>> _ = trainer.fit([batch], epochs=3)
    >>> look.history
    History(4 steps from 0 to 3, 10 nodes)
    """

    required = False  # it can begin at any time

    def __init__(
        self,
        batch: Sequence[Any],
        every: int = 1,
        limit: int = 24,
        *,
        path: Any = None,
        pictures: Any = True,
        tokens: Any = None,
    ):
        self.batch, self.path = batch, path
        self.every = whole("History: every", every)
        #: What was seen.
        self.history: Looks = history(
            self.every, limit, pictures=pictures, tokens=tokens, what="epoch"
        )

    def on_train_start(self, trainer: Training) -> None:
        """Look before the first step."""
        self._look(trainer)

    def on_epoch_end(self, trainer: Training, record: dict[str, float]) -> None:
        """Look, if it is this epoch's turn."""
        self._look(trainer)

    def on_train_end(self, trainer: Training) -> None:
        """Write the page, if it has a path."""
        if self.path is not None:
            self.history.save(self.path)

    def _look(self, trainer: Training) -> None:
        epoch = trainer.epoch
        seen = self.history.steps
        if not self.history.wants(epoch) or (seen and epoch <= seen[-1]):
            return
        with kept(trainer.model):
            trainer.model.train()
            loss = trainer.outcome(as_batch(self.batch)).loss
            self.history.add(record(loss, step=epoch), epoch)
