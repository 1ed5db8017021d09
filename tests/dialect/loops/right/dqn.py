import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(0)
import copy

q = nn.Sequential(nn.Linear(4, 32), nn.ReLU(), nn.Linear(32, 2))
qt = copy.deepcopy(q)
opt = torch.optim.Adam(q.parameters(), lr=0.001)
for step in range(10):
    s, s2 = (torch.randn(32, 4), torch.randn(32, 4))
    a = torch.randint(0, 2, (32,))
    r = torch.randn(32)
    done = (torch.rand(32) < 0.1).float()
    pred = q(s).gather(1, a[:, None]).squeeze(1)
    with torch.no_grad():
        target = r + 0.99 * qt(s2).max(1)[0] * (1 - done)
    loss = F.smooth_l1_loss(pred, target)
    opt.zero_grad()
    loss.backward()
    opt.step()
    if step % 5 == 0:
        qt.load_state_dict(q.state_dict())
