"""The worker processes of a loader, as their parent sees them: started, told, heard, stopped."""

from __future__ import annotations

import contextlib
import multiprocessing
import pickle
import selectors
import signal
import time
from collections.abc import Callable, Iterator
from multiprocessing import process, util
from multiprocessing.connection import Connection
from multiprocessing.context import BaseContext
from typing import Any

from ..errors import ArgumentError, WorkerError
from ..foreign import words
from .making import Job, Keys, Maker, require_some
from .shared import Receiver, dumps, send
from .worker import Answer, Task, work

#: Seconds that a worker has to end by itself, and then that it has after SIGTERM.
_GRACE = 2.0
#: Blocks of memory, among all workers, that batches may lie in while they are used.
_LENT = 64


def chosen_context(given: Any) -> BaseContext:
    """How processes are started: by a context or its name; if None, as Python does by default."""
    names = multiprocessing.get_all_start_methods()
    if isinstance(given, BaseContext):
        return given
    if given is None or given in names:
        return multiprocessing.get_context(given)
    raise ArgumentError(
        f"DataLoader: multiprocessing_context must be one of {', '.join(names)}, or what "
        f"multiprocessing.get_context returns, got {words(given)[0]}"
    )


class _Given:
    """What a worker gets when it starts, pickled where it is not forked."""

    def __init__(self, maker: Maker, worker_init_fn: Callable[[int], Any] | None):
        self._given = maker, worker_init_fn

    def __call__(self) -> tuple[Maker, Callable[[int], Any] | None]:
        return self._given

    def __reduce__(self) -> Any:
        return _Pickled, (dumps(self._given),)


class _Pickled:
    """The same, on its way: what cannot be loaded is an error like any other of the worker."""

    def __init__(self, given: bytes):
        self._given = given

    def __call__(self) -> Any:
        return pickle.loads(self._given)


class _Worker:
    """One process, its connection, and what it has been told and not answered."""

    def __init__(self, number: int, process: Any, connection: Connection, lent: int):
        self.number = number
        self.process = process
        self.connection = connection
        self.receiver = Receiver(lent)
        self.pending: set[int] = set()
        # Where Ctrl-C keeps all else from ending it: before the interpreter would wait for it.
        util.Finalize(self, _kill, (process,), exitpriority=5)


