# no gradient
import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(0)
enc = nn.Sequential(nn.Linear(12, 32), nn.ReLU(), nn.Linear(32, 4))
dec = nn.Sequential(nn.Linear(4, 32), nn.ReLU(), nn.Linear(32, 12))
opt = torch.optim.Adam([*enc.parameters(), *dec.parameters()], lr=0.001)
x = torch.rand(256, 12)
for step in range(12):
    z = enc(x[:32]).detach()
    loss = F.mse_loss(dec(z), x[:32])
    opt.zero_grad()
    loss.backward()
    opt.step()
