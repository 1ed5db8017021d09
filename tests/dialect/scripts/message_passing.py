"""Networks on a graph by index_add and scatter: GCN, GAT and GraphSAGE."""

import torch
import torch.nn as nn
import torch.nn.functional as F
from course import randint, randn, set_weights


def add_self_loops(edge_index, n):
    loop = torch.arange(0, n, dtype=torch.long)
    return torch.cat([edge_index, loop.unsqueeze(0).repeat(2, 1)], dim=1)


def degree(index, n, dtype=None):
    out = torch.zeros((n,), dtype=dtype)
    one = torch.ones((index.size(0),), dtype=out.dtype)
    return out.scatter_add_(0, index, one)


def scatter_softmax(src, index, n):
    m = torch.full((n,) + src.shape[1:], float("-inf")).scatter_reduce(
        0, index[:, None].expand_as(src), src, reduce="amax", include_self=True
    )
    e = (src - m[index]).exp()
    s = torch.zeros((n,) + src.shape[1:]).index_add_(0, index, e)
    return e / (s[index] + 1e-16)


class GCNConv(nn.Module):
    def __init__(self, i, o):
        super().__init__()
        self.lin = nn.Linear(i, o, bias=False)
        self.bias = nn.Parameter(torch.empty(o))
        nn.init.zeros_(self.bias)

    def forward(self, x, edge_index):
        n = x.size(0)
        ei = add_self_loops(edge_index, n)
        row, col = ei
        deg = degree(col, n, x.dtype)
        dis = deg.pow(-0.5)
        dis[dis == float("inf")] = 0
        norm = dis[row] * dis[col]
        x = self.lin(x)
        out = torch.zeros_like(x)
        out.index_add_(0, col, norm.view(-1, 1) * x[row])
        return out + self.bias


class GATConv(nn.Module):
    def __init__(self, i, o, heads):
        super().__init__()
        self.h, self.o = heads, o
        self.W = nn.Linear(i, heads * o, bias=False)
        self.att_src = nn.Parameter(torch.Tensor(1, heads, o))
        self.att_dst = nn.Parameter(torch.Tensor(1, heads, o))
        nn.init.xavier_uniform_(self.att_src)
        nn.init.xavier_uniform_(self.att_dst)

    def forward(self, x, ei):
        n = x.size(0)
        src, dst = ei[0], ei[1]
        h = self.W(x).view(-1, self.h, self.o)
        a = (h * self.att_src).sum(dim=-1)[src] + (h * self.att_dst).sum(-1)[dst]
        a = F.leaky_relu(a, negative_slope=0.2)
        alpha = scatter_softmax(a, dst, n)
        out = torch.zeros(n, self.h, self.o)
        out = out.index_add(0, dst, h[src] * alpha.unsqueeze(-1))
        return out.flatten(1)


class SAGE(nn.Module):
    def __init__(self, i, o):
        super().__init__()
        self.l, self.r = nn.Linear(i, o), nn.Linear(i, o, bias=False)

    def forward(self, x, ei):
        mean = torch.zeros_like(x).scatter_reduce_(
            0,
            ei[1].unsqueeze(-1).expand(-1, x.size(1)),
            x[ei[0]],
            reduce="mean",
            include_self=False,
        )
        return F.normalize(self.l(mean) + self.r(x), p=2.0, dim=-1)


class Net(nn.Module):
    def __init__(self, kind):
        super().__init__()
        self.conv1 = {"gcn": GCNConv(6, 8), "gat": GATConv(6, 4, 2), "sage": SAGE(6, 8)}[kind]
        self.conv2 = GCNConv(8, 3)

    def forward(self, x, ei):
        x = F.elu(self.conv1(x, ei))
        return F.log_softmax(self.conv2(x, ei), dim=1)


n = 30
edge_index = torch.stack((randint(0, n, (80,)), randint(0, n, (80,))))
edge_index = torch.cat([edge_index, edge_index.flip(0)], dim=1)
edge_index = torch.unique(edge_index, dim=1)
x, y = randn(n, 6), randint(0, 3, (n,))
train_mask = torch.zeros(n, dtype=torch.bool)
train_mask[:20] = True
losses = []
for kind in ("gcn", "gat", "sage"):
    model = set_weights(Net(kind))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02, weight_decay=5e-4)
    for epoch in range(10):
        model.train()
        optimizer.zero_grad()
        out = model(x, edge_index)
        loss = F.nll_loss(out[train_mask], y[train_mask])
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    model.eval()
    with torch.no_grad():
        pred = model(x, edge_index).max(dim=1)[1]
        losses.append(pred[~train_mask].eq(y[~train_mask]).sum().item() / int((~train_mask).sum()))
batch = torch.tensor([0] * 10 + [1] * 12 + [2] * 8)
pooled = torch.zeros(3, 6).scatter_add(0, batch.view(-1, 1).expand(-1, 6), x)
counts = torch.bincount(batch, minlength=3).clamp(min=1).unsqueeze(1)
losses += (pooled / counts).flatten().tolist()
