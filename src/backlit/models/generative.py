"""Networks that make images: autoencoders, and a generator with the network that judges it."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import NamedTuple

from .. import nn
from ..array_api import exp, reshape, sigmoid, sum
from ..nn.functional import binary_cross_entropy, relu
from ..random import Generator, given_generator
from ..tensor import Tensor
from .catalogue import network
from .perceptrons import mlp


@network(input=(1, 28, 28), parameters=439_728, multiply_adds=438_272)
class Autoencoder(nn.Module):
    """An image through few numbers and back: linear layers with ReLU, a sigmoid at the end.

    `shape` is that of an image with values in [0, 1], `sizes` are the widths on the way in, the
    last of which is the code; the way out is the same backwards.
    Source: Hinton & Salakhutdinov, Science 313 (2006).

    >>> from backlit import zeros
    >>> model = Autoencoder()
    >>> model(zeros((2, 1, 28, 28))).shape, model.encode(zeros((2, 1, 28, 28))).shape
    ((2, 1, 28, 28), (2, 32))
    """

    def __init__(self, shape: Sequence[int] = (1, 28, 28), sizes: Sequence[int] = (256, 64, 32)):
        super().__init__()
        self.shape = tuple(shape)
        widths = (math.prod(shape), *sizes)
        self.encoder = mlp(widths)
        self.decoder = mlp(widths[::-1]).append(nn.Sigmoid())

    def encode(self, x: Tensor) -> Tensor:
        """(N, *shape) -> (N, code)."""
        return self.encoder(reshape(x, (x.shape[0], -1)))

    def decode(self, code: Tensor) -> Tensor:
        """(N, code) -> (N, *shape)."""
        return reshape(self.decoder(code), (code.shape[0], *self.shape))

    def forward(self, x: Tensor) -> Tensor:
        """(N, *shape) -> (N, *shape)."""
        return self.decode(self.encode(x))


class VAEOutputs(NamedTuple):
    """What a VAE gives: the image again, and mean and log variance of its code."""

    reconstruction: Tensor
    mean: Tensor
    log_variance: Tensor


@network(input=(1, 28, 28), parameters=652_824, multiply_adds=651_200)
class VAE(nn.Module):
    """A variational autoencoder: the code of an image is a distribution, from which one is drawn.

        z = μ(x) + exp(log σ²(x) / 2) · ε,  ε normal

    In evaluation z is μ(x). Names of parameters are those of PyTorch's example.
    Source: Kingma & Welling, ICLR 2014, arXiv:1312.6114, sec. 3 and appendix C.

    >>> from backlit import zeros
    >>> y = VAE()(zeros((2, 1, 28, 28)))
    >>> y.reconstruction.shape, y.mean.shape
    ((2, 1, 28, 28), (2, 20))
    """

    def __init__(
        self,
        shape: Sequence[int] = (1, 28, 28),
        hidden: int = 400,
        latent: int = 20,
        *,
        generator: Generator | None = None,
    ):
        super().__init__()
        self.shape, self.latent = tuple(shape), latent
        self.generator = generator
        size = math.prod(shape)
        self.fc1 = nn.Linear(size, hidden)
        self.fc21 = nn.Linear(hidden, latent)
        self.fc22 = nn.Linear(hidden, latent)
        self.fc3 = nn.Linear(latent, hidden)
        self.fc4 = nn.Linear(hidden, size)

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(N, *shape) -> mean and log variance (N, latent)."""
        y = relu(self.fc1(reshape(x, (x.shape[0], -1))))
        return self.fc21(y), self.fc22(y)

    def decode(self, z: Tensor) -> Tensor:
        """(N, latent) -> (N, *shape), in [0, 1]."""
        return reshape(sigmoid(self.fc4(relu(self.fc3(z)))), (z.shape[0], *self.shape))

    def sample(self, n: int, *, generator: Generator | None = None) -> Tensor:
        """n new images, of codes drawn from the normal distribution."""
        chosen = given_generator(generator or self.generator)
        return self.decode(chosen.normal((n, self.latent), dtype=self.fc3.weight.dtype))

    def forward(self, x: Tensor) -> VAEOutputs:
        """(N, *shape) -> the image again, mean and log variance (N, latent)."""
        mean, log_variance = self.encode(x)
        z = mean
        if self.training:
            noise = given_generator(self.generator).normal(mean.shape, dtype=mean.dtype)
            z = mean + exp(log_variance / 2) * noise
        return VAEOutputs(self.decode(z), mean, log_variance)


