"""Pictures of one kind from another: cycles, pairs, larger ones, and losses of many games."""

import itertools
import random

import numpy as np
import torch
import torch.nn as nn
from course import rand, randn, rng, set_weights
from torch.autograd import Variable

losses = []
Tensor = torch.cuda.FloatTensor if torch.cuda.is_available() else torch.Tensor


def weights_init_normal(m):
    classname = m.__class__.__name__
    if classname.find("Conv") != -1:
        torch.nn.init.normal_(m.weight.data, 0.0, 0.02)
        if hasattr(m, "bias") and m.bias is not None:
            torch.nn.init.constant_(m.bias.data, 0.0)
    elif classname.find("BatchNorm2d") != -1:
        torch.nn.init.normal_(m.weight.data, 1.0, 0.02)
        torch.nn.init.constant_(m.bias.data, 0.0)


class ResidualBlock(nn.Module):
    def __init__(self, f):
        super().__init__()
        self.block = nn.Sequential(
            nn.ReflectionPad2d(1),
            nn.Conv2d(f, f, 3),
            nn.InstanceNorm2d(f),
            nn.ReLU(inplace=True),
            nn.ReflectionPad2d(1),
            nn.Conv2d(f, f, 3),
            nn.InstanceNorm2d(f),
        )

    def forward(self, x):
        return x + self.block(x)


class G(nn.Module):
    def __init__(self):
        super().__init__()
        model = [
            nn.ReflectionPad2d(1),
            nn.Conv2d(1, 4, 3),
            nn.InstanceNorm2d(4),
            nn.ReLU(inplace=True),
        ]
        model += [
            nn.Conv2d(4, 8, 3, stride=2, padding=1),
            nn.InstanceNorm2d(8),
            nn.ReLU(inplace=True),
        ]
        for _ in range(1):
            model += [ResidualBlock(8)]
        model += [
            nn.Upsample(scale_factor=2),
            nn.Conv2d(8, 4, 3, stride=1, padding=1),
            nn.InstanceNorm2d(4),
            nn.ReLU(inplace=True),
        ]
        model += [nn.ReflectionPad2d(1), nn.Conv2d(4, 1, 3), nn.Tanh()]
        self.model = nn.Sequential(*model)

    def forward(self, x):
        return self.model(x)


