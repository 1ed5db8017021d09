"""Linear regression with nothing but Tensors and backward."""

import torch
from course import randn

x_data = torch.linspace(-1, 1, 20).unsqueeze(1)
y_data = 3 * x_data + 2 + 0.1 * randn(20, 1)

w = torch.tensor([[0.5]], requires_grad=True)
b = torch.zeros(1, requires_grad=True)
lr = 0.1
losses = []
for epoch in range(20):
    y_pred = x_data.mm(w) + b
    loss = (y_pred - y_data).pow(2).mean()
    loss.backward()
    losses.append(loss.data.item())
    w.data -= lr * w.grad.data
    b.data = b.data - lr * b.grad.data
    w.grad.data.zero_()
    b.grad.zero_()
    print("progress:", epoch, loss.item(), w.item(), b.data[0])

# the same with no_grad, and the closed form
A = torch.cat([x_data, torch.ones_like(x_data)], dim=1)
closed = torch.inverse(A.t() @ A) @ A.t() @ y_data
for step in range(10):
    loss = ((torch.matmul(x_data, w) + b - y_data) ** 2).sum() / len(x_data)
    loss.backward()
    with torch.no_grad():
        w -= lr * w.grad
        b -= lr * b.grad
        w.grad = None
        b.grad = None
    losses.append(loss.item())
losses.append((closed.squeeze() - torch.stack([w.squeeze(), b.squeeze()])).abs().max().item())
