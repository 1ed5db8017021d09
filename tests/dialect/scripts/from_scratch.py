"""Layers, optimizers and losses built from Tensors alone, one after another."""

import inspect
import math

import torch
from course import randint, randn, set_weights
from torch import nn
from torch.nn import functional as F

losses = []


class HyperParameters:
    def save_hyperparameters(self, ignore=[]):
        frame = inspect.currentframe().f_back
        _, _, _, local_vars = inspect.getargvalues(frame)
        self.hparams = {
            k: v
            for k, v in local_vars.items()
            if k not in set(ignore + ["self"]) and not k.startswith("_")
        }
        for k, v in self.hparams.items():
            setattr(self, k, v)


class Module(nn.Module, HyperParameters):
    def __init__(self, plot_train_per_epoch=2):
        super().__init__()
        self.save_hyperparameters()

    def loss(self, y_hat, y):
        raise NotImplementedError

    def forward(self, X):
        assert hasattr(self, "net")
        return self.net(X)

    def training_step(self, batch):
        return self.loss(self(*batch[:-1]), batch[-1])

    def apply_init(self, inputs, init=None):
        self.forward(*inputs)
        if init is not None:
            self.net.apply(init)


class SGD(HyperParameters):
    def __init__(self, params, lr):
        self.save_hyperparameters()

    def step(self):
        for param in self.params:
            param -= self.lr * param.grad

    def zero_grad(self):
        for param in self.params:
            if param.grad is not None:
                param.grad.zero_()


class LinearScratch(Module):
    def __init__(self, num_inputs, lr, sigma=0.01):
        super().__init__()
        self.save_hyperparameters()
        self.w = torch.normal(0, sigma, (num_inputs, 1), requires_grad=True)
        self.b = torch.zeros(1, requires_grad=True)
        with torch.no_grad():
            self.w[:] = 0.1

    def forward(self, X):
        return torch.matmul(X, self.w) + self.b

    def loss(self, y_hat, y):
        l = (y_hat - y) ** 2 / 2
        return l.mean()


X = randn(40, 2)
w = torch.tensor([2, -3.4])
y = torch.matmul(X, w.reshape((-1, 1))) + 4.2 + 0.01 * randn(40, 1)
m = LinearScratch(2, 0.1)
o = SGD([m.w, m.b], 0.1)
for e in range(5):
    for i in range(0, 40, 10):
        loss = m.training_step((X[i : i + 10], y[i : i + 10]))
        o.zero_grad()
        with torch.no_grad():
            loss.backward()
            o.step()
        losses.append(loss.item())


# softmax from scratch
def softmax(X):
    X_exp = torch.exp(X)
    partition = X_exp.sum(1, keepdims=True)
    return X_exp / partition


Xp = softmax(randn(2, 5))
assert torch.allclose(Xp.sum(1), torch.ones(2))
y_hat = torch.tensor([[0.1, 0.3, 0.6], [0.3, 0.2, 0.5]])
yy = torch.tensor([0, 2])
losses.append((-torch.log(y_hat[list(range(len(y_hat))), yy]).mean()).item())


def accuracy(Y_hat, Y, averaged=True):
    Y_hat = Y_hat.reshape((-1, Y_hat.shape[-1]))
    preds = Y_hat.argmax(axis=1).type(Y.dtype)
    compare = (preds == Y.reshape(-1)).type(torch.float32)
    return compare.mean() if averaged else compare


losses.append(float(accuracy(y_hat, yy)))
# lazy conv net
net = nn.Sequential(
    nn.LazyConv2d(6, kernel_size=5, padding=2),
    nn.Sigmoid(),
    nn.AvgPool2d(kernel_size=2, stride=2),
    nn.LazyConv2d(16, kernel_size=3),
    nn.LazyBatchNorm2d(),
    nn.ReLU(),
    nn.Flatten(),
    nn.LazyLinear(12),
    nn.Sigmoid(),
    nn.LazyLinear(10),
)


def layer_summary(X_shape):
    X = torch.randn(*X_shape)
    for layer in net:
        X = layer(X)
        print(layer.__class__.__name__, "output shape:\t", X.shape)