class D(nn.Module):
    def __init__(self, input_shape):
        super().__init__()
        c, h, w = input_shape
        self.output_shape = (1, h // 2, w // 2)

        def block(i, o, normalize=True):
            layers = [nn.Conv2d(i, o, 4, stride=2, padding=1)]
            if normalize:
                layers.append(nn.InstanceNorm2d(o))
            layers.append(nn.LeakyReLU(0.2, inplace=True))
            return layers

        self.model = nn.Sequential(
            *block(c, 4, normalize=False), nn.ZeroPad2d((1, 0, 1, 0)), nn.Conv2d(4, 1, 4, padding=1)
        )

    def forward(self, img):
        return self.model(img)


class ReplayBuffer:
    def __init__(self, max_size=50):
        self.max_size = max_size
        self.data = []

    def push_and_pop(self, data):
        to_return = []
        for element in data.data:
            element = torch.unsqueeze(element, 0)
            if len(self.data) < self.max_size:
                self.data.append(element)
                to_return.append(element)
            else:
                if random.uniform(0, 1) > 0.5:
                    i = random.randint(0, self.max_size - 1)
                    to_return.append(self.data[i].clone())
                    self.data[i] = element
                else:
                    to_return.append(element)
        return Variable(torch.cat(to_return))


class LambdaLR:
    def __init__(self, n, o, d):
        self.n_epochs = n
        self.offset = o
        self.d = d

    def step(self, epoch):
        return 1.0 - max(0, epoch + self.offset - self.d) / (self.n_epochs - self.d)


random.seed(0)
GA, GB = set_weights(G()), set_weights(G(), 2)
DA, DB = set_weights(D((1, 8, 8)), 3), set_weights(D((1, 8, 8)), 4)
criterion_GAN = torch.nn.MSELoss()
criterion_cycle = torch.nn.L1Loss()
criterion_identity = torch.nn.L1Loss()
oG = torch.optim.Adam(
    itertools.chain(GA.parameters(), GB.parameters()), lr=0.0002, betas=(0.5, 0.999)
)
oDA = torch.optim.Adam(DA.parameters(), lr=2e-4, betas=(0.5, 0.999))
oDB = torch.optim.Adam(DB.parameters(), lr=2e-4)
lrG = torch.optim.lr_scheduler.LambdaLR(oG, lr_lambda=LambdaLR(10, 0, 2).step)
fAb, fBb = ReplayBuffer(3), ReplayBuffer(3)
for e in range(4):
    real_A, real_B = (
        Variable(rand(2, 1, 8, 8).type(Tensor)),
        Variable(rand(2, 1, 8, 8).type(Tensor)),
    )
    out_shape = DA(real_A).shape[1:]
    valid = Variable(Tensor(np.ones((real_A.size(0), *out_shape))), requires_grad=False)
    fake = Variable(Tensor(np.zeros((real_A.size(0), *out_shape))), requires_grad=False)
    GA.train()
    GB.train()
    oG.zero_grad()
    li = (criterion_identity(GB(real_A), real_A) + criterion_identity(GA(real_B), real_B)) / 2
    fake_B = GA(real_A)
    fake_A = GB(real_B)
    lg = (criterion_GAN(DB(fake_B), valid) + criterion_GAN(DA(fake_A), valid)) / 2
    lc = (criterion_cycle(GB(fake_B), real_A) + criterion_cycle(GA(fake_A), real_B)) / 2
    L = lg + 10.0 * lc + 5.0 * li
    L.backward()
    oG.step()
    oDA.zero_grad()
    fa_ = fAb.push_and_pop(fake_A)
    lda = (criterion_GAN(DA(real_A), valid) + criterion_GAN(DA(fa_.detach()), fake)) / 2
    lda.backward()
    oDA.step()
    losses += [L.item(), lda.item()]
    lrG.step()


# pix2pix
class UNetDown(nn.Module):
    def __init__(self, i, o, normalize=True, dropout=0.0):
        super().__init__()
        layers = [nn.Conv2d(i, o, 4, 2, 1, bias=False)]
        if normalize:
            layers.append(nn.InstanceNorm2d(o))
        layers.append(nn.LeakyReLU(0.2))
        if dropout:
            layers.append(nn.Dropout(dropout))
        self.model = nn.Sequential(*layers)

    def forward(self, x):
        return self.model(x)


class UNetUp(nn.Module):
    def __init__(self, i, o):
        super().__init__()
        self.model = nn.Sequential(
            nn.ConvTranspose2d(i, o, 4, 2, 1, bias=False),
            nn.InstanceNorm2d(o),
            nn.ReLU(inplace=True),
        )

    def forward(self, x, skip):
        x = self.model(x)
        return torch.cat((x, skip), 1)


d1, d2, u1 = (
    set_weights(UNetDown(1, 4, normalize=False)),
    set_weights(UNetDown(4, 4)),
    set_weights(UNetUp(4, 4)),
)
x = rand(2, 1, 8, 8)
a = d1(x)
b = d2(a)
c = u1(b, a)
fin = set_weights(
    nn.Sequential(
        nn.Upsample(scale_factor=2),
        nn.ZeroPad2d((1, 0, 1, 0)),
        nn.Conv2d(8, 1, 4, padding=1),
        nn.Tanh(),
    )
)
losses.append(fin(c).sum().item())


# SRGAN
class SRG(nn.Module):
    def __init__(self):
        super().__init__()
        self.c = nn.Sequential(nn.Conv2d(1, 8, kernel_size=9, stride=1, padding=4), nn.PReLU())
        self.up = nn.Sequential(
            nn.Conv2d(8, 32, 3, 1, 1),
            nn.BatchNorm2d(32),
            nn.PixelShuffle(upscale_factor=2),
            nn.PReLU(),
        )

    def forward(self, x):
        return self.up(self.c(x))


s = set_weights(SRG())
y = s(rand(2, 1, 4, 4))
y.mean().backward()
losses += [y.sum().item(), s.up[3].weight.grad.sum().item()]


# infogan / acgan
def to_categorical(y, num_columns):
    y_cat = np.zeros((y.shape[0], num_columns))
    y_cat[range(y.shape[0]), y] = 1.0
    return Variable(torch.FloatTensor(y_cat))


lab = to_categorical(rng.randint(0, 3, 4), num_columns=3)
code = Variable(Tensor(rng.uniform(-1, 1, (4, 2))))
z = Variable(Tensor(rng.normal(0, 1, (4, 5))))
gi = torch.cat((z, lab, code), -1)
losses.append(gi.sum().item())
lin = set_weights(nn.Linear(10, 4))
gl = Variable(torch.LongTensor(rng.randint(0, 4, 4)), requires_grad=False)
l = nn.CrossEntropyLoss()(lin(gi), gl)
l.backward()
losses.append(l.item())
# dragan, began, ebgan, wgan-div
X = rand(4, 6)
al = Tensor(rng.random_sample((4, 1))).expand(X.size())
inter = Variable(
    al * X.data + (1 - al) * (X.data + 0.5 * X.data.std() * torch.rand(X.size()).fill_(0.3)),
    requires_grad=True,
)
dd = set_weights(nn.Linear(6, 1))
pred = dd(inter)
gr = torch.autograd.grad(
    outputs=pred,
    inputs=inter,
    grad_outputs=Tensor(4, 1).fill_(1.0),
    create_graph=True,
    retain_graph=True,
)[0]
gp = 10 * ((gr.norm(2, dim=1) - 1) ** 2).mean()
losses.append(gp.item())
gn = torch.pow(torch.sum(gr**2, 1), 3)
losses.append(gn.mean().item())
k = 0.0
dr = torch.mean(torch.abs(dd(X) - 1))
df = torch.mean(torch.abs(dd(X.detach())))
dl = dr - k * df
diff = torch.mean(0.75 * dr - df)
k = k + 0.001 * diff.item()
k = min(max(k, 0), 1)
M = (dr + torch.abs(diff)).data
losses += [k, M.item()]
emb = randn(4, 5)
norm = torch.sqrt(torch.sum(emb**2, -1, keepdim=True))
ne = emb / norm
sim = torch.matmul(ne, ne.transpose(1, 0))
losses.append(((sim.sum() - 4) / (4 * 3)).item())


class MI(nn.Module):
    pass


lp = nn.LogSoftmax()
fr = lambda x: x.view(-1)
P = torch.exp(-dd(X)).sum() + torch.exp(-dd(X)).sum()
losses.append(torch.log(P).item())
d, g = dd(X), dd(X * 0.5)
lg = -torch.log(torch.sigmoid(g) + 1e-8).mean()
losses.append(lg.item())
mmd = nn.BCEWithLogitsLoss()(d - g.mean(0, keepdim=True), torch.ones_like(d))
losses.append(mmd.item())
h = torch.histc(X, bins=4, min=0, max=1)
losses.append(h.sum().item())
