# graph kept
import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(0)
rnn = nn.GRUCell(8, 16)
head = nn.Linear(16, 4)
opt = torch.optim.Adam([*rnn.parameters(), *head.parameters()])
h = torch.zeros(32, 16)
x = torch.randn(256, 8)
t = (x @ torch.randn(8, 4)).argmax(1)
for k in range(10):
    h = rnn(x[:32], h)
    loss = F.cross_entropy(head(h), t[:32])
    opt.zero_grad()
    loss.backward(retain_graph=True)
    opt.step()
