"""What goes from one process to another: arrays through memory that both see, the rest pickled.

Such memory is a file without a name, of which the other process gets the descriptor: it is gone
with the last process that has it mapped, however those end.
"""

from __future__ import annotations

import io
import mmap
import os
import pickle
import socket
import tempfile
from collections import deque
from collections.abc import Callable, Iterable
from multiprocessing import reduction
from multiprocessing.connection import Connection
from typing import Any, NamedTuple

import numpy as np

#: What is smaller goes through the connection: a batch that is kept need not keep a file open.
SMALL = 32 * 1024
#: Where an array begins, in bytes: a line of the cache.
_ALIGNED = 64
_MAPPED = mmap.MAP_SHARED | getattr(mmap, "MAP_POPULATE", 0) if hasattr(mmap, "MAP_SHARED") else 0


def dumps(value: Any, put: Callable[[pickle.PickleBuffer], Any] | None = None) -> bytes:
    """The value pickled; `put` gets the memory of its arrays, which is then left out."""
    stream = io.BytesIO()
    reduction.ForkingPickler(stream, 5, True, put).dump(value)
    return stream.getvalue()


class Parcel(NamedTuple):
    """What is sent of a value: the sizes of its parts and the block they lie in, or the parts."""

    sizes: tuple[int, ...]  # in bytes: of the pickle, then of each array
    parts: tuple[bytearray, ...]  # where it is small
    block: int  # the number of the block, where it is not
    length: int  # of the block, if it is a new one: its descriptor comes next
    dropped: tuple[int, ...]  # blocks that are no more


class Sender:
    """Puts values into blocks of shared memory, each again when the receiver has freed it."""

    def __init__(self) -> None:
        self._blocks: dict[int, mmap.mmap] = {}
        self._free: set[int] = set()
        self._made = 0

    def freed(self, blocks: Iterable[int]) -> None:
        """The receiver needs these blocks no more."""
        self._free.update(blocks)

    def pack(self, value: Any) -> tuple[Parcel, int | None]:
        """The parcel of a value, and the descriptor of its block if that is a new one."""
        buffers: list[pickle.PickleBuffer] = []
        parts = [memoryview(dumps(value, buffers.append)), *(b.raw() for b in buffers)]
        sizes = tuple(part.nbytes for part in parts)
        total = sum(map(_aligned, sizes))
        if total <= SMALL or not _HAS_BLOCKS:
            return Parcel(sizes, tuple(map(bytearray, parts)), -1, 0, ()), None
        number, descriptor, dropped = self._block(total)
        block, start = memoryview(self._blocks[number]), 0
        for part, size in zip(parts, sizes, strict=True):
            block[start : start + size] = part
            start += _aligned(size)
        length = 0 if descriptor is None else len(block)
        return Parcel(sizes, (), number, length, dropped), descriptor

    def _block(self, size: int) -> tuple[int, int | None, tuple[int, ...]]:
        """A free block of at least this size; a new one takes the place of those too small.

        Also its descriptor, if it is new, and the numbers of the blocks that are no more.
        """
        fitting = [n for n in self._free if len(self._blocks[n]) >= size]
        if fitting:
            number = min(fitting, key=lambda n: len(self._blocks[n]))
            self._free.remove(number)
            return number, None, ()
        dropped = tuple(self._free)
        self._free.clear()
        for number in dropped:
            del self._blocks[number]
        self._made += 1
        step = 1 << max(16, size.bit_length() - 3)  # so that somewhat larger batches fit as well
        size = -(-size // step) * step
        descriptor = _nameless(size)
        self._blocks[self._made] = mmap.mmap(descriptor, size, flags=_MAPPED)
        return self._made, descriptor, dropped


class Receiver:
    """Gives what a Sender has packed: arrays lie in the block, which is freed when they are gone.

    No more than `most` blocks are lent to arrays at a time, because each is an open file; what
    comes then is copied.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._lent = 0
        self._blocks: dict[int, mmap.mmap] = {}
        self._given_back: deque[int] = deque()

    def note(self, parcel: Parcel, connection: Connection) -> None:
        """Take the block of a parcel that has just arrived, if it is a new one."""
        for number in parcel.dropped:
            del self._blocks[number]
        if parcel.length:
            descriptor = reduction.recv_handle(connection)
            try:
                self._blocks[parcel.block] = mmap.mmap(descriptor, parcel.length, flags=_MAPPED)
            finally:
                os.close(descriptor)

    def unpack(self, parcel: Parcel) -> Any:
        """The value."""
        if parcel.block < 0:
            return pickle.loads(parcel.parts[0], buffers=parcel.parts[1:])
        self._lent += 1
        memory = np.asarray(_Lent(self._blocks[parcel.block], parcel.block, self._given_back))
        if self._lent > self._most:
            memory = memory.copy()
        start, parts = 0, []
        for size in parcel.sizes:
            parts.append(memory[start : start + size])
            start += _aligned(size)
        del memory
        return pickle.loads(parts[0].data, buffers=parts[1:])

    def leave(self, parcel: Parcel) -> None:
        """The value is not wanted."""
        if parcel.block >= 0:
            self._lent += 1
            self._given_back.append(parcel.block)

    def given_back(self) -> list[int]:
        """The blocks that have become free since this was last asked."""
        blocks = [self._given_back.popleft() for _ in range(len(self._given_back))]
        self._lent -= len(blocks)
        return blocks


class _Lent:
    """A block as long as an array lies in it."""

    def __init__(self, block: mmap.mmap, number: int, given_back: deque[int]):
        self._block = block
        self._number = number
        self._given_back = given_back
        address = np.frombuffer(block, np.uint8).__array_interface__["data"]
        self.__array_interface__ = {
            "version": 3,
            "shape": (len(block),),
            "typestr": "|u1",
            "data": address,
        }

    def __del__(self) -> None:
        self._given_back.append(self._number)


def send(connection: Connection, message: Any, descriptor: int | None = None) -> None:
    """Send a message, and after it a descriptor, which is closed here."""
    try:
        connection.send_bytes(dumps(message))
        if descriptor is not None:
            reduction.send_handle(connection, descriptor, None)
    finally:
        if descriptor is not None:
            os.close(descriptor)


def _aligned(size: int) -> int:
    return -(-size // _ALIGNED) * _ALIGNED


def _nameless(size: int) -> int:
    """The descriptor of a file in memory, where the system has such, that has no name."""
    if hasattr(os, "memfd_create"):
        descriptor = os.memfd_create("backlit", os.MFD_CLOEXEC)
    else:
        with tempfile.TemporaryFile() as file:
            descriptor = os.dup(file.fileno())
    os.ftruncate(descriptor, size)
    return descriptor


_HAS_BLOCKS = hasattr(socket, "AF_UNIX") and hasattr(reduction, "sendfds")

__all__ = ["SMALL", "Parcel", "Receiver", "Sender", "dumps", "send"]
