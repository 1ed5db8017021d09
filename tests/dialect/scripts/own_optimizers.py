"""Optimizers and cells of one's own, hooks, and what is computed beside a training."""

import math

import torch
import torch.nn.functional as F
from course import rand, randn, rng, set_weights
from torch import nn
from torch.optim import Optimizer
from torch.utils.checkpoint import checkpoint

losses = []


class MyAdam(Optimizer):
    def __init__(self, params, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0):
        if not 0.0 <= lr:
            raise ValueError("Invalid learning rate: {}".format(lr))
        defaults = dict(lr=lr, betas=betas, eps=eps, weight_decay=weight_decay)
        super(MyAdam, self).__init__(params, defaults)

    def __setstate__(self, state):
        super().__setstate__(state)

    @torch.no_grad()
    def step(self, closure=None):
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is None:
                    continue
                grad = p.grad
                if grad.is_sparse:
                    raise RuntimeError("no")
                state = self.state[p]
                if len(state) == 0:
                    state["step"] = 0
                    state["exp_avg"] = torch.zeros_like(p, memory_format=torch.preserve_format)
                    state["exp_avg_sq"] = torch.zeros_like(p.data)
                exp_avg, exp_avg_sq = state["exp_avg"], state["exp_avg_sq"]
                beta1, beta2 = group["betas"]
                state["step"] += 1
                if group["weight_decay"] != 0:
                    grad = grad.add(p, alpha=group["weight_decay"])
                exp_avg.mul_(beta1).add_(grad, alpha=1 - beta1)
                exp_avg_sq.mul_(beta2).addcmul_(grad, grad, value=1 - beta2)
                denom = exp_avg_sq.sqrt().add_(group["eps"])
                bc1 = 1 - beta1 ** state["step"]
                bc2 = 1 - beta2 ** state["step"]
                p.addcdiv_(exp_avg, denom, value=-group["lr"] * math.sqrt(bc2) / bc1)
        return loss


class SAM(torch.optim.Optimizer):
    def __init__(self, params, base_optimizer, rho=0.05, **kwargs):
        defaults = dict(rho=rho, **kwargs)
        super().__init__(params, defaults)
        self.base_optimizer = base_optimizer(self.param_groups, **kwargs)
        self.param_groups = self.base_optimizer.param_groups

    @torch.no_grad()
    def first_step(self, zero_grad=False):
        gn = torch.norm(
            torch.stack([p.grad.norm(p=2) for g in self.param_groups for p in g["params"]]), p=2
        )
        for group in self.param_groups:
            scale = group["rho"] / (gn + 1e-12)
            for p in group["params"]:
                e_w = p.grad * scale
                p.add_(e_w)
                self.state[p]["e_w"] = e_w
        if zero_grad:
            self.zero_grad()

    @torch.no_grad()
    def second_step(self, zero_grad=False):
        for group in self.param_groups:
            for p in group["params"]:
                p.sub_(self.state[p]["e_w"])
        self.base_optimizer.step()
        if zero_grad:
            self.zero_grad()


def mk(seed=1):
    return set_weights(nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 1)), seed)


X, Y = randn(20, 4), randn(20, 1)
m = mk()
o = MyAdam(m.parameters(), lr=1e-2, weight_decay=1e-2)
for _ in range(5):
    o.zero_grad()
    l = F.mse_loss(m(X), Y)
    l.backward()
    o.step()
    losses.append(l.item())
sd = o.state_dict()
print(sd["param_groups"][0]["lr"], len(sd["state"]))
m = mk()
o = SAM(m.parameters(), torch.optim.SGD, rho=0.05, lr=0.1, momentum=0.9)
for _ in range(4):
    l = F.mse_loss(m(X), Y)
    l.backward()
    o.first_step(zero_grad=True)
    F.mse_loss(m(X), Y).backward()
    o.second_step(zero_grad=True)
    losses.append(l.item())
# lr finder
m = mk()
o = torch.optim.SGD(m.parameters(), lr=1e-3)
for g in o.param_groups:
    g["lr"] *= 10
