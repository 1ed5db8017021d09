"""DDPM on two moons: sinusoidal times, EMA, cosine schedule, sampling."""

import math
from copy import deepcopy

import numpy as np
import torch
import torch.nn.functional as F
from course import randint, randn, set_weights
from torch import nn


def exists(x):
    return x is not None


def extract(a, t, x_shape):
    b, *_ = t.shape
    out = a.gather(-1, t)
    return out.reshape(b, *((1,) * (len(x_shape) - 1)))


def cosine_beta_schedule(timesteps, s=0.008):
    steps = timesteps + 1
    x = torch.linspace(0, timesteps, steps, dtype=torch.float64)
    alphas_cumprod = torch.cos(((x / timesteps) + s) / (1 + s) * math.pi * 0.5) ** 2
    alphas_cumprod = alphas_cumprod / alphas_cumprod[0]
    betas = 1 - (alphas_cumprod[1:] / alphas_cumprod[:-1])
    return torch.clip(betas, 0, 0.999)


class SinusoidalPosEmb(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.dim = dim

    def forward(self, x):
        device = x.device
        half_dim = self.dim // 2
        emb = math.log(10000) / (half_dim - 1)
        emb = torch.exp(torch.arange(half_dim, device=device) * -emb)
        emb = x[:, None] * emb[None, :]
        return torch.cat((emb.sin(), emb.cos()), dim=-1)


class Block(nn.Module):
    def __init__(self, dim, time_dim):
        super().__init__()
        self.norm = nn.LayerNorm(dim)
        self.fc = nn.Linear(dim, dim)
        self.mlp = nn.Sequential(nn.SiLU(), nn.Linear(time_dim, dim * 2))
        self.act = nn.GELU(approximate="tanh")

    def forward(self, x, t=None):
        scale, shift = self.mlp(t).chunk(2, dim=1)
        return x + self.fc(self.act(self.norm(x) * (scale + 1) + shift))


class Denoiser(nn.Module):
    def __init__(self, dim=16):
        super().__init__()
        self.time = nn.Sequential(
            SinusoidalPosEmb(8), nn.Linear(8, dim), nn.Mish(), nn.Linear(dim, dim)
        )
        self.inp = nn.Linear(2, dim)
        self.blocks = nn.ModuleList([Block(dim, dim) for _ in range(2)])
        self.out = nn.Linear(dim, 2)

    def forward(self, x, t):
        t = self.time(t)
        x = self.inp(x)
        for b in self.blocks:
            x = b(x, t)
        return self.out(x)


class GaussianDiffusion(nn.Module):
    def __init__(self, model, timesteps=20):
        super().__init__()
        self.model = model
        betas = cosine_beta_schedule(timesteps)
        alphas = 1.0 - betas
        alphas_cumprod = torch.cumprod(alphas, dim=0)
        alphas_cumprod_prev = F.pad(alphas_cumprod[:-1], (1, 0), value=1.0)
        self.num_timesteps = int(betas.shape[0])
        register_buffer = lambda name, val: self.register_buffer(name, val.to(torch.float32))
        register_buffer("betas", betas)
        register_buffer("alphas_cumprod", alphas_cumprod)
        register_buffer("sqrt_alphas_cumprod", torch.sqrt(alphas_cumprod))
        register_buffer("sqrt_one_minus_alphas_cumprod", torch.sqrt(1.0 - alphas_cumprod))
        register_buffer("sqrt_recip_alphas_cumprod", torch.sqrt(1.0 / alphas_cumprod))
        register_buffer("sqrt_recipm1_alphas_cumprod", torch.sqrt(1.0 / alphas_cumprod - 1))
        posterior_variance = betas * (1.0 - alphas_cumprod_prev) / (1.0 - alphas_cumprod)
        register_buffer(
            "posterior_log_variance_clipped", torch.log(posterior_variance.clamp(min=1e-20))
        )
        register_buffer("c1", betas * torch.sqrt(alphas_cumprod_prev) / (1.0 - alphas_cumprod))
        register_buffer(
            "c2", (1.0 - alphas_cumprod_prev) * torch.sqrt(alphas) / (1.0 - alphas_cumprod)
        )
        snr = alphas_cumprod / (1 - alphas_cumprod)
        maybe = snr.clone()
        maybe.clamp_(max=5.0)
        register_buffer("loss_weight", maybe / snr)

    def q_sample(self, x0, t, noise):
        return (
            extract(self.sqrt_alphas_cumprod, t, x0.shape) * x0
            + extract(self.sqrt_one_minus_alphas_cumprod, t, x0.shape) * noise
        )

    def forward(self, x0, t, noise):
        pred = self.model(self.q_sample(x0, t, noise), t)
        loss = F.mse_loss(pred, noise, reduction="none")
        loss = loss.flatten(1).mean(dim=-1) * extract(self.loss_weight, t, loss.shape[:1])
        return loss.mean()

    @torch.inference_mode()
    def sample(self, x):
        for t in reversed(range(0, self.num_timesteps)):
            tt = torch.full((x.shape[0],), t, dtype=torch.long)
            eps = self.model(x, tt)
            x0 = (
                extract(self.sqrt_recip_alphas_cumprod, tt, x.shape) * x
                - extract(self.sqrt_recipm1_alphas_cumprod, tt, x.shape) * eps
            ).clamp_(-2.0, 2.0)
            mean = extract(self.c1, tt, x.shape) * x0 + extract(self.c2, tt, x.shape) * x
            noise = randn(*x.shape) if t > 0 else 0.0
            x = (
                mean
                + (0.5 * extract(self.posterior_log_variance_clipped, tt, x.shape)).exp() * noise
            )
        return x


class EMA:
    def __init__(self, beta):
        self.beta = beta

    def update_model_average(self, ma_model, current_model):
        for current_params, ma_params in zip(current_model.parameters(), ma_model.parameters()):
            old_weight, up_weight = ma_params.data, current_params.data
            ma_params.data = self.update_average(old_weight, up_weight)

    def update_average(self, old, new):
        return new if old is None else old * self.beta + (1 - self.beta) * new


theta = np.linspace(0, np.pi, 32)
moons = np.concatenate(
    [np.c_[np.cos(theta), np.sin(theta)], np.c_[1 - np.cos(theta), 0.5 - np.sin(theta)]]
).astype("float32")
x = torch.from_numpy(moons)
x = (x - x.mean(0)) / x.std(dim=0)
diffusion = GaussianDiffusion(set_weights(Denoiser()))
ema, ema_model = EMA(0.9), deepcopy(diffusion)
opt = torch.optim.Adam(diffusion.parameters(), lr=3e-3, betas=(0.9, 0.99))
losses = []
for step in range(24):
    t = randint(0, 20, (64,))
    loss = diffusion(x, t, randn(64, 2))
    opt.zero_grad()
    loss.backward()
    opt.step()
    ema.update_model_average(ema_model, diffusion)
    losses.append(loss.item())
ema_model.eval()
s = ema_model.sample(randn(4, 2))
losses += s.flatten().tolist()