layer_summary((2, 1, 12, 12))


def init_cnn(module):
    if type(module) == nn.Linear or type(module) == nn.Conv2d:
        nn.init.xavier_uniform_(module.weight)


net.apply(init_cnn)
set_weights(net)
opt = torch.optim.SGD(net.parameters(), lr=0.5)
xi, yi = randn(16, 1, 12, 12), randint(0, 10, (16,))
for _ in range(4):
    l = F.cross_entropy(net(xi), yi, reduction="mean")
    opt.zero_grad()
    l.backward()
    opt.step()
    losses.append(l.item())


# corr2d, pooling, batchnorm from scratch
def corr2d(X, K):
    h, w = K.shape
    Y = torch.zeros((X.shape[0] - h + 1, X.shape[1] - w + 1))
    for i in range(Y.shape[0]):
        for j in range(Y.shape[1]):
            Y[i, j] = (X[i : i + h, j : j + w] * K).sum()
    return Y


Xc = torch.ones((6, 8))
Xc[:, 2:6] = 0
K = torch.tensor([[1.0, -1.0]])
Yc = corr2d(Xc, K)
losses.append(Yc.abs().sum().item())
conv2d = nn.LazyConv2d(1, kernel_size=(1, 2), bias=False)
X4 = Xc.reshape((1, 1, 6, 8))
Y4 = Yc.reshape((1, 1, 6, 7))
conv2d(X4)
conv2d.weight.data = torch.tensor([[[[0.3, 0.1]]]])
lr = 3e-2
for i in range(4):
    Yh = conv2d(X4)
    l = (Yh - Y4) ** 2
    conv2d.zero_grad()
    l.sum().backward()
    conv2d.weight.data[:] -= lr * conv2d.weight.grad
    losses.append(l.sum().item())


def pool2d(X, pool_size, mode="max"):
    p_h, p_w = pool_size
    Y = torch.zeros((X.shape[0] - p_h + 1, X.shape[1] - p_w + 1))
    for i in range(Y.shape[0]):
        for j in range(Y.shape[1]):
            if mode == "max":
                Y[i, j] = X[i : i + p_h, j : j + p_w].max()
            elif mode == "avg":
                Y[i, j] = X[i : i + p_h, j : j + p_w].mean()
    return Y


losses.append(pool2d(torch.arange(9.0).reshape(3, 3), (2, 2), "avg").sum().item())


def batch_norm(X, gamma, beta, moving_mean, moving_var, eps, momentum):
    if not torch.is_grad_enabled():
        X_hat = (X - moving_mean) / torch.sqrt(moving_var + eps)
    else:
        assert len(X.shape) in (2, 4)
        if len(X.shape) == 2:
            mean = X.mean(dim=0)
            var = ((X - mean) ** 2).mean(dim=0)
        else:
            mean = X.mean(dim=(0, 2, 3), keepdim=True)
            var = ((X - mean) ** 2).mean(dim=(0, 2, 3), keepdim=True)
        X_hat = (X - mean) / torch.sqrt(var + eps)
        moving_mean = (1.0 - momentum) * moving_mean + momentum * mean
        moving_var = (1.0 - momentum) * moving_var + momentum * var
    return gamma * X_hat + beta, moving_mean.data, moving_var.data


Yb, mm, mv = batch_norm(
    randn(2, 3, 4, 4),
    torch.ones(1, 3, 1, 1),
    torch.zeros(1, 3, 1, 1),
    torch.zeros(1, 3, 1, 1),
    torch.ones(1, 3, 1, 1),
    1e-5,
    0.1,
)
losses.append(mv.sum().item())