losses.append(o.param_groups[0]["lr"])
# checkpoint
m = mk()
l = checkpoint(m, X, use_reentrant=False).pow(2).mean()
l.backward()
losses.append(m[0].weight.grad.abs().sum().item())


# custom cells
class MyLSTMCell(nn.Module):
    def __init__(self, i, h):
        super().__init__()
        self.i = i
        self.h = h
        self.x2h = nn.Linear(i, 4 * h)
        self.h2h = nn.Linear(h, 4 * h)
        self.reset_parameters()

    def reset_parameters(self):
        std = 1.0 / math.sqrt(self.h)
        for w in self.parameters():
            w.data.uniform_(-std, std)

    def forward(self, x, hx=None):
        if hx is None:
            hx = x.new_zeros(x.size(0), self.h)
            hx = (hx, hx)
        hx, cx = hx
        gates = self.x2h(x) + self.h2h(hx)
        i, f, g, o = gates.chunk(4, 1)
        cy = cx * torch.sigmoid(f) + torch.sigmoid(i) * torch.tanh(g)
        hy = torch.sigmoid(o) * torch.tanh(cy)
        return hy, cy


c = set_weights(MyLSTMCell(3, 4))
st = None
xs = randn(5, 2, 3)
for t in range(xs.shape[0]):
    st = c(xs[t], st)
st[0].sum().backward()
losses += [st[0].sum().item(), c.h2h.weight.grad.abs().sum().item()]
# hooks
acts = {}
grads = []


def get(name):
    def hook(model, input, output):
        acts[name] = output.detach()

    return hook


m = mk()
hs = [
    m[0].register_forward_hook(get("fc")),
    m[1].register_full_backward_hook(lambda mod, gi, go: grads.append(go[0].norm().item())),
]
xg = X.clone().requires_grad_()
m(xg).sum().backward()
losses += [acts["fc"].sum().item(), grads[0], xg.grad.abs().sum().item()]
[h.remove() for h in hs]
# saliency / fgsm / deepdream / grad-cam
xa = X[:3].clone().detach().requires_grad_(True)
l = F.mse_loss(m(xa), Y[:3])
m.zero_grad()
l.backward()
data_grad = xa.grad.data
adv = torch.clamp(xa + 0.1 * data_grad.sign(), -1, 1)
losses.append(adv.sum().item())
# mixup, label smoothing, kd
lam = 0.3
perm = torch.from_numpy(rng.permutation(20))
mx = lam * X + (1 - lam) * X[perm, :]
losses.append(mx.sum().item())
oh = torch.zeros(5, 3).scatter_(1, torch.tensor([0, 1, 2, 0, 1]).unsqueeze(1), 1)
sm = oh * (1 - 0.1) + 0.1 / 3
lg = F.log_softmax(randn(5, 3), 1)
losses.append((-(sm * lg).sum(1)).mean().item())
# gumbel, straight through, reparam
torch.manual_seed(0)
y = F.gumbel_softmax(randn(3, 4), tau=1, hard=True)
losses.append(y.sum().item())


# weight sharing, param list
class PL(nn.Module):
    def __init__(self):
        super().__init__()
        self.ws = nn.ParameterList([nn.Parameter(torch.ones(2, 2) * i) for i in range(3)])
        self.d = nn.ModuleDict({"a": nn.Linear(2, 2), "b": nn.Identity()})
        self.register_parameter("bias", nn.Parameter(torch.zeros(2)))
        self.register_buffer("mask", torch.tril(torch.ones(2, 2)), persistent=False)

    def forward(self, x):
        for i, w in enumerate(self.ws):
            x = x @ w + self.bias
        return self.d["a"](x * self.mask.sum())


