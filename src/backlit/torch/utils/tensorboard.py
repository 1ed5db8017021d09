"""`torch.utils.tensorboard`: a writer of TensorBoard's event files, which needs no TensorBoard."""

from __future__ import annotations

import io
import os
import socket
import time
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ...data.pictures import pillow
from ...errors import ArgumentError, SpellingError
from ...tensor import as_tensor
from ...train.loggers import events
from ...train.loggers.tensorboard import append, begun
from ..mirror import mirrored

_ABSENT = {
    "add_audio": "save the samples with np.save",
    "add_embedding": "save the vectors with np.save",
    "add_mesh": "save the points with np.save",
    "add_pr_curve": "train.AUC and train.F1 are metrics of a Trainer",
    "add_video": "write its pictures with add_images",
}


class SummaryWriter:
    """Write scalars, histograms, pictures, texts and hyperparameters for `tensorboard --logdir`.

    Without `log_dir` the folder is `runs/` and the time, the host and the `comment`. Each call
    writes its event at once, so `flush` has nothing to do. Histograms have 30 bins of equal width.
    With `purge_step`, TensorBoard leaves out what earlier files in the folder have from it on.

    >>> import tempfile
    >>> with SummaryWriter(tempfile.mkdtemp()) as writer:
    ...     for step, loss in enumerate([2.0, 1.5]):
    ...         writer.add_scalar("loss/train", loss, step)
    """

    def __init__(
        self,
        log_dir: str | os.PathLike[str] | None = None,
        comment: str = "",
        purge_step: int | None = None,
        max_queue: int = 10,
        flush_secs: int = 120,
        filename_suffix: str = "",
    ):
        if not log_dir:
            now = time.strftime("%b%d_%H-%M-%S")
            log_dir = Path("runs") / f"{now}_{socket.gethostname()}{comment}"
        self.log_dir = os.fspath(log_dir)
        self._ending = filename_suffix
        self._files: dict[Path, Path] = {}  # the event file of each folder
        path = self._file(Path(log_dir))
        if purge_step is not None:
            append(path, events.restart(time.time(), purge_step))

    def _file(self, folder: Path) -> Path:
        if folder not in self._files:
            self._files[folder] = begun(folder, self._ending)
        return self._files[folder]

    def _write(
        self, values: list[bytes], step: int | None, walltime: float | None, part: str = ""
    ) -> None:
        path = self._file(Path(self.log_dir, part))
        seconds = time.time() if walltime is None else walltime
        append(path, events.event(seconds, int(step or 0), values))

    def get_logdir(self) -> str:
        """The folder."""
        return self.log_dir

    def add_scalar(
        self,
        tag: str,
        scalar_value: Any,
        global_step: int | None = None,
        walltime: float | None = None,
        new_style: bool = False,
        double_precision: bool = False,
    ) -> None:
        """Write a number, which is kept in float32."""
        self._write([events.scalar(tag, float(scalar_value))], global_step, walltime)

    def add_scalars(
        self,
        main_tag: str,
        tag_scalar_dict: Mapping[str, Any],
        global_step: int | None = None,
        walltime: float | None = None,
    ) -> None:
        """Write several numbers that TensorBoard shows in one chart: a folder for each."""
        for tag, value in tag_scalar_dict.items():
            part = f"{main_tag.replace('/', '_')}_{tag}"
            self._write([events.scalar(main_tag, float(value))], global_step, walltime, part)

    def add_histogram(
        self,
        tag: str,
        values: Any,
        global_step: int | None = None,
        bins: Any = "tensorflow",
        walltime: float | None = None,
        max_bins: int | None = None,
    ) -> None:
        """Write how the finite numbers of an array are distributed."""
        self._write([events.histogram(tag, _array(values), bins)], global_step, walltime)

    def add_text(
        self,
        tag: str,
        text_string: str,
        global_step: int | None = None,
        walltime: float | None = None,
    ) -> None:
        """Write a text, which TensorBoard reads as Markdown."""
        self._write([events.text(tag, text_string)], global_step, walltime)

    def add_image(
        self,
        tag: str,
        img_tensor: Any,
        global_step: int | None = None,
        walltime: float | None = None,
        dataformats: str = "CHW",
    ) -> None:
        """Write a picture of floats in [0, 1] or of bytes; `dataformats` names its axes."""
        self._write([_picture(tag, _in_order(img_tensor, dataformats))], global_step, walltime)

    def add_images(
        self,
        tag: str,
        img_tensor: Any,
        global_step: int | None = None,
        walltime: float | None = None,
        dataformats: str = "NCHW",
    ) -> None:
        """Write pictures, eight in a row."""
        self._write([_picture(tag, _in_order(img_tensor, dataformats))], global_step, walltime)

    def add_figure(
        self,
        tag: str,
        figure: Any,
        global_step: int | None = None,
        close: bool = True,
        walltime: float | None = None,
    ) -> None:
        """Write a figure of Matplotlib's, which is closed then."""
        figure.canvas.draw()
        pixels = np.asarray(figure.canvas.buffer_rgba())
        self._write([_picture(tag, pixels)], global_step, walltime)
        if close:
            from matplotlib import pyplot

            pyplot.close(figure)

    def add_hparams(
        self,
        hparam_dict: Mapping[str, Any],
        metric_dict: Mapping[str, Any],
        hparam_domain_discrete: Mapping[str, Any] | None = None,
        run_name: str | None = None,
        global_step: int | None = None,
    ) -> None:
        """Write a run's settings and what came of them, into a folder of its own."""
        now = time.time()
        settings = {k: v.item() if hasattr(v, "item") else v for k, v in hparam_dict.items()}
        values = events.settings(settings, list(metric_dict), now)
        values += [events.scalar(name, float(value)) for name, value in metric_dict.items()]
        self._write(values, global_step, now, str(now) if run_name is None else run_name)

    def add_graph(self, model: Any, input_to_model: Any = None, verbose: bool = False) -> None:
        """Nothing is written, which a warning says: `see.draw` draws graphs."""
        warnings.warn(
            "SummaryWriter.add_graph: the graph is not written; backlit.see.draw(model(x)) draws "
            "it with its values and gradients",
            stacklevel=2,
        )

    def __getattr__(self, name: str) -> Any:
        if name in _ABSENT:
            raise SpellingError(f"SummaryWriter.{name}: there is no such event; {_ABSENT[name]}")
        raise AttributeError(f"'SummaryWriter' object has no attribute {name!r}")

    def flush(self) -> None:
        """Nothing to do: every event is in its file."""

    def close(self) -> None:
        """Nothing to do: no file is held open."""

    def __enter__(self) -> SummaryWriter:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def _array(values: Any) -> np.ndarray:
    return as_tensor(values).detach().numpy()


