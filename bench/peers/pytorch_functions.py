"""Networks for images as functions of their weights, written with PyTorch's functional operations.

Each family is written down here once, as a function of a state under torchvision's names.
Batch-norm in training writes its running mean and variance into the state.
"""

from __future__ import annotations

import torch
from torch.nn import functional as F


class State:
    """A state with a prefix: `s.conv("conv1", x, 2, 1)` is a layer applied."""

    def __init__(self, tensors, training, path=""):
        self.tensors, self.training, self.path = tensors, training, path

    def at(self, *names):
        path = ".".join(map(str, (self.path, *names) if self.path else names))
        return State(self.tensors, self.training, path)

    def get(self, name):
        return self.tensors.get(f"{self.path}.{name}" if self.path else name)

    def has(self, name):
        return any(n.startswith(f"{self.path}.{name}.") for n in self.tensors)

    def conv(self, name, x, stride=1, padding=0, groups=1):
        s = self.at(name)
        return F.conv2d(x, s.get("weight"), s.get("bias"), stride, padding, 1, groups)

    def norm(self, name, x, eps=1e-5):
        s = self.at(name)
        mean, var = s.get("running_mean"), s.get("running_var")
        return F.batch_norm(x, mean, var, s.get("weight"), s.get("bias"), self.training, 0.1, eps)

    def linear(self, name, x):
        s = self.at(name)
        return F.linear(x, s.get("weight"), s.get("bias"))


def basic(s, x, stride):
    y = F.relu(s.norm("bn1", s.conv("conv1", x, stride, 1)))
    y = s.norm("bn2", s.conv("conv2", y, 1, 1))
    return F.relu(y + shortcut(s, x, stride, y))


def bottleneck(s, x, stride, groups=1):
    y = F.relu(s.norm("bn1", s.conv("conv1", x)))
    y = F.relu(s.norm("bn2", s.conv("conv2", y, stride, 1, groups)))
    y = s.norm("bn3", s.conv("conv3", y))
    return F.relu(y + shortcut(s, x, stride, y))


