"""Write tests/models/torchvision_names.json: what parameters torchvision's networks have.

For each network the number of Tensors in its state, and a checksum of their names, shapes and types
in order. Needs torchvision: PYTHONPATH may lead to it. Run again when there are more networks.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

NAMES = """alexnet densenet121 densenet161 densenet169 densenet201 googlenet mobilenet_v2 resnet18
resnet34 resnet50 resnet101 resnet152 resnext50_32x4d wide_resnet50_2 squeezenet1_0 squeezenet1_1
vgg11 vgg11_bn vgg13 vgg13_bn vgg16 vgg16_bn vgg19 vgg19_bn vit_b_16 vit_b_32 vit_l_16 vit_l_32
vit_h_14""".split()
TARGET = Path(__file__).parents[1] / "tests" / "models" / "torchvision_names.json"


def checksum(state: Any) -> str:
    """A checksum of the names, shapes and types in a state, of PyTorch's or of Backlit's."""
    lines = [
        f"{name} {tuple(t.shape)} {str(t.dtype).removeprefix('torch.')}"
        for name, t in state.items()
    ]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def main() -> None:
    """Make each network without memory, and write what it has."""
    import torch
    import torchvision

    found: dict[str, Any] = {"torchvision": torchvision.__version__.partition("+")[0]}
    for name in NAMES:
        options = {"init_weights": False} if name == "googlenet" else {}
        with torch.device("meta"):
            state = getattr(torchvision.models, name)(weights=None, **options).state_dict()
        found[name] = [len(state), checksum(state)]
    TARGET.write_text(json.dumps(found, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
