"""The first hour: Tensors, gradients, a network, and a hundred functions."""

import copy

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from course import randint, randn, set_weights
from torch.nn.utils.rnn import pack_padded_sequence

losses = []
x1 = torch.tensor(1.0, requires_grad=True)
w = torch.tensor(2.0, requires_grad=True)
b = torch.tensor(3.0, requires_grad=True)
y = w * x1 + b
y.backward()
print(x1.grad, w.grad, b.grad)
losses += [x1.grad.item()]
linear = set_weights(nn.Linear(3, 2))
print("w: ", linear.weight)
crit = nn.MSELoss()
opt = torch.optim.SGD(linear.parameters(), lr=0.01)
pred = linear(randn(10, 3))
loss = crit(pred, randn(10, 2))
print("loss: ", loss.item())
loss.backward()
print("dL/dw: ", linear.weight.grad)
opt.step()
losses.append(loss.item())
x = np.array([[1, 2], [3, 4]])
y = torch.from_numpy(x)
z = y.numpy()
losses.append(float(z.sum()))


class BiRNN(nn.Module):
    def __init__(self, i, h, l, n):
        super(BiRNN, self).__init__()
        self.h = h
        self.l = l
        self.lstm = nn.LSTM(i, h, l, batch_first=True, bidirectional=True)
        self.fc = nn.Linear(h * 2, n)

    def forward(self, x):
        h0 = torch.zeros(self.l * 2, x.size(0), self.h).to("cpu")
        c0 = torch.zeros(self.l * 2, x.size(0), self.h).to("cpu")
        out, _ = self.lstm(x, (h0, c0))
        return self.fc(out[:, -1, :])


m = set_weights(BiRNN(4, 5, 2, 3))
o = torch.optim.Adam(m.parameters(), lr=0.01)
for _ in range(4):
    out = m(randn(6, 3, 4).reshape(-1, 3, 4))
    l = nn.CrossEntropyLoss()(out, randint(0, 3, (6,)))
    o.zero_grad()
    l.backward()
    o.step()
    losses.append(l.item())


class DecoderRNN(nn.Module):
    def __init__(self, e, h, v, n, max_seg_length=5):
        super().__init__()
        self.embed = nn.Embedding(v, e)
        self.lstm = nn.LSTM(e, h, n, batch_first=True)
        self.linear = nn.Linear(h, v)
        self.m = max_seg_length

    def forward(self, features, captions, lengths):
        embeddings = self.embed(captions)
        embeddings = torch.cat((features.unsqueeze(1), embeddings), 1)
        packed = pack_padded_sequence(embeddings, lengths, batch_first=True)
        hiddens, _ = self.lstm(packed)
        return self.linear(hiddens[0])

    def sample(self, features, states=None):
        ids = []
        inputs = features.unsqueeze(1)
        for i in range(self.m):
            hiddens, states = self.lstm(inputs, states)
            outputs = self.linear(hiddens.squeeze(1))
            _, predicted = outputs.max(1)
            ids.append(predicted)
            inputs = self.embed(predicted)
            inputs = inputs.unsqueeze(1)
        return torch.stack(ids, 1)


