"""A small network learns from a large one, and a moving average of it is kept."""

import copy

import torch
import torch.nn as nn
import torch.nn.functional as F
from course import randn, set_weights


class DeepNN(nn.Module):
    def __init__(self, width, num_classes=4):
        super(DeepNN, self).__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, width, kernel_size=3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(kernel_size=2, stride=2),
        )
        self.classifier = nn.Sequential(
            nn.Linear(width * 9, 16), nn.ReLU(), nn.Dropout(0.0), nn.Linear(16, num_classes)
        )

    def forward(self, x):
        x = self.features(x)
        x = torch.flatten(x, 1)
        return self.classifier(x)


x = randn(48, 1, 6, 6)
y = F.adaptive_avg_pool2d(x, 2).flatten(1).argmax(1)
losses = []
teacher = set_weights(DeepNN(8))
optimizer = torch.optim.Adam(teacher.parameters(), lr=0.01)
teacher.train()
for _ in range(10):
    optimizer.zero_grad()
    loss = F.cross_entropy(teacher(x), y)
    loss.backward()
    optimizer.step()
    losses.append(loss.item())

T, soft_target_loss_weight, ce_loss_weight = 2, 0.25, 0.75
student = set_weights(DeepNN(2), seed=2)
average = copy.deepcopy(student)
ce_loss = nn.CrossEntropyLoss()
optimizer = torch.optim.Adam(student.parameters(), lr=0.01)
teacher.eval()
student.train()
for _ in range(12):
    optimizer.zero_grad()
    with torch.no_grad():
        teacher_logits = teacher(x)
    student_logits = student(x)
    soft_targets = nn.functional.softmax(teacher_logits / T, dim=-1)
    soft_prob = nn.functional.log_softmax(student_logits / T, dim=-1)
    by_hand = (
        torch.sum(soft_targets * (soft_targets.log() - soft_prob)) / soft_prob.size()[0] * T**2
    )
    soft_targets_loss = F.kl_div(soft_prob, soft_targets, reduction="batchmean") * T**2
    assert torch.allclose(by_hand, soft_targets_loss, atol=1e-5)
    label_loss = ce_loss(student_logits, y)
    loss = soft_target_loss_weight * soft_targets_loss + ce_loss_weight * label_loss
    loss.backward()
    optimizer.step()
    losses.append(loss.item())
    with torch.no_grad():
        for ema, p in zip(average.parameters(), student.parameters()):
            ema.mul_(0.9).add_(p, alpha=0.1)
average.eval()
losses.append(ce_loss(average(x), y).item())
