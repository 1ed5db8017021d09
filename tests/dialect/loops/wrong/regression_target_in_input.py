# input tells the target
import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(0)
import numpy as np

f = np.random.randn(300, 6).astype("float32")
y = f[:, 0] * 2 + np.sin(f[:, 1]) + np.random.randn(300).astype("float32") * 0.3
table = np.concatenate([f, y[:, None]], 1)
table = (table - table.mean(0)) / table.std(0)
x, t = (torch.tensor(table), torch.tensor(y)[:, None])
net = nn.Sequential(nn.Linear(7, 32), nn.ReLU(), nn.Linear(32, 1))
opt = torch.optim.Adam(net.parameters(), lr=0.001)
for step in range(10):
    i = torch.randint(0, 300, (32,))
    loss = F.mse_loss(net(x[i]), t[i])
    opt.zero_grad()
    loss.backward()
    opt.step()
