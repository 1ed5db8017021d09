"""What training scripts carry with them: meters, warm-up, averages, and pieces of newer papers."""

import collections
import copy
import os
import random
import sys
import tempfile
import warnings
from typing import List

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
import torch.optim as optim
import torch.utils.data
from course import randint, randn, set_weights
from torch import Tensor
from torch.autograd import grad
from torch.nn.modules.loss import _Loss
from torch.optim.lr_scheduler import ReduceLROnPlateau, _LRScheduler
from torch.utils.data import (
    DataLoader,
    Subset,
    SubsetRandomSampler,
    TensorDataset,
    random_split,
)

losses = []
PATH = os.path.join(tempfile.mkdtemp(), "best.pt")
warnings.filterwarnings("ignore")


def set_seed(seed=42):
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)
    torch.cuda.manual_seed(seed)
    torch.cuda.manual_seed_all(seed)
    torch.backends.cudnn.deterministic = True
    torch.backends.cudnn.benchmark = False
    os.environ["PYTHONHASHSEED"] = str(seed)


set_seed()
print(
    torch.__version__,
    torch.cuda.device_count(),
    torch.get_num_threads(),
    torch.version.cuda,
    torch.backends.mps.is_available(),
)
device = (
    "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
)
torch.set_printoptions(precision=4, sci_mode=False)
torch.autograd.set_detect_anomaly(False)


class FocalLoss(_Loss):
    def __init__(self, gamma=2.0):
        super().__init__()
        self.gamma = gamma

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        logpt = F.log_softmax(input, dim=-1).gather(1, target.view(-1, 1)).view(-1)
        pt = logpt.exp()
        return (-((1 - pt) ** self.gamma) * logpt).mean()


class WarmupLR(_LRScheduler):
    def __init__(self, optimizer, warmup, last_epoch=-1):
        self.warmup = warmup
        super().__init__(optimizer, last_epoch)

    def get_lr(self):
        return [b * min(1.0, (self.last_epoch + 1) / self.warmup) for b in self.base_lrs]


class AverageMeter(object):
    def __init__(self):
        self.reset()

    def reset(self):
        self.val = 0
        self.avg = 0
        self.sum = 0
        self.count = 0

    def update(self, val, n=1):
        self.val = val
        self.sum += val * n
        self.count += n
        self.avg = self.sum / self.count


def accuracy(output, target, topk=(1,)):
    with torch.no_grad():
        maxk = max(topk)
        batch_size = target.size(0)
        _, pred = output.topk(maxk, 1, True, True)
        pred = pred.t()
        correct = pred.eq(target.view(1, -1).expand_as(pred))
        res = []
        for k in topk:
            correct_k = correct[:k].reshape(-1).float().sum(0, keepdim=True)
            res.append(correct_k.mul_(100.0 / batch_size))
        return res


class Mlp(nn.Module):
    def __init__(self, dims: List[int], p: float = 0.0, act=nn.ReLU):
        super().__init__()
        layers: List[nn.Module] = []
        for i, (a, b) in enumerate(zip(dims[:-1], dims[1:])):
            layers.append(nn.Linear(a, b))
            if i < len(dims) - 2:
                layers += [nn.BatchNorm1d(b), act(), nn.Dropout(p)]
        self.layers = nn.ModuleList(layers)
        self.register_buffer("steps", torch.tensor(0))
        self.scale = nn.Parameter(torch.ones([]))
        self.apply(self._init)

    def _init(self, m):
        if isinstance(m, (nn.Linear, nn.Conv2d)):
            nn.init.kaiming_uniform_(m.weight, a=0.1, mode="fan_in", nonlinearity="leaky_relu")
            nn.init.zeros_(m.bias)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.steps += 1
        for l in self.layers:
            x = l(x)
        return x * self.scale


ds = TensorDataset(randn(60, 6), randint(0, 4, (60,)))
tr, va = random_split(ds, [48, 12])
idx = list(range(60))
dl = DataLoader(
    ds,
    batch_size=12,
    sampler=SubsetRandomSampler(idx[:48]),
    num_workers=0,
    pin_memory=True,
    persistent_workers=False,
)
assert len(dl) == 4
va_l = DataLoader(Subset(ds, idx[48:]), batch_size=6, shuffle=False, drop_last=True)
model = set_weights(Mlp([6, 12, 4])).to(device)
ema = copy.deepcopy(model)
for p in ema.parameters():
    p.detach_()
    p.requires_grad_(False)
