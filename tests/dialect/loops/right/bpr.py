import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(0)
U, V = (nn.Embedding(50, 8), nn.Embedding(80, 8))
opt = torch.optim.Adam([*U.parameters(), *V.parameters()], lr=0.01)
for step in range(8):
    u, i, j = (
        torch.randint(0, 50, (64,)),
        torch.randint(0, 80, (64,)),
        torch.randint(0, 80, (64,)),
    )
    loss = -F.logsigmoid((U(u) * (V(i) - V(j))).sum(1)).mean()
    opt.zero_grad()
    loss.backward()
    opt.step()