def vae_loss(outputs: VAEOutputs, x: Tensor) -> Tensor:
    """The negative evidence lower bound of images in [0, 1], as the mean over the batch.

        -Σ (x log y + (1 - x) log (1 - y)) - ½ Σ (1 + log σ² - μ² - σ²)

    Source: Kingma & Welling, ICLR 2014, eq. 10. (PyTorch's example sums over the batch.)
    """
    _, mean, log_variance = outputs
    images = binary_cross_entropy(outputs.reconstruction, x, reduction="sum")
    codes = -0.5 * sum(1 + log_variance - mean * mean - exp(log_variance))
    return (images + codes) / x.shape[0]


def _start(model: nn.Module) -> None:
    """Weights normal with deviation 0.02, those of norms around 1: Radford et al., sec. 4."""
    for layer in model.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.normal_(layer.weight, 0.0, 0.02)
        elif isinstance(layer, nn.BatchNorm2d) and layer.weight is not None:
            nn.init.normal_(layer.weight, 1.0, 0.02)


@network(input=(100, 1, 1), parameters=3_576_704, multiply_adds=104_628_224, name="dcgan_generator")
class DCGANGenerator(nn.Module):
    """Noise to a 64×64 image with values in (-1, 1): transposed convolutions, norm and ReLU.

    `width` is the number of channels before the last layer. Names of parameters are those of
    PyTorch's tutorial. Source: Radford, Metz & Chintala, ICLR 2016, arXiv:1511.06434, fig. 1.

    >>> from backlit import zeros
    >>> DCGANGenerator(width=4)(zeros((2, 100))).shape
    (2, 3, 64, 64)
    """

    def __init__(self, latent: int = 100, width: int = 64, channels: int = 3):
        super().__init__()
        self.latent = latent
        widths = (latent, 8 * width, 4 * width, 2 * width, width)
        layers: list[nn.Module] = []
        for number, (a, b) in enumerate(itertools.pairwise(widths)):
            first = (4, 1, 0) if number == 0 else (4, 2, 1)
            layers += [
                nn.ConvTranspose2d(a, b, *first, bias=False), nn.BatchNorm2d(b), nn.ReLU()
            ]  # fmt: skip
        layers += [nn.ConvTranspose2d(width, channels, 4, 2, 1, bias=False), nn.Tanh()]
        self.main = nn.Sequential(*layers)
        _start(self)

    def noise(self, n: int, *, generator: Generator | None = None) -> Tensor:
        """What n images are made of: normal numbers (n, latent, 1, 1)."""
        return given_generator(generator).normal((n, self.latent, 1, 1))

    def forward(self, z: Tensor) -> Tensor:
        """(N, latent) or (N, latent, 1, 1) -> (N, channels, 64, 64)."""
        return self.main(reshape(z, (z.shape[0], self.latent, 1, 1)))


@network(
    input=(3, 64, 64),
    parameters=2_765_568,
    multiply_adds=103_817_216,
    name="dcgan_discriminator",
)
class DCGANDiscriminator(nn.Module):
    """How likely 64×64 images are real: convolutions with stride, norm and leaky ReLU.

    Names of parameters are those of PyTorch's tutorial. Source: as `DCGANGenerator`.

    >>> from backlit import zeros
    >>> DCGANDiscriminator(width=4)(zeros((2, 3, 64, 64))).shape
    (2,)
    """

    def __init__(self, width: int = 64, channels: int = 3):
        super().__init__()
        layers: list[nn.Module] = [
            nn.Conv2d(channels, width, 4, 2, 1, bias=False), nn.LeakyReLU(0.2)
        ]  # fmt: skip
        for a, b in itertools.pairwise((width, 2 * width, 4 * width, 8 * width)):
            layers += [
                nn.Conv2d(a, b, 4, 2, 1, bias=False), nn.BatchNorm2d(b), nn.LeakyReLU(0.2)
            ]  # fmt: skip
        layers += [nn.Conv2d(8 * width, 1, 4, 1, 0, bias=False), nn.Sigmoid()]
        self.main = nn.Sequential(*layers)
        _start(self)

    def forward(self, x: Tensor) -> Tensor:
        """(N, channels, 64, 64) -> probabilities (N,)."""
        return reshape(self.main(x), (x.shape[0],))


__all__ = [
    "VAE",
    "Autoencoder",
    "DCGANDiscriminator",
    "DCGANGenerator",
    "VAEOutputs",
    "vae_loss",
]
