"""Nodes of a graph learn from their neighbours."""

import math

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from course import randn, rng, set_weights
from torch.nn.parameter import Parameter


class GraphConvolution(nn.Module):
    def __init__(self, in_features, out_features, bias=True):
        super(GraphConvolution, self).__init__()
        self.in_features = in_features
        self.out_features = out_features
        self.weight = Parameter(torch.FloatTensor(in_features, out_features))
        if bias:
            self.bias = Parameter(torch.FloatTensor(out_features))
        else:
            self.register_parameter("bias", None)
        self.reset_parameters()

    def reset_parameters(self):
        stdv = 1.0 / math.sqrt(self.weight.size(1))
        self.weight.data.uniform_(-stdv, stdv)
        if self.bias is not None:
            self.bias.data.uniform_(-stdv, stdv)

    def forward(self, input, adj):
        support = torch.mm(input, self.weight)
        output = torch.mm(adj, support)
        if self.bias is not None:
            return output + self.bias
        else:
            return output

    def __repr__(self):
        return self.__class__.__name__ + f" ({self.in_features} -> {self.out_features})"


class GCN(nn.Module):
    def __init__(self, nfeat, nhid, nclass, dropout):
        super(GCN, self).__init__()
        self.gc1 = GraphConvolution(nfeat, nhid)
        self.gc2 = GraphConvolution(nhid, nclass)
        self.dropout = dropout

    def forward(self, x, adj):
        x = F.relu(self.gc1(x, adj))
        x = F.dropout(x, self.dropout, training=self.training)
        x = self.gc2(x, adj)
        return F.log_softmax(x, dim=1)


def accuracy(output, labels):
    preds = output.max(1)[1].type_as(labels)
    correct = preds.eq(labels).double()
    correct = correct.sum()
    return correct / len(labels)


labels = np.arange(24) // 8
edges = rng.rand(24, 24) < np.where(labels[:, None] == labels, 0.4, 0.05)
adj = (edges | edges.T | np.eye(24, dtype=bool)).astype(np.float32)
adj = torch.FloatTensor(adj / adj.sum(1, keepdims=True))
features = randn(24, 5) + 0.5 * F.one_hot(torch.LongTensor(labels), 5).float()
labels = torch.LongTensor(labels)
idx_train, idx_val = torch.LongTensor(range(0, 24, 2)), torch.LongTensor(range(1, 24, 2))
model = set_weights(GCN(5, 8, labels.max().item() + 1, dropout=0.0))
optimizer = torch.optim.Adam(model.parameters(), lr=0.02, weight_decay=5e-4)
losses = []
for epoch in range(22):
    model.train()
    optimizer.zero_grad()
    output = model(features, adj)
    loss_train = F.nll_loss(output[idx_train], labels[idx_train])
    acc_train = accuracy(output[idx_train], labels[idx_train])
    loss_train.backward()
    optimizer.step()
    model.eval()
    loss_val = F.nll_loss(output[idx_val], labels[idx_val])
    losses.append(loss_train.item())
    print(
        "Epoch: {:04d}".format(epoch + 1),
        "loss_val: {:.4f}".format(loss_val.item()),
        "acc: {:.4f}".format(acc_train.item()),
    )
losses.append(loss_val.item())
