"""`torch.utils.data.distributed`: once more what stands in `torch.utils.data`."""

from .... import data as _ours
from ...mirror import mirrored as _mirrored

__getattr__ = _mirrored("torch.utils.data.distributed", _ours)