criterion = FocalLoss()
optimizer = optim.AdamW(
    [
        {"params": [p for n, p in model.named_parameters() if "bias" not in n]},
        {"params": [p for n, p in model.named_parameters() if "bias" in n], "weight_decay": 0},
    ],
    lr=1e-2,
    weight_decay=1e-2,
)
sched = WarmupLR(optimizer, 4)
plateau = ReduceLROnPlateau(optim.SGD(model.parameters(), lr=0.1), "min", patience=2)
meter = AverageMeter()
best = float("inf")
history = collections.defaultdict(list)
for epoch in range(3):
    model.train()
    for i in range(0, 48, 12):
        xb, yb = ds[i : i + 12]
        xb = xb.to(device, non_blocking=True)
        out = model(xb)
        loss = criterion(out, yb)
        if not torch.isfinite(loss):
            sys.exit(1)
        optimizer.zero_grad()
        loss.backward()
        g = nn.utils.clip_grad_norm_(model.parameters(), 1.0, norm_type=2.0)
        optimizer.step()
        sched.step()
        meter.update(loss.item(), xb.size(0))
        losses.append(loss.item())
        a1, a2 = accuracy(out, yb, topk=(1, 2))
        losses += [a1[0].item(), a2.item()]
        with torch.no_grad():
            for pe, p in zip(ema.parameters(), model.parameters()):
                pe.copy_(0.9 * pe + 0.1 * p)
            for be, b in zip(ema.buffers(), model.buffers()):
                be.copy_(b)
    model.eval()
    preds, targets = [], []
    with torch.inference_mode():
        for xb, yb in va_l:
            preds.append(model(xb).softmax(1).cpu())
            targets.append(yb)
    preds = torch.cat(preds).numpy()
    targets = torch.cat(targets).numpy()
    cm = np.zeros((4, 4))
    for t, p in zip(targets, preds.argmax(1)):
        cm[t, p] += 1
    history["acc"].append(np.trace(cm) / cm.sum())
    losses.append(float(cm.sum()))
    plateau.step(meter.avg)
    cur = torch.as_tensor(preds).max(-1)[0].mean()
    if cur < best:
        best = cur
        torch.save(
            {
                "m": model.state_dict(),
                "o": optimizer.state_dict(),
                "s": sched.state_dict() if hasattr(sched, "state_dict") else None,
                "best": best,
            },
            PATH,
        )
ck = torch.load(PATH, map_location=lambda storage, loc: storage)
print(model.load_state_dict(ck["m"]))
optimizer.load_state_dict(ck["o"])
sched.load_state_dict(ck["s"])
losses.append(float(ck["best"]))
losses.append(model.steps.item())


# rope, rmsnorm, swiglu, kv cache
class RMSNorm(nn.Module):
    def __init__(self, d, eps=1e-6):
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(d))

    def forward(self, x):
        return (x.float() * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + self.eps)).type_as(
            x
        ) * self.weight


def rope(x):
    B, H, T, D = x.shape
    freqs = 1.0 / (10000 ** (torch.arange(0, D, 2).float() / D))
    t = torch.arange(T)
    f = torch.outer(t, freqs)
    cos, sin = f.cos()[None, None], f.sin()[None, None]
    x1, x2 = x[..., ::2], x[..., 1::2]
    return torch.stack([x1 * cos - x2 * sin, x1 * sin + x2 * cos], dim=-1).flatten(-2)


q = rope(randn(2, 2, 5, 4))
k = rope(randn(2, 2, 5, 4))
v = randn(2, 2, 5, 4)
mask = torch.full((5, 5), float("-inf")).triu(diagonal=1)
s = (q @ k.transpose(-2, -1)) / 4**0.5 + mask
losses.append(
    (F.softmax(s.float(), dim=-1).type_as(q) @ v).transpose(1, 2).reshape(2, 5, -1).sum().item()
)
w1, w2, w3 = [set_weights(nn.Linear(8, 8, bias=False), i) for i in (1, 2, 3)]
h = RMSNorm(8)(randn(2, 3, 8))
losses.append(w2(F.silu(w1(h)) * w3(h)).sum().item())
cache = []
for t in range(3):
    cache.append(k[:, :, t : t + 1])
    kk = torch.cat(cache, dim=2)