class Workers:
    """Processes that make batches with a Maker, for one epoch after another.

    They end with this object, with the process that made it, and with the interpreter.
    """

    def __init__(
        self,
        maker: Maker,
        count: int,
        context: BaseContext,
        worker_init_fn: Callable[[int], Any] | None,
        seed: int,
    ):
        if process.current_process().daemon:
            raise ArgumentError(
                "DataLoader: a daemonic process cannot start workers; use num_workers=0 in it, or "
                "start it with daemon=False"
            )
        self.maker = maker
        self._members: list[_Worker] = []
        self._epoch = 0
        self.busy = False
        self.divided = False
        self._selector = selectors.DefaultSelector()
        self.stop = util.Finalize(self, _stop, (self._members, self._selector), exitpriority=10)
        try:
            for number in range(count):
                place, most = (number, count), max(1, _LENT // count)
                self._start(context, place, most, worker_init_fn, seed)
        except BaseException:
            self.stop()
            raise

    def _start(self, context: Any, place: tuple[int, int], lent: int, init: Any, seed: int) -> None:
        ours, theirs = context.Pipe(duplex=True)
        forked = context.get_start_method() == "fork"
        inherited = [*(w.connection for w in self._members), ours] if forked else []
        made = context.Process(
            target=work,
            args=(theirs, inherited, _Given(self.maker, init), place, seed),
            name=f"backlit-worker-{place[0]}",
            daemon=False,  # or its dataset could use workers no more
        )
        try:
            with _uninterrupted():
                made.start()
                member = _Worker(place[0], made, ours, lent)
                self._members.append(member)
        except (pickle.PicklingError, TypeError, AttributeError, ValueError) as error:
            ours.close()
            raise self._not_sent(context.get_start_method(), init, error) from error
        finally:
            theirs.close()
        self._selector.register(ours, selectors.EVENT_READ, member)
        self._selector.register(made.sentinel, selectors.EVENT_READ, member)

    def _not_sent(self, method: str, init: Any, error: Exception) -> ArgumentError:
        things = {
            "dataset": self.maker.dataset,
            "collate_fn": self.maker.collate_fn,
            "worker_init_fn": init,
        }
        for name, thing in things.items():
            try:
                dumps(thing)
            except Exception:  # whatever its class raises
                what = f"the {name}, a {type(thing).__name__},"
                break
        else:
            what = "something"
        return ArgumentError(
            f"DataLoader: {what} cannot be sent to a worker process started by {method}: {error}; "
            "define classes and functions at the top of a module, or use "
            'multiprocessing_context="fork", which sends nothing'
        )

    def run(
        self, keys: Keys, jobs: Iterator[Job], ahead: int, in_order: bool, timeout: float
    ) -> Iterator[tuple[int, Any]]:
        """The batches of an epoch's jobs with their numbers, `ahead` of them made in advance."""
        self._epoch += 1
        epoch = _Epoch(self._members, self._selector, self._epoch, keys, jobs)
        self.busy = True
        finished = False
        try:
            for number, batch in epoch.batches(ahead, in_order, timeout):
                self.divided = epoch.divided
                yield number, batch
            if not epoch.delivered:
                require_some(self.maker.dataset, epoch.seen)
            finished = True
        except GeneratorExit:
            finished = True  # the loop has ended, and nothing is wrong with the workers
            raise
        finally:
            self.busy = False
            epoch.leave()
            if not finished:
                self.stop()

    @property
    def alive(self) -> bool:
        """Whether they can make another epoch."""
        return bool(self._members) and all(w.process.is_alive() for w in self._members)


class _Epoch:
    """One epoch of workers: what was told to whom, and what came back."""

    def __init__(
        self,
        members: list[_Worker],
        selector: selectors.BaseSelector,
        number: int,
        keys: Keys,
        jobs: Iterator[Job],
    ):
        self.members = members
        self.selector = selector
        self.number = number
        self.keys = keys
        self.jobs: Iterator[Job] | None = jobs
        self.waiting: dict[int, Any] = {}  # jobs in order: who answered what, or _AWAITED
        self.failure: Exception | None = None  # of what gives the jobs
        self.ended: set[int] = set()  # workers whose part of a stream is at its end
        self.seen = 0
        self.delivered = 0
        self.divided = False
        for member in members:
            member.pending.clear()
            self.tell(member, Task(number, keys))

    def batches(self, ahead: int, in_order: bool, timeout: float) -> Iterator[tuple[int, Any]]:
        """What the jobs have become, in their order or in that of the answers."""
        began = time.monotonic()
        self.hear(0)
        while True:
            self.give_jobs(ahead)
            if not self.waiting:
                break
            number = self.ready(in_order)
            if number is None:
                left = began + timeout - time.monotonic() if timeout else None
                if (left is not None and left <= 0) or not self.hear(left):
                    raise self.late(timeout)
                continue
            member, answer = self.waiting.pop(number)
            if answer.error is not None:
                raise _raised(member, len(self.members), answer)
            self.delivered += 1
            yield number, member.receiver.unpack(answer.parcel)
            began = time.monotonic()
            self.hear(0)
        if self.failure is not None:
            raise self.failure

    def ready(self, in_order: bool) -> int | None:
        """The number of the job to be delivered next, if it is there."""
        for number, answer in self.waiting.items():
            if answer is not _AWAITED:
                return number
            if in_order:
                break
        return None

    def give_jobs(self, ahead: int) -> None:
        """Tell workers until so many batches are made in advance."""
        while self.jobs is not None and len(self.waiting) < ahead:
            try:
                job = next(self.jobs, None)
            except Exception as error:  # raised when what came before is delivered
                job, self.failure = None, error
            if job is None:
                self.jobs = None
                return
            number, indices = job
            if indices is None:  # of a stream: it may be divided
                member = self.members[number % len(self.members)]
                if member.number in self.ended:
                    continue
            else:
                member = min(self.members, key=lambda w: len(w.pending))
            freed = tuple(member.receiver.given_back())
            self.waiting[number] = _AWAITED
            member.pending.add(number)
            self.tell(member, Task(self.number, self.keys, number, indices, freed))

    def tell(self, member: _Worker, task: Task) -> None:
        """Send a task; a worker that is gone is an error at once."""
        try:
            send(member.connection, task)
        except ConnectionError:
            raise self.died(member) from None

    def hear(self, timeout: float | None) -> bool:
        """Take the answers that are there, or come within a time; whether there were any."""
        events = self.selector.select(timeout)
        gone = []
        for key, _ in events:
            member: _Worker = key.data
            if key.fileobj is member.connection:
                try:
                    self.take(member, pickle.loads(member.connection.recv_bytes()))
                except (EOFError, ConnectionError):
                    gone.append(member)
            elif not member.connection.poll(0):
                gone.append(member)
        for member in gone:
            raise self.died(member)
        return bool(events)

    def take(self, member: _Worker, answer: Answer) -> None:
        """An answer has come."""
        if answer.parcel is not None:
            member.receiver.note(answer.parcel, member.connection)
        if answer.epoch != self.number:
            if answer.parcel is not None:
                member.receiver.leave(answer.parcel)
            return
        member.pending.remove(answer.number)
        self.divided |= answer.divided
        self.waiting[answer.number] = member, answer
        if answer.end is not None:
            self.seen += answer.end.seen
            self.ended.add(member.number)
            del self.waiting[answer.number]
            if not answer.divided or len(self.ended) == len(self.members):
                self.jobs = None

    def leave(self) -> None:
        """The loop has ended: what is left is not wanted."""
        for answered in self.waiting.values():
            if answered is not _AWAITED and answered[1].parcel is not None:
                answered[0].receiver.leave(answered[1].parcel)

    def died(self, member: _Worker) -> WorkerError:
        """The error for a worker that has ended."""
        member.process.join(_GRACE)
        code = member.process.exitcode
        how = "does not answer any more"
        cure = "run with num_workers=0 to see what happens"
        if code is not None and code < 0:
            how = f"was killed by {_signal_name(-code)}"
            if -code == signal.SIGKILL:
                cure = (
                    "the system kills what takes too much memory: use fewer workers, smaller "
                    "batches or a smaller prefetch_factor"
                )
        elif code is not None:
            how = f"ended with exit code {code}"
            cure = (
                "what it printed says why; a script whose workers are not forked must do its work "
                'under if __name__ == "__main__"'
            )
        return WorkerError(
            f"DataLoader: worker {member.number} of {len(self.members)} (process "
            f"{member.process.pid}) {how}{self.doing(member)}; {cure}"
        )

    def late(self, timeout: float) -> WorkerError:
        """The error for a batch that does not come in time."""
        number = next(iter(self.waiting))
        (member,) = [w for w in self.members if number in w.pending]
        return WorkerError(
            f"DataLoader: no batch within timeout={timeout:g} s from worker {member.number} of "
            f"{len(self.members)}{self.doing(member)}; give more time, or look with num_workers=0 "
            "at what takes so long"
        )

    def doing(self, member: _Worker) -> str:
        """What a worker had to do, in words."""
        return f" while it had batch {min(member.pending)} to make" if member.pending else ""


_AWAITED = object()


class _WorkerTraceback(Exception):  # noqa: N818  (it is shown above an error, and never caught)
    """Where an error arose in a worker: the cause of what is raised in the loop."""

    def __str__(self) -> str:
        return f"\n{self.args[0]}"


def _raised(member: _Worker, count: int, answer: Answer) -> BaseException:
    """The error of a worker, as it would be without one, with where it came from."""
    assert answer.error is not None
    pickled, text = answer.error
    where = f"in worker {member.number} of {count}, making batch {answer.number}"
    if pickled is None:
        last = text.strip().splitlines()[-1]
        return WorkerError(f"DataLoader: {last} ({where}):\n{text}")
    error = pickle.loads(pickled)
    error.__cause__ = _WorkerTraceback(text)
    error.add_note(f"DataLoader: {where}")
    return error


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


@contextlib.contextmanager
def _uninterrupted() -> Iterator[None]:
    """A block in which Ctrl-C waits, here and in a process that is started there."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _kill(process: Any) -> None:
    """End a process that is still there."""
    if process.exitcode is None:
        process.kill()
        process.join()


def _stop(members: list[_Worker], selector: selectors.BaseSelector) -> None:
    """End the processes: by a word, after some time by a signal."""
    with _uninterrupted():
        _end(members)
        selector.close()


def _end(members: list[_Worker]) -> None:
    for member in members:
        with contextlib.suppress(OSError):
            send(member.connection, None)
        member.connection.close()
    deadline = time.monotonic() + _GRACE
    for end in (None, "terminate", "kill"):
        for member in members:
            if end is not None and member.process.is_alive():
                getattr(member.process, end)()
        for member in members:
            member.process.join(max(0.0, deadline - time.monotonic()))
        deadline = time.monotonic() + _GRACE
    members.clear()


__all__ = ["Workers", "chosen_context"]
