"""A perceptron on Fashion-MNIST, as the first lesson of many courses has it."""

import tempfile

import torch
from course import set_weights
from pictures import mnist_files
from torch import nn
from torch.utils.data import DataLoader
from torchvision import datasets
from torchvision.transforms import Lambda, ToTensor

root = tempfile.TemporaryDirectory()
mnist_files(root.name, "FashionMNIST", count=48)
one_hot = Lambda(lambda y: torch.zeros(10).scatter_(0, torch.tensor(y), value=1))
training_data = datasets.FashionMNIST(
    root=root.name, train=True, download=True, transform=ToTensor(), target_transform=one_hot
)
test_data = datasets.FashionMNIST(root=root.name, train=False, download=True, transform=ToTensor())
labels_map = {i: name for i, name in enumerate(training_data.classes)}


class NeuralNetwork(nn.Module):
    def __init__(self):
        super().__init__()
        self.flatten = nn.Flatten()
        self.linear_relu_stack = nn.Sequential(
            nn.Linear(28 * 28, 32), nn.ReLU(), nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 10)
        )

    def forward(self, x):
        return self.linear_relu_stack(self.flatten(x))


device = torch.accelerator.current_accelerator().type if torch.accelerator.is_available() else "cpu"
model = set_weights(NeuralNetwork()).to(device)
loss_fn = nn.CrossEntropyLoss()
optimizer = torch.optim.SGD(model.parameters(), lr=5e-2)
losses = []
for t in range(4):
    model.train()
    for X, y in DataLoader(training_data, batch_size=8):
        loss = loss_fn(model(X.to(device)), y.to(device))
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    model.eval()
    with torch.no_grad():
        X, y = next(iter(DataLoader(test_data, batch_size=10)))
        pred = model(X)
        losses.append(loss_fn(pred, y).item())
        print(f"Accuracy: {100 * (pred.argmax(1) == y).type(torch.float).mean().item():>0.1f}%")
print(f'Predicted: "{labels_map[pred[0].argmax().item()]}", Actual: "{labels_map[int(y[0])]}"')
root.cleanup()