# rnn scratch
class RNNScratch(nn.Module):
    def __init__(self, ni, nh, sigma=0.1):
        super().__init__()
        self.W_xh = nn.Parameter(torch.randn(ni, nh) * sigma)
        self.W_hh = nn.Parameter(torch.randn(nh, nh) * sigma)
        self.b_h = nn.Parameter(torch.zeros(nh))
        self.nh = nh

    def forward(self, inputs, state=None):
        if state is None:
            state = torch.zeros((inputs.shape[1], self.nh), device=inputs.device)
        else:
            (state,) = state
        outputs = []
        for X in inputs:
            state = torch.tanh(
                torch.matmul(X, self.W_xh) + torch.matmul(state, self.W_hh) + self.b_h
            )
            outputs.append(state)
        return outputs, state


rnn = set_weights(RNNScratch(5, 6))
outs, st = rnn(F.one_hot(randint(0, 5, (3, 2)).T, 5).type(torch.float32))
losses.append(torch.stack(outs, 1).sum().item())


# attention
def masked_softmax(X, valid_lens):
    def _sequence_mask(X, valid_len, value=0):
        maxlen = X.size(1)
        mask = (
            torch.arange((maxlen), dtype=torch.float32, device=X.device)[None, :]
            < valid_len[:, None]
        )
        X[~mask] = value
        return X

    if valid_lens is None:
        return nn.functional.softmax(X, dim=-1)
    shape = X.shape
    if valid_lens.dim() == 1:
        valid_lens = torch.repeat_interleave(valid_lens, shape[1])
    else:
        valid_lens = valid_lens.reshape(-1)
    X = _sequence_mask(X.reshape(-1, shape[-1]), valid_lens, value=-1e6)
    return nn.functional.softmax(X.reshape(shape), dim=-1)


q, k, v = randn(2, 3, 4).requires_grad_(), randn(2, 5, 4), randn(2, 5, 4)
scores = torch.bmm(q, k.transpose(1, 2)) / math.sqrt(q.shape[-1])
A = masked_softmax(scores, torch.tensor([2, 4]))
out = torch.bmm(A, v)
out.sum().backward()
losses.append(q.grad.abs().sum().item())
losses.append(masked_softmax(randn(2, 2, 4), torch.tensor([[1, 3], [2, 4]])).sum().item())


def transpose_qkv(X, h):
    X = X.reshape(X.shape[0], X.shape[1], h, -1)
    X = X.permute(0, 2, 1, 3)
    return X.reshape(-1, X.shape[2], X.shape[3])


losses.append(transpose_qkv(randn(2, 3, 8), 2)[1, 2].sum().item())
P = torch.zeros((1, 20, 8))
Xq = torch.arange(20, dtype=torch.float32).reshape(-1, 1) / torch.pow(
    10000, torch.arange(0, 8, 2, dtype=torch.float32) / 8
)
P[:, :, 0::2] = torch.sin(Xq)
P[:, :, 1::2] = torch.cos(Xq)
losses.append(P.sum().item())
# autograd basics
x = torch.arange(4.0)
x.requires_grad_(True)
yv = 2 * torch.dot(x, x)
yv.backward()
assert (x.grad == 4 * x).all()
x.grad.zero_()
(x * x).backward(gradient=torch.ones(len(x)))
losses.append(x.grad.sum().item())
x.grad.zero_()
u = (x * x).detach()
(u * x).sum().backward()
assert (x.grad == u).all().item()
a = torch.randn(size=(), requires_grad=True)
Xs = torch.arange(12).reshape(3, 4)
Xs[0:2, :] = 12
before = id(Xs)
Z = torch.zeros_like(Xs)
Z[:] = Xs + Xs
Xs += Xs
assert id(Xs) == before
A = Xs.numpy()
B = torch.from_numpy(A)
losses.append(float(torch.cat((Xs, Z), dim=0).sum()))
aa = torch.tensor([3.5])
losses += [aa.item(), float(aa), int(aa)]
Am = torch.arange(6, dtype=torch.float32).reshape(2, 3)
losses += [
    torch.norm(Am).item(),
    torch.abs(Am).sum().item(),
    Am.cumsum(axis=0).sum().item(),
    torch.mv(Am, torch.ones(3)).sum().item(),
    (Am / Am.sum(axis=1, keepdims=True)).sum().item(),
    Am.numel(),
    len(Am),
    Am.mean().item(),
]
