"""Adversarial examples by the sign of the gradient, for several strengths."""

import tempfile

import torch
import torch.nn as nn
import torch.nn.functional as F
import torch.optim as optim
from course import set_weights
from pictures import mnist_files
from torchvision import datasets, transforms

epsilons = [0, 0.05, 0.1, 0.15, 0.2]
root = tempfile.TemporaryDirectory()
mnist_files(root.name, count=40)


class Net(nn.Module):
    def __init__(self):
        super(Net, self).__init__()
        self.conv1 = nn.Conv2d(1, 4, 5, stride=2)
        self.conv2 = nn.Conv2d(4, 8, 3, stride=2)
        self.fc = nn.Linear(8 * 5 * 5, 10)

    def forward(self, x):
        x = F.relu(self.conv1(x))
        x = F.relu(self.conv2(x))
        return F.log_softmax(self.fc(x.flatten(1)), dim=1)


transform = transforms.Compose([transforms.ToTensor(), transforms.Normalize((0.1307,), (0.3081,))])
train_loader = torch.utils.data.DataLoader(
    datasets.MNIST(root.name, train=True, transform=transform), batch_size=8
)
test_loader = torch.utils.data.DataLoader(
    datasets.MNIST(root.name, train=False, transform=transform), batch_size=1
)
model = set_weights(Net())
optimizer = optim.SGD(model.parameters(), lr=0.05)
losses = []
for epoch in range(4):
    for data, target in train_loader:
        optimizer.zero_grad()
        loss = F.nll_loss(model(data), target)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
model.eval()


def fgsm_attack(image, epsilon, data_grad):
    sign_data_grad = data_grad.sign()
    perturbed_image = image + epsilon * sign_data_grad
    return torch.clamp(perturbed_image, 0, 1)


def denorm(batch, mean=[0.1307], std=[0.3081]):
    mean, std = torch.tensor(mean), torch.tensor(std)
    return batch * std.view(1, -1, 1, 1) + mean.view(1, -1, 1, 1)


def test(model, test_loader, epsilon):
    correct, total, adv_examples = 0, 0.0, []
    for data, target in test_loader:
        data.requires_grad = True
        output = model(data)
        init_pred = output.max(1, keepdim=True)[1]
        loss = F.nll_loss(output, target)
        model.zero_grad()
        loss.backward()
        data_grad = data.grad.data
        perturbed_data = fgsm_attack(denorm(data), epsilon, data_grad)
        perturbed_data_normalized = transforms.Normalize((0.1307,), (0.3081,))(
            perturbed_data.detach()
        )
        output = model(perturbed_data_normalized)
        total += F.nll_loss(output, target).item()
        final_pred = output.max(1, keepdim=True)[1]
        if final_pred.item() == target.item():
            correct += 1
        elif len(adv_examples) < 5:
            adv_ex = perturbed_data.squeeze().detach().cpu().numpy()
            adv_examples.append((init_pred.item(), final_pred.item(), adv_ex))
    print(f"Epsilon: {epsilon}\tTest Accuracy = {correct} / {len(test_loader)}")
    return total / len(test_loader)


losses += [test(model, test_loader, eps) for eps in epsilons]
root.cleanup()