d = set_weights(DecoderRNN(4, 6, 9, 1))
cap = randint(0, 9, (3, 5))
lengths = [5, 4, 2]
targets = pack_padded_sequence(cap, lengths, batch_first=True)[0]
outs = d(randn(3, 4), cap, lengths)
l = nn.CrossEntropyLoss()(outs, targets)
d.zero_grad()
l.backward()
losses += [l.item(), float(d.sample(randn(2, 4)).sum())]
# tensors 60 minute blitz
t = torch.empty(5, 3)
t = torch.rand(5, 3)
t = torch.zeros(5, 3, dtype=torch.long)
t = torch.tensor([5.5, 3])
t = t.new_ones(5, 3, dtype=torch.double)
t2 = torch.randn_like(t, dtype=torch.float)
print(t2.size())
r = torch.empty(5, 3)
torch.add(t.float(), t2, out=r) if False else None
yy = torch.ones(5, 3)
yy.add_(t.float())
losses.append(yy.sum().item())
print(t[:, 1])
v = torch.randn(4, 4)
u = v.view(16)
zz = v.view(-1, 8)
print(v.size(), u.size(), zz.size())
a = torch.ones(5)
bb = a.numpy()
a.add_(1)
losses.append(a.sum().item())
q = torch.ones(2, 2, requires_grad=True)
yv = q + 2
print(yv.grad_fn is not None)
zv = yv * yv * 3
out = zv.mean()
out.backward()
losses.append(q.grad.sum().item())
aa = torch.randn(2, 2)
aa = (aa * 3) / (aa - 1)
print(aa.requires_grad)
aa.requires_grad_(True)
print(aa.requires_grad)
bq = (aa * aa).sum()
assert bq.grad_fn is not None
xq = torch.tensor([1.0, 2.0, 3.0], requires_grad=True)
yq = xq * 2
while yq.data.norm() < 1000:
    yq = yq * 2
yq.backward(torch.tensor([0.1, 1.0, 0.0001], dtype=torch.float))
losses.append(xq.grad.sum().item())
print((xq**2).requires_grad)
with torch.no_grad():
    print((xq**2).requires_grad)
yd = xq.detach()
assert yd.eq(xq).all()


class LeNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 6, 3)
        self.fc1 = nn.Linear(6 * 3 * 3, 10)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv1(x)), (2, 2))
        x = x.view(-1, self.num_flat_features(x))
        return self.fc1(x)

    def num_flat_features(self, x):
        size = x.size()[1:]
        num = 1
        for n in size:
            num *= n
        return num


net = set_weights(LeNet())
params = list(net.parameters())
print(len(params), params[0].size())
out = net(randn(1, 1, 8, 8))
net.zero_grad()
out.backward(torch.ones(1, 10))
print(net.conv1.bias.grad)
for f in net.parameters():
    f.data.sub_(f.grad.data * 0.01)
