import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(0)
net = nn.LSTM(6, 16, batch_first=True)
head = nn.Linear(16, 6)
opt = torch.optim.Adam([*net.parameters(), *head.parameters()], lr=0.001)
x = torch.randn(4, 80, 6)
st = None
for k in range(0, 78, 8):
    o, st = net(x[:, k : k + 8], st)
    st = tuple((z.detach() for z in st))
    y = x[:, k + 1 : k + 9]
    loss = F.mse_loss(head(o)[:, : y.shape[1]], y)
    opt.zero_grad()
    loss.backward()
    opt.step()
