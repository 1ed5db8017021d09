"""A Transformer over words, actors and critics, super-resolution, styles, attention on graphs."""

import math
from collections import namedtuple

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
import torch.optim as optim
from course import rand, randint, randn, rng, set_weights
from torch.distributions import Categorical, Normal

losses = []


# --- word language model transformer
class PositionalEncoding(nn.Module):
    def __init__(self, d_model, dropout=0.1, max_len=50):
        super().__init__()
        self.dropout = nn.Dropout(p=dropout)
        pe = torch.zeros(max_len, d_model)
        position = torch.arange(0, max_len, dtype=torch.float).unsqueeze(1)
        div_term = torch.exp(torch.arange(0, d_model, 2).float() * (-math.log(10000.0) / d_model))
        pe[:, 0::2] = torch.sin(position * div_term)
        pe[:, 1::2] = torch.cos(position * div_term)
        pe = pe.unsqueeze(0).transpose(0, 1)
        self.register_buffer("pe", pe)

    def forward(self, x):
        x = x + self.pe[: x.size(0), :]
        return self.dropout(x)


class TransformerModel(nn.Transformer):
    def __init__(self, ntoken, ninp, nhead, nhid, nlayers, dropout=0.0):
        super().__init__(
            d_model=ninp, nhead=nhead, dim_feedforward=nhid, num_encoder_layers=nlayers
        )
        self.model_type = "Transformer"
        self.src_mask = None
        self.pos_encoder = PositionalEncoding(ninp, dropout)
        self.input_emb = nn.Embedding(ntoken, ninp)
        self.ninp = ninp
        self.decoder = nn.Linear(ninp, ntoken)
        self.init_weights()

    def _generate_square_subsequent_mask(self, sz):
        return torch.log(torch.tril(torch.ones(sz, sz)))

    def init_weights(self):
        initrange = 0.1
        nn.init.uniform_(self.input_emb.weight, -initrange, initrange)
        nn.init.zeros_(self.decoder.bias)
        nn.init.uniform_(self.decoder.weight, -initrange, initrange)

    def forward(self, src, has_mask=True):
        if has_mask:
            device = src.device
            if self.src_mask is None or self.src_mask.size(0) != len(src):
                self.src_mask = self._generate_square_subsequent_mask(len(src)).to(device)
        else:
            self.src_mask = None
        src = self.input_emb(src) * math.sqrt(self.ninp)
        src = self.pos_encoder(src)
        output = self.encoder(src, mask=self.src_mask)
        output = self.decoder(output)
        return F.log_softmax(output, dim=-1)


m = TransformerModel(10, 8, 2, 16, 1)
m.eval()
set_weights(m)
crit = nn.NLLLoss()
for i in range(3):
    d = randint(0, 10, (5, 3))
    t = randint(0, 10, (15,))
    m.zero_grad()
    out = m(d).view(-1, 10)
    l = crit(out, t)
    l.backward()
    torch.nn.utils.clip_grad_norm_(m.parameters(), 0.25)
    for p in m.parameters():
        if p.grad is not None:
            p.data.add_(p.grad, alpha=-0.5)
    losses.append(l.item())
# --- actor critic
SavedAction = namedtuple("SavedAction", ["log_prob", "value"])


class Policy(nn.Module):
    def __init__(self):
        super().__init__()
        self.affine1 = nn.Linear(4, 12)
        self.action_head = nn.Linear(12, 2)
        self.value_head = nn.Linear(12, 1)
        self.saved_actions = []
        self.rewards = []

    def forward(self, x):
        x = F.relu(self.affine1(x))
        return F.softmax(self.action_head(x), dim=-1), self.value_head(x)


