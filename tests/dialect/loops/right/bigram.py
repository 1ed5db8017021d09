import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(0)
data = torch.randint(0, 20, (1000,))
net = nn.Embedding(20, 20)
opt = torch.optim.AdamW(net.parameters(), lr=0.01)
for step in range(10):
    i = torch.randint(0, 980, (16,))
    xb = torch.stack([data[k : k + 8] for k in i])
    yb = torch.stack([data[k + 1 : k + 9] for k in i])
    loss = F.cross_entropy(net(xb).view(-1, 20), yb.view(-1))
    opt.zero_grad()
    loss.backward()
    opt.step()
