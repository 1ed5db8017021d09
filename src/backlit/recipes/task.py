"""What a task is: data that was looked at, and the recipe that suits it."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

from ..data import Dataset
from ..errors import ArgumentError, DataError, MissingFileError
from .form import Form, Parts, Source
from .others import cure_for
from .settings import RECIPE, SETTINGS, checked, did_you_mean

#: What every recipe sets.
COMMON: dict[str, Any] = {
    "activation": "relu",
    "batch_norm": True,
    "dropout": 0.0,
    "optimizer": "adamw",
    "lr": 3e-3,
    "weight_decay": 1e-2,
    "schedule": "cosine",
    "warmup": 0.0,
    "batch_size": 32,
    "clip_norm": 0.0,
    "label_smoothing": 0.0,
    "balance": False,
    "patience": 10,
    "validation": 0.1,
    "test": 0.1,
    "compile": True,
    "seed": 0,
}


class Task:
    """Data that was looked at: what it is, what is odd about it, and the recipe that suits it.

    `found` has what was understood, `warnings` what should be known before the result is believed,
    and `settings` the recipe.
    """

    #: The kinds of tasks, in the order in which they are asked.
    kinds: ClassVar[list[type[Task]]] = []
    kind: ClassVar[str]
    #: The built-in sets that are of the kind.
    names: ClassVar[tuple[str, ...]] = ()

    def __init__(
        self,
        source: Source,
        name: str,
        found: Sequence[tuple[str, str]],
        warnings: Sequence[str],
        settings: Mapping[str, Any],
    ):
        self.source = source
        self.name = name
        self.found = list(found)
        self.warnings = list(warnings)
        #: The recipe; a setting that is None has no meaning here.
        self.settings = {k: v for k, v in {**COMMON, **settings}.items() if v is not None}

    @classmethod
    def recognise(cls, source: Source) -> Task | None:
        """The task of a source, if that is of this kind; an error if it is a broken one."""
        raise NotImplementedError

    def set(self, **given: Any) -> dict[str, Any]:
        """The recipe with what is given in its place."""
        for name in given:
            if name in SETTINGS and name not in self.settings:
                raise ArgumentError(
                    f"{name} has no meaning for {self.name} ({self.kind}); there are "
                    + ", ".join(self.settings)
                    + did_you_mean(name, self.settings)
                )
        known = checked(given, [s.name for s in RECIPE])
        if known.get("vectors"):  # a run is continued from any folder
            known["vectors"] = str(Path(known["vectors"]).expanduser().resolve())
        return {**self.settings, **known}

    def parts(self, settings: Mapping[str, Any], form: Form | None = None) -> Parts:
        """The examples of each part; without a form, one is learned on the training part."""
        raise NotImplementedError

    def test(self, settings: Mapping[str, Any], form: Form) -> Dataset:
        """The test part alone."""
        return self.parts(settings, form).test

    def __str__(self) -> str:
        rows = [("data", self.name), *self.found, *(("note", w) for w in self.warnings)]
        width = max(len(label) for label, _ in rows)
        return "\n".join(f"{label:<{width}}  {text}" for label, text in rows)

    def __repr__(self) -> str:
        return f"<{self.kind} {self.name}>"


def look_at(source: Source) -> Task:
    """The task of a source: of the first kind that recognises it."""
    kinds = Task.kinds
    builtin = [name for k in kinds for name in k.names]
    if source.dataset.lower() in builtin:  # a folder of the same name is ./digits
        source = replace(source, dataset=source.dataset.lower())
    elif _there(source.path):
        source = replace(source, dataset=str(source.path.expanduser().resolve()))
    if source.kind is not None:
        names = list(dict.fromkeys(k.kind for k in kinds if k.kind))
        kinds = [k for k in kinds if k.kind == source.kind.lower()]
        if not kinds:
            raise ArgumentError(
                f"kind must be one of {', '.join(names)}, got {source.kind!r}"
                + did_you_mean(source.kind, names)
            )
    for kind in kinds if _there(source.path) or source.dataset in builtin else []:
        try:
            task = kind.recognise(source)
        except DataError as error:
            raise _named(error, source.path) from None
        if task is not None:
            return task
    if not _there(source.path):
        if _is_link(source.path):
            raise MissingFileError(
                f"{source.path} is a link to {os.readlink(source.path)}, which cannot be followed; "
                "name the file itself"
            )
        raise MissingFileError(
            f"{source.dataset!r:.80} is neither a file or folder nor one of {', '.join(builtin)}"
            + did_you_mean(source.dataset, builtin)
        )
    cure = cure_for(source.path) if source.path.is_file() else None
    if cure is not None:
        raise DataError(f"{source.path} {cure}")
    what = f"{source.path}: it is not clear what it holds"
    if source.path.is_dir():
        names = sorted(p.name for p in source.path.iterdir() if not p.name.startswith("."))
        what += f" ({', '.join(names[:6]) or 'nothing'}{', …' if names[6:] else ''})"
        what += "; name one of its files" if any(map(_has_ending, names)) else ""
    if source.kind is not None:
        raise ArgumentError(f"{what}, or it is no {source.kind}")
    raise ArgumentError(
        f"{what}; say so with --kind, one of {', '.join(dict.fromkeys(k.kind for k in kinds))}"
    )


def _there(path: Path) -> bool:
    """Whether a path is that of something; one that no file could have is not."""
    try:
        return path.exists()
    except (OSError, ValueError):  # a link in a circle, a long name, a null character
        return False


def _is_link(path: Path) -> bool:
    try:
        return path.is_symlink()
    except (OSError, ValueError):
        return False


def _named(error: DataError, path: Path) -> DataError:
    """The error with the name of the data, if it has not said where it is."""
    return error if path.name in str(error) else type(error)(f"{path.name}: {error}")


def _has_ending(name: str) -> bool:
    return "." in name
