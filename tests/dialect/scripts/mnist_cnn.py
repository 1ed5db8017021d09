"""A small convolutional network on pictures of bars, with log_softmax and a step schedule."""

import argparse

import torch
import torch.nn as nn
import torch.nn.functional as F
import torch.optim as optim
from course import randint, randn, set_weights
from torch.optim.lr_scheduler import StepLR


class Net(nn.Module):
    def __init__(self):
        super(Net, self).__init__()
        self.conv1 = nn.Conv2d(1, 8, 3, 1)
        self.conv2 = nn.Conv2d(8, 16, 3, 1)
        self.dropout1 = nn.Dropout(0.0)
        self.fc1 = nn.Linear(16 * 4 * 4, 32)
        self.fc2 = nn.Linear(32, 10)

    def forward(self, x):
        x = self.conv1(x)
        x = F.relu(x)
        x = self.conv2(x)
        x = F.relu(x)
        x = F.max_pool2d(x, 2)
        x = self.dropout1(x)
        x = torch.flatten(x, 1)
        x = self.fc1(x)
        x = F.relu(x)
        x = self.fc2(x)
        return F.log_softmax(x, dim=1)


def bars(n):
    target = randint(0, 10, n)
    data = 0.3 * randn(n, 1, 12, 12)
    for i in range(n):
        data[i, 0, int(target[i])] += 2.0
    return data, target


def train(args, model, device, data, target, optimizer, epoch):
    model.train()
    for batch_idx in range(0, len(data), args.batch_size):
        x = data[batch_idx : batch_idx + args.batch_size].to(device)
        y = target[batch_idx : batch_idx + args.batch_size].to(device)
        optimizer.zero_grad()
        output = model(x)
        loss = F.nll_loss(output, y)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())


def test(model, device, data, target):
    model.eval()
    with torch.no_grad():
        output = model(data.to(device))
        test_loss = F.nll_loss(output, target, reduction="sum").item()
        pred = output.argmax(dim=1, keepdim=True)
        correct = pred.eq(target.view_as(pred)).sum().item()
    print("Average loss: {:.4f}, Accuracy: {}/{}".format(test_loss / len(data), correct, len(data)))
    losses.append(test_loss / len(data))


losses = []
parser = argparse.ArgumentParser(description="bars")
parser.add_argument("--batch-size", type=int, default=16)
parser.add_argument("--epochs", type=int, default=2)
parser.add_argument("--lr", type=float, default=0.5)
parser.add_argument("--gamma", type=float, default=0.7)
parser.add_argument("--no-cuda", action="store_true", default=False)
args = parser.parse_args([])
use_cuda = not args.no_cuda and torch.cuda.is_available()
torch.manual_seed(1)
device = torch.device("cuda" if use_cuda else "cpu")

data, target = bars(200)
model = set_weights(Net()).to(device)
optimizer = optim.Adadelta(model.parameters(), lr=args.lr)
scheduler = StepLR(optimizer, step_size=1, gamma=args.gamma)
for epoch in range(1, args.epochs + 1):
    train(args, model, device, data[:160], target[:160], optimizer, epoch)
    test(model, device, data[160:], target[160:])
    scheduler.step()
