import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(0)
import collections
import random

q = nn.Sequential(nn.Linear(4, 32), nn.ReLU(), nn.Linear(32, 2))
tq = nn.Sequential(nn.Linear(4, 32), nn.ReLU(), nn.Linear(32, 2))
tq.load_state_dict(q.state_dict())
opt = torch.optim.Adam(q.parameters(), lr=0.001)
buf = collections.deque(maxlen=500)
s = torch.randn(4)
for step in range(90):
    with torch.no_grad():
        a = int(q(s[None]).argmax()) if random.random() > 0.3 else random.randrange(2)
    s2 = 0.9 * s + 0.1 * torch.randn(4) + (a - 0.5) * 0.1
    buf.append((s, a, float(-s2.abs().sum()), s2))
    s = s2
    if len(buf) >= 32:
        b = random.sample(list(buf), 32)
        S = torch.stack([z[0] for z in b])
        A = torch.tensor([z[1] for z in b])
        R = torch.tensor([z[2] for z in b])
        N = torch.stack([z[3] for z in b])
        with torch.no_grad():
            y = R + 0.99 * tq(N).gather(1, q(N).argmax(1, keepdim=True)).squeeze(1)
        loss = F.smooth_l1_loss(q(S).gather(1, A[:, None]).squeeze(1), y)
        opt.zero_grad()
        loss.backward()
        opt.step()