model = set_weights(Policy())
optimizer = optim.Adam(model.parameters(), lr=3e-2)
eps = np.finfo(np.float32).eps.item()
for ep in range(4):
    state = rng.randn(4)
    for t in range(5):
        state = torch.from_numpy(np.asarray(state)).float()
        probs, sv = model(state)
        mm = Categorical(probs)
        _ = mm.sample()
        action = torch.tensor(int(rng.randint(2)))
        model.saved_actions.append(SavedAction(mm.log_prob(action), sv))
        state = rng.randn(4)
        model.rewards.append(float(rng.rand()))
    R = 0
    returns = []
    pl = []
    vl = []
    for r in model.rewards[::-1]:
        R = r + 0.99 * R
        returns.insert(0, R)
    returns = torch.tensor(returns)
    returns = (returns - returns.mean()) / (returns.std() + eps)
    for (lp, value), R in zip(model.saved_actions, returns):
        advantage = R - value.item()
        pl.append(-lp * advantage)
        vl.append(F.smooth_l1_loss(value, torch.tensor([R])))
    optimizer.zero_grad()
    loss = torch.stack(pl).sum() + torch.stack(vl).sum() + 0.01 * mm.entropy()
    loss.backward()
    optimizer.step()
    losses.append(loss.item())
    del model.rewards[:]
    del model.saved_actions[:]
# --- super resolution
import torch.nn.init as init


class SR(nn.Module):
    def __init__(self, u):
        super().__init__()
        self.relu = nn.ReLU()
        self.conv1 = nn.Conv2d(1, 8, (5, 5), (1, 1), (2, 2))
        self.conv4 = nn.Conv2d(8, u**2, (3, 3), (1, 1), (1, 1))
        self.pixel_shuffle = nn.PixelShuffle(u)
        self._initialize_weights()

    def forward(self, x):
        return self.pixel_shuffle(self.conv4(self.relu(self.conv1(x))))

    def _initialize_weights(self):
        init.orthogonal_(self.conv1.weight, init.calculate_gain("relu"))
        init.orthogonal_(self.conv4.weight)


sr = set_weights(SR(2))
o = optim.Adam(sr.parameters(), lr=1e-2)
for _ in range(3):
    o.zero_grad()
    l = nn.MSELoss()(sr(rand(2, 1, 4, 4)), rand(2, 1, 8, 8))
    l.backward()
    o.step()
    losses += [l.item(), 10 * math.log10(1 / l.item())]


# --- fast neural style
class ConvLayer(torch.nn.Module):
    def __init__(self, i, o, k, s):
        super().__init__()
        self.reflection_pad = torch.nn.ReflectionPad2d(int(np.floor(k / 2)))
        self.conv2d = torch.nn.Conv2d(i, o, k, s)

    def forward(self, x):
        return self.conv2d(self.reflection_pad(x))


