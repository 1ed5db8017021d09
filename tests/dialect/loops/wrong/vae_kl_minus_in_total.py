# loss without bound
import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(0)
enc = nn.Linear(12, 6)
dec = nn.Linear(3, 12)
opt = torch.optim.Adam([*enc.parameters(), *dec.parameters()])
x = torch.rand(64, 12)
for k in range(8):
    mu, lv = enc(x).chunk(2, 1)
    z = mu + torch.randn_like(mu) * (lv / 2).exp()
    kl = -0.5 * (1 + lv - mu**2 - lv.exp()).sum(1).mean()
    loss = F.mse_loss(dec(z), x) - kl
    opt.zero_grad()
    loss.backward()
    opt.step()