def _in_order(images: Any, axes: str) -> np.ndarray:
    """(height, width, channels) of one picture, or of several side by side."""
    x = _array(images)
    if sorted(axes) not in (sorted(a) for a in ("HW", "CHW", "NCHW", "NHW")):
        raise ArgumentError(f"add_image: dataformats must be like CHW, HW or NCHW, got {axes!r}")
    if x.ndim != len(axes):
        raise ArgumentError(
            f"add_image: {axes} needs {len(axes)} axes, got an array of shape {x.shape}; say which "
            "axes it has: dataformats='HWC'"
        )
    x = np.einsum(f"{axes.lower()}->{''.join(a for a in 'nhwc' if a.upper() in axes)}", x)
    if "C" not in axes:
        x = x[..., None]
    if "N" not in axes:
        return x
    n, height, width, channels = x.shape
    across = min(n, 8)
    down = -(-n // across)
    grid = np.zeros((down * across, height, width, channels), x.dtype)
    grid[:n] = x
    grid = grid.reshape(down, across, height, width, channels).swapaxes(1, 2)
    return grid.reshape(down * height, across * width, channels)


def _picture(tag: str, pixels: np.ndarray) -> bytes:
    """Pixels (height, width, channels) as an event; floats are clipped to [0, 1]."""
    if pixels.shape[2] not in (1, 3, 4):
        raise ArgumentError(
            f"add_image: a picture must have 1, 3 or 4 channels, got {pixels.shape[2]} of shape "
            f"{pixels.shape}; say which axes it has: dataformats='HWC'"
        )
    if pixels.dtype != np.uint8:
        pixels = (np.clip(pixels.astype(np.float64), 0, 1) * 255).astype(np.uint8)
    file = io.BytesIO()
    one = pixels[..., 0] if pixels.shape[2] == 1 else pixels
    pillow().fromarray(np.ascontiguousarray(one)).save(file, format="png")
    return events.picture(tag, pixels.shape, file.getvalue())


__getattr__ = mirrored("torch.utils.tensorboard")
