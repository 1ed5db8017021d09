"""Transforms of images, with torchvision's names and meaning.

`functional` has them as functions, by Pillow (`pil`) or on values (`arrays`). As objects they are
`fixed`, or `varied` by random numbers (`draws`), some by another place for each pixel (`warping`),
made of others (`base`), drawn from a list (`auto`, some by learned `policies`) or of a whole batch
(`mixing`).

Random numbers come from the default generator, which a DataLoader starts anew for each batch.
"""

from ...calls import explain as _explain
from . import functional
from .auto import *
from .base import *
from .fixed import *
from .functional import InterpolationMode
from .mixing import *
from .policies import *
from .varied import *
from .warping import *

_explain(__name__)