class Up(torch.nn.Module):
    def __init__(self, i, o, k, s, upsample=None):
        super().__init__()
        self.upsample = upsample
        self.rp = torch.nn.ReflectionPad2d(k // 2)
        self.conv2d = torch.nn.Conv2d(i, o, k, s)

    def forward(self, x):
        if self.upsample:
            x = torch.nn.functional.interpolate(x, mode="nearest", scale_factor=self.upsample)
        return self.conv2d(self.rp(x))


net = set_weights(
    nn.Sequential(
        ConvLayer(3, 4, 3, 2), nn.InstanceNorm2d(4, affine=True), nn.ReLU(), Up(4, 3, 3, 1, 2)
    )
)


def normalize_batch(batch):
    mean = batch.new_tensor([0.485, 0.456, 0.406]).view(-1, 1, 1)
    std = batch.new_tensor([0.229, 0.224, 0.225]).view(-1, 1, 1)
    batch = batch.div_(255.0)
    return (batch - mean) / std


def gram(y):
    (b, ch, h, w) = y.size()
    f = y.view(b, ch, w * h)
    ft = f.transpose(1, 2)
    return f.bmm(ft) / (ch * h * w)


x = rand(2, 3, 8, 8) * 255
y = net(x.mul(1.0))
y = normalize_batch(y)
g = gram(y)
l = F.mse_loss(g, gram(normalize_batch(x.clone()))[:2])
l.backward()
losses += [l.item(), net[0].conv2d.weight.grad.abs().sum().item()]


# --- GAT
class GraphAttentionLayer(nn.Module):
    def __init__(self, i, o, n_heads, concat=False):
        super().__init__()
        self.n_heads = n_heads
        self.n_hidden = o
        self.W = nn.Parameter(torch.empty(size=(i, o * n_heads)))
        self.a = nn.Parameter(torch.empty(size=(n_heads, 2 * o, 1)))
        self.leakyrelu = nn.LeakyReLU(0.2)
        self.softmax = nn.Softmax(dim=1)
        nn.init.xavier_normal_(self.W)
        nn.init.xavier_normal_(self.a)

    def forward(self, h, adj):
        n = h.shape[0]
        ht = torch.mm(h, self.W)
        ht = ht.view(n, self.n_heads, self.n_hidden).permute(1, 0, 2)
        s = torch.matmul(ht, self.a[:, : self.n_hidden, :])
        t = torch.matmul(ht, self.a[:, self.n_hidden :, :])
        e = self.leakyrelu(s + t.mT)
        cm = -9e16 * torch.ones_like(e)
        e = torch.where(adj > 0, e, cm)
        att = F.softmax(e, dim=-1)
        hp = torch.matmul(att, ht)
        return hp.mean(dim=0)


gat = set_weights(GraphAttentionLayer(5, 4, 2))
adj = (rand(6, 6) > 0.5).float() + torch.eye(6)
out = gat(randn(6, 5), adj)
out.pow(2).sum().backward()
losses += [out.sum().item(), gat.a.grad.abs().sum().item()]


# --- forward forward
class Layer(nn.Linear):
    def __init__(self, i, o, bias=True, device=None, dtype=None):
        super().__init__(i, o, bias, device, dtype)
        self.relu = torch.nn.ReLU()
        self.opt = torch.optim.Adam(self.parameters(), lr=0.02)
        self.threshold = 1.0

    def forward(self, x):
        xd = x / (x.norm(2, 1, keepdim=True) + 1e-4)
        return self.relu(torch.mm(xd, self.weight.T) + self.bias.unsqueeze(0))

    def train_(self, xp, xn):
        for i in range(3):
            gp = self.forward(xp).pow(2).mean(1)
            gn = self.forward(xn).pow(2).mean(1)
            loss = torch.log(
                1 + torch.exp(torch.cat([-gp + self.threshold, gn - self.threshold]))
            ).mean()
            self.opt.zero_grad()
            loss.backward()
            self.opt.step()
            losses.append(loss.item())
        return self.forward(xp).detach(), self.forward(xn).detach()


ff = set_weights(Layer(6, 5))
ff.train_(randn(8, 6), randn(8, 6))


def overlay(x, y, classes=3):
    x_ = x.clone()
    x_[:, :classes] *= 0.0
    x_[range(x.shape[0]), y] = x.max()
    return x_


losses.append(overlay(randn(4, 6), torch.tensor([0, 1, 2, 0])).sum().item())


# --- ViT
class PatchExtractor(nn.Module):
    def __init__(self, p=4):
        super().__init__()
        self.p = p

    def forward(self, x):
        B, C, H, W = x.size()
        assert H % self.p == 0
        h = H // self.p
        w = W // self.p
        return (
            x.unfold(2, h, h)
            .unfold(3, w, w)
            .permute(0, 2, 3, 1, 4, 5)
            .contiguous()
            .view(B, h * w, -1)
            if False
            else x.unfold(2, self.p, self.p)
            .unfold(3, self.p, self.p)
            .permute(0, 2, 3, 1, 4, 5)
            .contiguous()
            .view(B, h * w, -1)
        )


pe = PatchExtractor()
xx = pe(randn(2, 3, 8, 8))
cls = nn.Parameter(torch.zeros(1, 1, 48))
xx = torch.cat((cls.expand(2, -1, -1), xx), dim=1)
att = nn.MultiheadAttention(48, 4, batch_first=True)
set_weights(att)
o, w = att(xx, xx, xx)
losses += [o.sum().item(), w.sum().item()]
# normal policies
mu, ls = randn(3).requires_grad_(), torch.zeros(3, requires_grad=True)
dist = Normal(mu, ls.exp())
lp = dist.log_prob(torch.ones(3)).sum() + dist.entropy().sum()
lp.backward()
losses += [lp.item(), mu.grad.sum().item()]
dist.rsample()
