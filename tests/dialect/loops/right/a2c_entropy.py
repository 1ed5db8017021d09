import torch
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
for step in range(10):
    s = torch.randn(40, 4)
    logits, v = net(s)
    d = torch.distributions.Categorical(logits=logits)
    a = d.sample()
    R = torch.randn(40)
    adv = R - v
    loss = (
        -(d.log_prob(a) * adv.detach()).mean() + 0.5 * adv.pow(2).mean() - 0.01 * d.entropy().mean()
    )
    opt.zero_grad()
    loss.backward()
    opt.step()
