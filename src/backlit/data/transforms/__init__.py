"""Transforms of images, with torchvision's names and meaning.

`functional` has them as functions, by Pillow (`pil`) or on values (`arrays`). As objects they are
`fixed`, or `varied` by random numbers (`draws`), made of others (`base`), drawn from a list
(`auto`) or of a whole batch (`mixing`).

Random numbers come from the default generator, which a DataLoader starts anew for each batch.
"""

from ...calls import explain as _explain
from . import functional
from .auto import *
from .base import *
from .fixed import *
from .functional import InterpolationMode
from .mixing import *
from .varied import *

_explain(__name__)
