"""MAML to second order, by hand and by torch.func; a neural ODE by RK4, with its adjoint."""

from collections import OrderedDict

import torch
import torch.nn as nn
import torch.nn.functional as F
from course import rand, set_weights
from torch.func import functional_call, grad, vmap


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(
            OrderedDict(
                [
                    ("l1", nn.Linear(1, 10)),
                    ("relu1", nn.Tanh()),
                    ("l2", nn.Linear(10, 10)),
                    ("relu2", nn.Tanh()),
                    ("l3", nn.Linear(10, 1)),
                ]
            )
        )

    def forward(self, x):
        return self.net(x)

    def argforward(self, x, w):
        x = F.linear(x, w[0], w[1]).tanh()
        x = F.linear(x, w[2], w[3]).tanh()
        return F.linear(x, w[4], w[5])


losses = []
model = set_weights(Net())
opt = torch.optim.Adam(model.parameters(), 1e-2)
for it in range(8):
    meta = 0
    for task in range(3):
        A, ph = rand(1) * 4 + 0.1, rand(1) * 3
        xs, xq = rand(5, 1) * 4 - 2, rand(5, 1) * 4 - 2
        ys, yq = A * torch.sin(xs + ph), A * torch.sin(xq + ph)
        tmp = [w.clone() for w in model.parameters()]
        for _ in range(2):
            loss = F.mse_loss(model.argforward(xs, tmp), ys)
            g = torch.autograd.grad(loss, tmp, create_graph=True)
            tmp = [w - 0.05 * gg for w, gg in zip(tmp, g)]
        meta = meta + F.mse_loss(model.argforward(xq, tmp), yq)
    opt.zero_grad()
    (meta / 3).backward()
    opt.step()
    losses.append(meta.item() / 3)
params = dict(model.named_parameters())


def inner(p, x, y):
    return F.mse_loss(functional_call(model, p, (x,)), y)


def task_loss(p, xs, ys, xq, yq):
    g = grad(inner)(p, xs, ys)
    return inner({k: p[k] - 0.05 * g[k] for k in p}, xq, yq)


xs, xq = rand(3, 5, 1), rand(3, 5, 1)
for _ in range(6):
    l = vmap(task_loss, in_dims=(None, 0, 0, 0, 0))(
        dict(model.named_parameters()), xs, xs.sin(), xq, xq.sin()
    ).mean()
    opt.zero_grad()
    l.backward()
    opt.step()
    losses.append(l.item())


class ODEFunc(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(2, 12), nn.Tanh(), nn.Linear(12, 2))
        for m in self.net.modules():
            if isinstance(m, nn.Linear):
                nn.init.normal_(m.weight, mean=0, std=0.1)
                nn.init.constant_(m.bias, val=0)

    def forward(self, t, y):
        return self.net(y**3)


def rk4(f, y, ts):
    out = [y]
    for t0, t1 in zip(ts[:-1], ts[1:]):
        h = t1 - t0
        k1 = f(t0, y)
        k2 = f(t0 + h / 2, y + h * k1 / 2)
        k3 = f(t0 + h / 2, y + h * k2 / 2)
        k4 = f(t1, y + h * k3)
        y = y + h * (k1 + 2 * k2 + 2 * k3 + k4) / 6
        out.append(y)
    return torch.stack(out)


true_A = torch.tensor([[-0.1, 2.0], [-2.0, -0.1]])
t = torch.linspace(0.0, 2.0, 9)
y0 = torch.tensor([[2.0, 0.0]])
with torch.no_grad():
    true_y = rk4(lambda t, y: torch.mm(y**3, true_A), y0, t)


class Adjoint(torch.autograd.Function):
    @staticmethod
    def forward(ctx, f, y0, ts, *params):
        with torch.no_grad():
            ys = rk4(f, y0, ts)
        ctx.f = f
        ctx.save_for_backward(ts, ys)
        return ys

    @staticmethod
    def backward(ctx, gy):
        ts, ys = ctx.saved_tensors
        f = ctx.f
        ps = tuple(f.parameters())
        a = gy[-1]
        acc = [torch.zeros_like(p) for p in ps]
        for i in range(len(ts) - 1, 0, -1):
            with torch.enable_grad():
                y = ys[i - 1].detach().requires_grad_(True)
                y1 = rk4(f, y, ts[i - 1 : i + 1])[-1]
                gs = torch.autograd.grad(y1, (y,) + ps, a, allow_unused=True)
            a = gs[0] + gy[i - 1]
            acc = [c if g is None else c + g for c, g in zip(acc, gs[1:])]
        return (None, a, None, *acc)


func = set_weights(ODEFunc())
opt = torch.optim.SGD(func.parameters(), lr=1e-2)
for i in range(8):
    opt.zero_grad()
    pred = rk4(func, y0, t) if i % 2 else Adjoint.apply(func, y0, t, *func.parameters())
    loss = torch.mean(torch.abs(pred - true_y))
    loss.backward()
    opt.step()
    losses.append(loss.item())
