import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(0)
net = nn.Linear(1, 1)
opt = torch.optim.Adam(net.parameters(), lr=0.01)
for step in range(6):
    w = torch.randn(1)
    xs, xq = (torch.randn(10, 1), torch.randn(10, 1))
    l = F.mse_loss(net(xs), w * xs)
    g = torch.autograd.grad(l, list(net.parameters()), create_graph=True)
    f = [p - 0.1 * q for p, q in zip(net.parameters(), g)]
    loss = F.mse_loss(F.linear(xq, f[0], f[1]), w * xq)
    opt.zero_grad()
    loss.backward()
    opt.step()