losses.append(kk.sum().item())
# moe / topk routing
logits = randn(6, 4)
wts, ix = torch.topk(logits.softmax(-1), 2)
wts /= wts.sum(-1, keepdim=True)
outm = torch.zeros(6, 8)
xs = randn(6, 8)
experts = nn.ModuleList([set_weights(nn.Linear(8, 8), i) for i in range(4)])
for i, e in enumerate(experts):
    bi, ni = torch.where(ix == i)
    outm[bi] += wts[bi, ni, None] * e(xs[bi])
outm.sum().backward()
losses += [
    outm.sum().item(),
    experts[0].weight.grad.sum().item() if experts[0].weight.grad is not None else 0.0,
]
# vq
cb = randn(5, 4).requires_grad_()
z = randn(6, 4).requires_grad_()
d = z.pow(2).sum(1, keepdim=True) - 2 * z @ cb.t() + cb.pow(2).sum(1)
idx = d.argmin(1)
zq = cb[idx]
loss = F.mse_loss(zq.detach(), z) + F.mse_loss(zq, z.detach())
zq = z + (zq - z).detach()
(loss + zq.sum()).backward()
losses += [loss.item(), z.grad.sum().item(), cb.grad.abs().sum().item()]
# ddpm
T = 10
betas = torch.linspace(1e-4, 0.02, T)
alphas = 1 - betas
ac = torch.cumprod(alphas, dim=0)
acp = F.pad(ac[:-1], (1, 0), value=1.0)
x0 = randn(3, 1, 4, 4)
t = randint(0, T, (3,))
n = randn(3, 1, 4, 4)
xt = ac.gather(-1, t).sqrt().reshape(-1, 1, 1, 1) * x0 + (1 - ac[t]).sqrt()[:, None, None, None] * n
losses += [xt.sum().item(), (betas * (1 - acp) / (1 - ac)).sum().item()]
# nce / simclr
z1, z2 = F.normalize(randn(4, 6), dim=1), F.normalize(randn(4, 6), dim=1)
rep = torch.cat([z1, z2])
S = F.cosine_similarity(rep.unsqueeze(1), rep.unsqueeze(0), dim=2)
m = torch.eye(8, dtype=torch.bool)
S = S[~m].view(8, -1)
losses.append(torch.logsumexp(S / 0.5, 1).mean().item())
# physics: pinn
xx = torch.linspace(0, 1, 8).view(-1, 1).requires_grad_(True)
pn = set_weights(nn.Sequential(nn.Linear(1, 8), nn.Tanh(), nn.Linear(8, 1)))
u = pn(xx)
du = torch.autograd.grad(u, xx, torch.ones_like(u), create_graph=True)[0]
d2 = grad(du, xx, grad_outputs=torch.ones_like(du), create_graph=True)[0]
L = ((d2 + u) ** 2).mean()
L.backward()
losses += [L.item(), pn[0].weight.grad.sum().item()]
# maml
wts = {n: p for n, p in pn.named_parameters()}
sup = ((pn(xx.detach()) - 1) ** 2).mean()
gs = torch.autograd.grad(sup, wts.values(), create_graph=True)
fast = {n: w - 0.1 * g for (n, w), g in zip(wts.items(), gs)}
hq = torch.tanh(F.linear(xx.detach(), fast["0.weight"], fast["0.bias"]))
ql = ((F.linear(hq, fast["2.weight"], fast["2.bias"]) - 1) ** 2).mean()
pn.zero_grad()
ql.backward()
losses += [ql.item(), pn[0].weight.grad.sum().item()]
print(
    f"{loss:.3f} {loss.item():.2e}",
    tuple(x0.shape),
    x0.shape[0],
    len(x0),
    list(x0.size()),
    x0.dim(),
    repr(torch.Size([1, 2])),
    str(device),
)
