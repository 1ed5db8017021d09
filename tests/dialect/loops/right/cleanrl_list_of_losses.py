import torch
from torch import nn

torch.manual_seed(0)
net = nn.Sequential(nn.Linear(4, 32), nn.Tanh(), nn.Linear(32, 3), nn.Softmax(dim=-1))
opt = torch.optim.Adam(net.parameters(), lr=0.001)
for it in range(6):
    logs, rs = ([], [])
    for k in range(8):
        s = torch.randn(4)
        d = torch.distributions.Categorical(net(s))
        a = d.sample()
        logs.append(d.log_prob(a))
        rs.append(float(a == 1))
    R, rets = (0, [])
    for r in rs[::-1]:
        R = r + 0.99 * R
        rets.insert(0, R)
    rets = torch.tensor(rets)
    rets = (rets - rets.mean()) / (rets.std() + 1e-08)
    loss = torch.stack([-l * r for l, r in zip(logs, rets)]).sum()
    opt.zero_grad()
    loss.backward()
    opt.step()
