import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(0)


class AC(nn.Module):
    def __init__(self):
        super().__init__()
        self.b = nn.Sequential(nn.Linear(4, 32), nn.Tanh())
        self.p = nn.Linear(32, 3)
        self.v = nn.Linear(32, 1)

    def forward(self, x):
        h = self.b(x)
        return (self.p(h), self.v(h).squeeze(-1))


net = AC()
opt = torch.optim.Adam(net.parameters(), lr=0.001)
for it in range(3):
    s = torch.randn(64, 4)
    with torch.no_grad():
        l, v = net(s)
        d = torch.distributions.Categorical(logits=l)
        a = d.sample()
        old = d.log_prob(a)
    R = torch.randn(64)
    adv = R - v
    adv = (adv - adv.mean()) / (adv.std() + 1e-08)
    for ep in range(4):
        l, v = net(s)
        d = torch.distributions.Categorical(logits=l)
        ratio = (d.log_prob(a) - old).exp()
        loss = (
            -torch.min(ratio * adv, ratio.clamp(0.8, 1.2) * adv).mean()
            + 0.5 * F.mse_loss(v, R)
            - 0.01 * d.entropy().mean()
        )
        opt.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 0.5)
        opt.step()
