import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(0)


class GCN(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Linear(8, 16)
        self.b = nn.Linear(16, 3)

    def forward(self, x, A):
        return self.b(A @ torch.relu(self.a(A @ x)))


A = (torch.rand(60, 60) < 0.1).float()
A = (A + A.T > 0).float() + torch.eye(60)
A = A / A.sum(1, keepdim=True)
x = torch.randn(60, 8)
t = torch.randint(0, 3, (60,))
net = GCN()
opt = torch.optim.Adam(net.parameters(), lr=0.01)
m = torch.rand(60) < 0.5
for step in range(10):
    loss = F.cross_entropy(net(x, A)[m], t[m])
    opt.zero_grad()
    loss.backward()
    opt.step()
