"""A worker: the process that makes batches when it is told to, and ends when its parent does."""

from __future__ import annotations

import contextlib
import os
import pickle
import signal
import threading
import traceback
from collections.abc import Callable
from multiprocessing import process
from multiprocessing.connection import Connection, wait
from queue import SimpleQueue
from typing import Any, NamedTuple

from .. import compiler
from ..state import STATE
from .making import End, Keys, Maker
from .shared import Parcel, Sender, dumps, send
from .worker_info import Here, WorkerInfo


class Task(NamedTuple):
    """What a worker is told: to make a batch, or without a number that an epoch begins."""

    epoch: int
    keys: Keys
    number: int | None = None
    indices: Any = None
    freed: tuple[int, ...] = ()  # blocks of memory whose batches are gone


class Answer(NamedTuple):
    """What became of a task: a batch, the end of the stream, or an error."""

    epoch: int
    number: int
    parcel: Parcel | None
    end: End | None
    error: tuple[bytes | None, str] | None  # pickled, if it can be, and its traceback
    divided: bool  # the stream gives each worker a part of its own


class _Inbox:
    """The tasks that have come, in a thread, so that the parent never waits to tell.

    The thread also ends the process as soon as the parent is gone, whatever it is doing.
    """

    def __init__(self, connection: Connection):
        self.connection = connection
        self.tasks: SimpleQueue[Task | None] = SimpleQueue()
        self.epoch = -1
        self.parent = os.getppid()
        threading.Thread(target=self._listen, name="backlit-worker-inbox", daemon=True).start()

    def _listen(self) -> None:
        parent = process.parent_process()
        sources: list[Any] = [self.connection] + ([] if parent is None else [parent.sentinel])
        while True:
            ready = wait(sources, timeout=1.0)
            try:
                if self.connection in ready:
                    task = pickle.loads(self.connection.recv_bytes())
                elif ready or os.getppid() != self.parent:
                    os._exit(1)
                else:
                    continue
            except (EOFError, OSError):
                os._exit(1)
            if task is not None:
                self.epoch = task.epoch
            self.tasks.put(task)
            if task is None:
                self.epoch = -1
                return


def _quietly(error: BaseException) -> tuple[bytes | None, str]:
    """An error so that it can be sent."""
    text = "".join(traceback.format_exception(error))
    try:
        pickled = dumps(error)
        pickle.loads(pickled)
    except Exception:  # its class may do anything
        return None, text
    return pickled, text


def _settle() -> None:
    """Leave behind what belongs to the parent: its signals, its blocks and its threads."""
    signal.signal(signal.SIGINT, lambda *_: None)  # Ctrl-C is the parent's, which ends this process
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT])
    STATE.__dict__.clear()  # as in a thread that has just begun
    compiler.set_threads(1)


def _begun(given: Callable[[], Any], place: tuple[int, int], seed: int) -> Maker:
    """The maker that was given, when all is ready for the first batch."""
    maker, worker_init_fn = given()
    maker.place = place
    Here.info = WorkerInfo(*place, seed + place[0], maker)
    if worker_init_fn is not None:
        worker_init_fn(place[0])
    Here.info.begun = True
    return maker


def work(
    connection: Connection,
    inherited: list[Connection],
    given: Callable[[], Any],
    place: tuple[int, int],
    seed: int,
) -> None:
    """Do what the connection says, until it says None."""
    for other in inherited:
        other.close()
    _settle()
    inbox = _Inbox(connection)
    maker, broken = Maker([], None, None, False, False), None
    try:
        maker = _begun(given, place, seed)
    except BaseException as error:
        broken = error
    sender = Sender()
    epoch = -1
    while (task := inbox.tasks.get()) is not None:
        sender.freed(task.freed)
        if task.epoch != inbox.epoch:
            continue
        if task.epoch != epoch:
            epoch = task.epoch
            maker.begin(task.keys)
        if task.number is None:
            continue
        with contextlib.suppress(ConnectionError):  # the inbox knows why, and ends the process
            _answer(connection, sender, maker, task, broken)


def _answer(
    connection: Connection, sender: Sender, maker: Maker, task: Task, broken: BaseException | None
) -> None:
    parcel, descriptor, end, failed = None, None, None, None
    assert task.number is not None
    try:
        if broken is not None:
            raise broken
        batch = maker.make(task.number, task.indices)
        if isinstance(batch, End):
            end = batch
        else:
            parcel, descriptor = sender.pack(batch)
        del batch
    except BaseException as error:
        failed = _quietly(error)
    answer = Answer(task.epoch, task.number, parcel, end, failed, maker.divided)
    send(connection, answer, descriptor)


__all__ = ["Answer", "Task", "work"]
