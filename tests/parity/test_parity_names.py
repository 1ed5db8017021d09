"""Each public name of PyTorch's is there, or says what to do instead."""

from __future__ import annotations

import importlib
import types
import typing

import pytest
import torch

import backlit.torch as ours
from backlit.errors import SpellingError

pytestmark = pytest.mark.parity

ROOMS = """
torch torch.nn torch.nn.functional torch.nn.init torch.nn.utils torch.nn.utils.rnn
torch.nn.parallel torch.nn.attention torch.nn.parameter torch.optim torch.optim.lr_scheduler
torch.optim.swa_utils torch.utils.data torch.utils.checkpoint torch.distributions torch.autograd
torch.autograd.functional torch.func torch.linalg torch.special torch.fft torch.sparse torch.cuda
torch.amp torch.jit torch.testing torch.compiler torch.backends
""".split()


def public(room: types.ModuleType) -> list[str]:
    """The names that are PyTorch's own, not Python's that its file has imported."""
    listed = getattr(room, "__all__", None) if room is not torch else None
    names = [n for n in listed or dir(room) if not n.startswith("_")]
    found = []
    for name in names:
        thing = getattr(room, name, None)
        home = thing.__name__ if isinstance(thing, types.ModuleType) else None
        home = home or getattr(thing, "__module__", None) or "torch"
        if thing is not torch and thing is not typing.TYPE_CHECKING:
            found += [name] if str(home).startswith("torch") else []
    return found


def without_an_answer(holder: object, names: list[str]) -> list[str]:
    """Of the names those that are not there and say nothing."""
    found = []
    for name in names:
        try:
            getattr(holder, name)
        except SpellingError:
            continue
        except AttributeError:
            found.append(name)
    return found


@pytest.mark.parametrize("path", ROOMS)
def test_a_name_of_a_room_is_there_or_says_what_to_do_instead(path):
    theirs = importlib.import_module(path)
    room: object = ours
    try:
        for part in path.split(".")[1:]:
            room = getattr(room, part)
    except SpellingError:
        return  # the whole room says so
    plain = {"Tensor", "m", "device", "common_notes"}  # what their files have of other files
    assert [n for n in without_an_answer(room, public(theirs)) if n not in plain] == []


def test_a_method_of_tensors_is_there_or_says_what_to_do_instead():
    names = [n for n in dir(torch.Tensor) if not n.startswith("_")]
    assert without_an_answer(ours.ones(2, 2), names) == []
