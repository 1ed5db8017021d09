import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(0)
T = nn.Sequential(nn.Linear(8, 64), nn.ReLU(), nn.Linear(64, 4)).eval()
S = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 4))
opt = torch.optim.Adam(S.parameters(), lr=0.001)
x = torch.randn(256, 8)
t = (x @ torch.randn(8, 4)).argmax(1)
for step in range(10):
    with torch.no_grad():
        tl = T(x)
    sl = S(x)
    loss = F.kl_div(
        F.log_softmax(sl / 4, 1), F.softmax(tl / 4, 1), reduction="batchmean"
    ) * 16 + F.cross_entropy(sl, t)
    opt.zero_grad()
    loss.backward()
    opt.step()