def shortcut(s, x, stride, y):
    if s.has("downsample"):
        down = s.at("downsample")
        return down.norm("1", down.conv("0", x, stride))
    if x.shape == y.shape:
        return x
    more = y.shape[1] - x.shape[1]
    zeros = torch.zeros_like(y)
    zeros[:, more // 2 : more // 2 + x.shape[1]] = x[:, :, ::2, ::2]
    return zeros


def stages(s, x, block, counts, **options):
    for i, count in enumerate(counts):
        for j in range(count):
            x = block(s.at(f"layer{i + 1}", j), x, 2 if i and not j else 1, **options)
    return s.linear("fc", x.mean((2, 3)))


def resnet(block, counts, **options):
    def network(s, x):
        x = F.relu(s.norm("bn1", s.conv("conv1", x, 2, 3)))
        return stages(s, F.max_pool2d(x, 3, 2, 1), block, counts, **options)

    return network


def cifar(counts):
    return lambda s, x: stages(s, F.relu(s.norm("bn1", s.conv("conv1", x, 1, 1))), basic, counts)


def vgg16_bn(s, x):
    at = s.at("features")
    number = 0
    for count in (2, 2, 3, 3, 3):
        for _ in range(count):
            x = F.relu(at.norm(number + 1, at.conv(number, x, 1, 1)))
            number += 3
        x = F.max_pool2d(x, 2)
        number += 1
    y = s.at("classifier")
    x = F.adaptive_avg_pool2d(x, 7).flatten(1)
    return y.linear(6, F.relu(y.linear(3, F.relu(y.linear(0, x)))))


def alexnet(s, x):
    at = s.at("features")
    x = F.max_pool2d(F.relu(at.conv(0, x, 4, 2)), 3, 2)
    x = F.max_pool2d(F.relu(at.conv(3, x, 1, 2)), 3, 2)
    x = F.relu(at.conv(8, F.relu(at.conv(6, x, 1, 1)), 1, 1))
    x = F.max_pool2d(F.relu(at.conv(10, x, 1, 1)), 3, 2)
    y = s.at("classifier")
    x = F.adaptive_avg_pool2d(x, 6).flatten(1)
    return y.linear(6, F.relu(y.linear(4, F.relu(y.linear(1, x)))))


def alexnet2012(s, x):
    at = s.at("features")

    def first(x):
        return F.max_pool2d(F.local_response_norm(F.relu(x), 5, 5e-4, 0.75, 2.0), 3, 2)

    x = first(at.conv(4, first(at.conv(0, x, 4, 2)), 1, 2, 2))
    x = F.relu(at.conv(10, F.relu(at.conv(8, x, 1, 1)), 1, 1, 2))
    x = F.max_pool2d(F.relu(at.conv(12, x, 1, 1, 2)), 3, 2).flatten(1)
    y = s.at("classifier")
    return y.linear(6, F.relu(y.linear(4, F.relu(y.linear(1, x)))))


def squeezenet(s, x):
    at = s.at("features")
    x = F.relu(at.conv(0, x, 2))
    for name in "p 3 4 p 6 7 p 9 10 11 12".split():
        if name == "p":
            x = F.max_pool2d(x, 3, 2, ceil_mode=True)
            continue
        fire = at.at(name)
        x = F.relu(fire.conv("squeeze", x))
        x = torch.cat(
            [F.relu(fire.conv("expand1x1", x)), F.relu(fire.conv("expand3x3", x, 1, 1))], 1
        )
    return F.relu(s.conv("classifier.1", x)).mean((2, 3))


def mobilenet(s, x):
    at = s.at("features")

    def layer(place, x, stride=1, groups=1):
        w = place.at("0").get("weight")
        return F.relu6(place.norm("1", place.conv("0", x, stride, w.shape[2] // 2, groups)))

    strides = "1 2 1 2 1 1 2 1 1 1 1 1 1 2 1 1 1".split()
    x = layer(at.at(0), x, 2)
    for number, stride in enumerate(map(int, strides), 1):
        block = at.at(number, "conv")
        y, k = x, 0
        if block.has("3"):
            y, k = layer(block.at(0), y), 1
        y = layer(block.at(k), y, stride, y.shape[1])
        y = block.norm(k + 2, block.conv(k + 1, y))
        x = x + y if x.shape == y.shape else y
    return s.linear("classifier.1", layer(at.at(18), x).mean((2, 3)))


def densenet(counts):
    def network(s, x):
        at = s.at("features")
        x = F.max_pool2d(F.relu(at.norm("norm0", at.conv("conv0", x, 2, 3))), 3, 2, 1)
        for number, count in enumerate(counts, 1):
            for i in range(count):
                layer = at.at(f"denseblock{number}", f"denselayer{i + 1}")
                y = layer.conv("conv1", F.relu(layer.norm("norm1", x)))
                y = layer.conv("conv2", F.relu(layer.norm("norm2", y)), 1, 1)
                x = torch.cat([x, y], 1)
            if number < len(counts):
                change = at.at(f"transition{number}")
                x = F.avg_pool2d(change.conv("conv", F.relu(change.norm("norm", x))), 2)
        return s.linear("classifier", F.relu(at.norm("norm5", x)).mean((2, 3)))

    return network


def googlenet(s, x):
    def unit(s, name, x, stride=1, padding=0):
        at = s.at(name)
        return F.relu(at.norm("bn", at.conv("conv", x, stride, padding), 1e-3))

    def inception(name, x):
        at = s.at(name)
        return torch.cat(
            [
                unit(at, "branch1", x),
                unit(at, "branch2.1", unit(at, "branch2.0", x), 1, 1),
                unit(at, "branch3.1", unit(at, "branch3.0", x), 1, 1),
                unit(at, "branch4.1", F.max_pool2d(x, 3, 1, 1, ceil_mode=True)),
            ],
            1,
        )

    def head(name, x):
        at = s.at(name)
        y = unit(at, "conv", F.adaptive_avg_pool2d(x, 4)).flatten(1)
        return at.linear("fc2", F.relu(at.linear("fc1", y)))

    def pool(x, size=3):
        return F.max_pool2d(x, size, 2, ceil_mode=True)

    x = unit(s, "conv2", pool(unit(s, "conv1", x, 2, 3)))
    x = pool(unit(s, "conv3", x, 1, 1))
    x = pool(inception("inception3b", inception("inception3a", x)))
    first = x = inception("inception4a", x)
    second = x = inception("inception4d", inception("inception4c", inception("inception4b", x)))
    x = pool(inception("inception4e", x), 2)
    x = inception("inception5b", inception("inception5a", x)).mean((2, 3))
    logits = s.linear("fc", x)
    return (logits, head("aux2", second), head("aux1", first)) if s.training else logits


def vit(layers, heads):
    def network(s, x):
        weight = s.get("conv_proj.weight")
        width = weight.shape[0]
        x = s.conv("conv_proj", x, weight.shape[2]).flatten(2).transpose(1, 2)
        n = len(x)
        x = torch.cat([s.get("class_token").expand(n, 1, width), x], 1)
        x = x + s.get("encoder.pos_embedding")

        def norm(s, name, x):
            at = s.at(name)
            return F.layer_norm(x, (width,), at.get("weight"), at.get("bias"), 1e-6)

        for i in range(layers):
            at = s.at("encoder.layers", f"encoder_layer_{i}")
            attention = at.at("self_attention")
            y = norm(at, "ln_1", x)
            y = F.linear(y, attention.get("in_proj_weight"), attention.get("in_proj_bias"))
            q, k, v = (
                part.view(n, -1, heads, width // heads).transpose(1, 2)
                for part in y.chunk(3, dim=2)
            )
            y = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(x.shape)
            x = x + attention.linear("out_proj", y)
            y = F.gelu(at.linear("mlp.0", norm(at, "ln_2", x)))
            x = x + at.linear("mlp.3", y)
        return s.linear("heads.head", norm(s, "encoder.ln", x)[:, 0])

    return network


def unet(s, x):
    def double(at, x):
        at = at.at("double_conv")
        for i in (0, 3):
            x = F.relu(at.norm(i + 1, at.conv(i, x, 1, 1)))
        return x

    seen = [double(s.at("inc"), x)]
    for i in range(4):
        seen.append(double(s.at(f"down{i + 1}.maxpool_conv.1"), F.max_pool2d(seen[-1], 2)))
    x = seen.pop()
    for i in range(4):
        up = s.at(f"up{i + 1}")
        x = F.conv_transpose2d(x, up.get("up.weight"), up.get("up.bias"), 2)
        x = double(up.at("conv"), torch.cat([seen.pop(), x], 1))
    return s.conv("outc.conv", x)