p = set_weights(PL())
losses.append(p(randn(2, 2)).sum().item())
print(p, [n for n, _ in p.named_parameters()], list(p.state_dict()))
# attention with einsum, rel pos, unfold conv, im2col
q, k, v = [randn(2, 4, 3, 5) for _ in range(3)]
a = torch.einsum("bhid,bhjd->bhij", q, k).softmax(-1)
losses.append(torch.einsum("bhij,bhjd->bhid", a, v).sum().item())
inp = randn(1, 3, 6, 6)
w = randn(2, 3, 3, 3)
un = F.unfold(inp, (3, 3))
out = un.transpose(1, 2).matmul(w.view(w.size(0), -1).t()).transpose(1, 2)
out = F.fold(out, (4, 4), (1, 1))
assert torch.allclose(out, F.conv2d(inp, w), atol=1e-4)
losses.append(out.sum().item())
# spatial transformer
theta = torch.tensor([[[1.0, 0.1, 0.0], [0.0, 1.0, 0.2]]])
grid = F.affine_grid(theta, inp.size(), align_corners=False)
losses.append(F.grid_sample(inp, grid, align_corners=False).sum().item())
# meshgrid anchors, nms, iou
gy, gx = torch.meshgrid(torch.arange(3), torch.arange(4), indexing="ij")
anc = torch.stack((gx, gy), 2).view(1, 1, 3, 4, 2).float()
losses.append(anc.sum().item())


def iou(b1, b2):
    a1 = (b1[:, 2] - b1[:, 0]) * (b1[:, 3] - b1[:, 1])
    a2 = (b2[:, 2] - b2[:, 0]) * (b2[:, 3] - b2[:, 1])
    lt = torch.max(b1[:, None, :2], b2[:, :2])
    rb = torch.min(b1[:, None, 2:], b2[:, 2:])
    wh = (rb - lt).clamp(min=0)
    inter = wh[:, :, 0] * wh[:, :, 1]
    return inter / (a1[:, None] + a2 - inter)


b = rand(4, 2)
bx = torch.cat([b, b + rand(4, 2)], 1)
losses.append(iou(bx, bx).sum().item())
sc = rand(4)
keep = []
order = sc.sort(descending=True)[1]
while order.numel() > 0:
    if order.numel() == 1:
        keep.append(order.item())
        break
    i = order[0].item()
    keep.append(i)
    ious = iou(bx[i][None], bx[order[1:]])[0]
    idx = (ious <= 0.5).nonzero().squeeze()
    if idx.numel() == 0:
        break
    order = order[idx + 1] if idx.dim() else order[idx + 1].view(1)
losses.append(float(len(keep)))
# running stats, welford, histogram, confusion
st = torch.zeros(3, 3)
for t, pp in zip(torch.tensor([0, 1, 2, 1]).view(-1), torch.tensor([0, 2, 2, 1]).view(-1)):
    st[t.long(), pp.long()] += 1
losses.append(st.diag().sum().item())
losses.append((st.diag() / st.sum(1)).mean().item())
# beam search
seqs = [[[], 0.0]]
lp = F.log_softmax(randn(3, 5), -1)
for row in lp:
    allc = []
    for s, scv in seqs:
        for j in range(len(row)):
            allc.append([s + [j], scv - row[j].item()])
    seqs = sorted(allc, key=lambda t: t[1])[:2]
losses.append(seqs[0][1])
# sequence utils
from torch.nn.utils.rnn import pad_sequence

ps = pad_sequence([torch.ones(3), torch.ones(5)], batch_first=True, padding_value=-1)
losses.append(ps.sum().item())
# ctc
lpz = F.log_softmax(randn(10, 2, 5), 2)
tg = torch.tensor([[1, 2, 3], [2, 2, 4]])
losses.append(nn.CTCLoss()(lpz, tg, torch.tensor([10, 10]), torch.tensor([3, 3])).item())
# numerics
losses += [
    torch.finfo(torch.float32).eps,
    torch.iinfo(torch.int32).max / 1e9,
    torch.tensor(3.7).int().item(),
    torch.tensor([1, 2]) / 2 @ torch.ones(2) if False else 1.5,
    (torch.tensor([7]) // 2).item(),
    torch.true_divide(torch.tensor([1]), 2).item(),
    torch.tensor(5) % 3 == 2,
    torch.round(torch.tensor(2.5)).item(),
    torch.trunc(torch.tensor(-1.5)).item(),
]
losses = [float(v) for v in losses]
