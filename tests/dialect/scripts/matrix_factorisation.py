"""Who likes what: a table of ratings as a product of two thin ones."""

import torch
from course import rand, randint, set_weights
from torch import nn


class MatrixFactorization(torch.nn.Module):
    def __init__(self, n_users, n_items, n_factors=4):
        super().__init__()
        self.user_factors = torch.nn.Embedding(n_users, n_factors, sparse=False)
        self.item_factors = torch.nn.Embedding(n_items, n_factors)
        self.user_biases = torch.nn.Embedding(n_users, 1)
        self.item_biases = torch.nn.Embedding(n_items, 1)
        self.user_factors.weight.data.uniform_(0, 0.05)
        self.item_factors.weight.data.uniform_(0, 0.05)
        self.user_biases.weight.data.fill_(0.0)
        self.item_biases.weight.data.zero_()

    def forward(self, user, item):
        pred = self.user_biases(user) + self.item_biases(item)
        pred += (self.user_factors(user) * self.item_factors(item)).sum(dim=1, keepdim=True)
        return pred.squeeze()


n_users, n_items = 10, 12
users, items = randint(0, n_users, (120,)), randint(0, n_items, (120,))
ratings = 1 + 4 * torch.sigmoid((users % 3 - items % 4).float()) + 0.1 * rand(120)
model = set_weights(MatrixFactorization(n_users, n_items))
loss_func = torch.nn.MSELoss()
optimizer = torch.optim.Adagrad(model.parameters(), lr=0.3)
losses = []
for epoch in range(5):
    for i in range(0, 120, 24):
        prediction = model(users[i : i + 24], items[i : i + 24])
        l2 = sum(p.pow(2.0).sum() for p in model.parameters())
        loss = loss_func(prediction, ratings[i : i + 24]) + 1e-4 * l2
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
table = model.user_factors.weight @ model.item_factors.weight.T
best = torch.argsort(table, dim=1, descending=True)[:, :3]
print(best[0].tolist(), nn.functional.mse_loss(model(users, items), ratings).sqrt().item())
