import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(0)
W, C = (nn.Embedding(100, 16), nn.Embedding(100, 16))
opt = torch.optim.SGD([*W.parameters(), *C.parameters()], lr=0.1)
for step in range(8):
    w, c, n = (
        torch.randint(0, 100, (64,)),
        torch.randint(0, 100, (64,)),
        torch.randint(0, 100, (64, 5)),
    )
    v = W(w)
    loss = -(
        F.logsigmoid((v * C(c)).sum(1)) + F.logsigmoid(-(C(n) @ v[:, :, None]).squeeze(2)).sum(1)
    ).mean()
    opt.zero_grad()
    loss.backward()
    opt.step()