losses.append(net(torch.ones(1, 1, 8, 8)).sum().item())
print(out.grad_fn.next_functions[0][0] if hasattr(out.grad_fn, "next_functions") else "")
# many functions
X = randn(4, 5)
losses += [
    torch.std(X).item(),
    X.var(1).sum().item(),
    torch.median(X).item(),
    X.kthvalue(2, 1)[0].sum().item(),
    X.sort(1, descending=True)[0][:, 0].sum().item(),
    torch.cumprod(X, 1).sum().item(),
    torch.einsum("ij,kj->ik", X, X).trace().item(),
    torch.outer(X[0], X[1]).sum().item(),
    X.clamp(min=0).sum().item(),
    torch.where(X > 0, X, torch.zeros(1)).sum().item(),
    X.flatten().unfold(0, 4, 2).sum().item(),
    torch.stack(torch.unbind(X, 1), 0).sum().item(),
    X.expand(2, 4, 5).sum().item(),
    X.masked_select(X > 0).sum().item(),
    X.index_select(0, torch.tensor([0, 2])).sum().item(),
    F.normalize(X).sum().item(),
    torch.logsumexp(X, 1).sum().item(),
    X.norm(dim=1).sum().item(),
    torch.dist(X[0], X[1]).item(),
    X.abs().max(dim=1).values.sum().item(),
    X.argsort(1)[0].float().sum().item(),
    torch.triu(X, 1).sum().item(),
    torch.diag(X[:4, :4]).sum().item(),
    torch.bincount(torch.tensor([0, 1, 1])).float().sum().item(),
    torch.roll(X, 1, 0)[0].sum().item(),
    X.t().contiguous().view(-1)[3].item(),
    torch.full_like(X, 2).sum().item(),
    X.new_full((2,), 3.0).sum().item(),
    torch.addmm(torch.zeros(4, 4), X, X.t()).sum().item(),
    torch.baddbmm(torch.zeros(1, 4, 4), X[None], X.t()[None]).sum().item(),
    (X > 0).nonzero().float().sum().item(),
    torch.nonzero(X > 0, as_tuple=True)[0].float().sum().item(),
    X.scatter_add(1, torch.zeros(4, 5, dtype=torch.long), X).sum().item(),
    torch.zeros(4, 5).scatter_(1, torch.tensor([[0], [1], [2], [3]]), 1.0).sum().item(),
    torch.gather(X, 1, torch.tensor([[0], [1], [2], [3]])).sum().item(),
    X.repeat(2, 3).sum().item(),
    torch.tile(X, (2, 1)).sum().item(),
    torch.chunk(X, 2, 1)[0].sum().item(),
    X.split([2, 3], 1)[1].sum().item(),
    torch.squeeze(X[None], 0).sum().item(),
    X.lerp(torch.zeros(4, 5), 0.3).sum().item(),
    torch.lt(X, 0).sum().item(),
    torch.prod(X[0]).item(),
    float(torch.allclose(X, X + 1e-9)),
    torch.sign(X).sum().item(),
    torch.floor(X).sum().item(),
    (X // 1).sum().item(),
    torch.remainder(X, 2).sum().item(),
    torch.fmod(X, 2).sum().item(),
    torch.atan2(X, X + 1).sum().item(),
    torch.rsqrt(X.abs() + 1).sum().item(),
    torch.erf(X).sum().item(),
    torch.sigmoid(X).logit().sum().item(),
    X.quantile(0.5).item(),
    torch.cov(X).trace().item(),
    torch.corrcoef(X).trace().item(),
    torch.linalg.norm(X).item(),
    torch.linalg.svdvals(X).sum().item(),
    torch.linalg.solve(torch.eye(4) * 2, X).sum().item(),
    torch.det(X[:4, :4]).item(),
    X.mean((0, 1)).item(),
    X.amax(1).sum().item(),
    torch.vander(torch.tensor([1.0, 2.0]), 3).sum().item() if hasattr(torch, "vander") else 10.0,
    torch.searchsorted(torch.tensor([1.0, 2.0, 3.0]), torch.tensor([2.5])).item(),
    torch.cartesian_prod(torch.tensor([1, 2]), torch.tensor([3, 4])).sum().item(),
    torch.unique(torch.tensor([1, 1, 2])).numel(),
]
act = [
    nn.ReLU6(),
    nn.SELU(),
    nn.CELU(),
    nn.Hardswish(),
    nn.Mish(),
    nn.Softsign(),
    nn.Tanhshrink(),
    nn.Softshrink(),
    nn.Hardtanh(),
    nn.LogSigmoid(),
    nn.GLU(0) if False else nn.Identity(),
    nn.Threshold(0.1, 2.0),
    nn.Softmin(dim=1),
    nn.Softplus(beta=2),
]
losses += [a(X).sum().item() for a in act]
hooks = []
h = net.conv1.register_forward_hook(lambda m, i, o: hooks.append(o.shape))
net(torch.ones(1, 1, 8, 8))
h.remove()
losses.append(len(hooks))
net2 = copy.deepcopy(net)
net2.load_state_dict(net.state_dict())
print(
    sum(p.numel() for p in net2.parameters()),
    [n for n, _ in net2.named_children()],
    dict(net2.named_modules()).keys(),
)
opt = torch.optim.SGD(
    [{"params": net.conv1.parameters()}, {"params": net.fc1.parameters(), "lr": 1e-3}],
    lr=1e-2,
    momentum=0.9,
)
opt.add_param_group({"params": [torch.nn.Parameter(torch.zeros(2))]})
print(opt.state_dict()["param_groups"][0]["lr"], len(opt.param_groups))
