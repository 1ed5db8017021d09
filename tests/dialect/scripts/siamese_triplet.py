"""A network that places what is alike close together."""

import torch
import torch.nn as nn
import torch.nn.functional as F
from course import randint, randn, set_weights


class SiameseNetwork(nn.Module):
    def __init__(self):
        super().__init__()
        self.cnn = nn.Sequential(
            nn.ReflectionPad2d(1),
            nn.Conv2d(1, 4, kernel_size=3),
            nn.ReLU(inplace=True),
            nn.BatchNorm2d(4),
            nn.AdaptiveAvgPool2d((3, 3)),
        )
        self.fc = nn.Sequential(nn.Linear(4 * 3 * 3, 8), nn.PReLU(), nn.Linear(8, 2))

    def forward_once(self, x):
        output = self.cnn(x)
        output = output.view(output.size()[0], -1)
        return F.normalize(self.fc(output), p=2, dim=1)

    def forward(self, *inputs):
        return [self.forward_once(x) for x in inputs]


class ContrastiveLoss(torch.nn.Module):
    def __init__(self, margin=1.0):
        super().__init__()
        self.margin = margin

    def forward(self, output1, output2, label):
        distance = F.pairwise_distance(output1, output2, keepdim=True)
        return torch.mean(
            (1 - label) * torch.pow(distance, 2)
            + label * torch.pow(torch.clamp(self.margin - distance, min=0.0), 2)
        )


prototypes = randn(3, 1, 6, 6)


def pictures(classes):
    return prototypes[classes] + 0.3 * randn(len(classes), 1, 6, 6)


net = set_weights(SiameseNetwork())
triplet = nn.TripletMarginLoss(margin=0.5, p=2)
contrastive = ContrastiveLoss()
optimizer = torch.optim.Adam(net.parameters(), lr=0.01)
losses = []
for step in range(20):
    same = randint(0, 3, 12)
    other = (same + randint(1, 3, 12)) % 3
    anchor, positive, negative = net(pictures(same), pictures(same), pictures(other))
    loss = triplet(anchor, positive, negative)
    loss = loss + contrastive(anchor, negative, torch.ones(12, 1))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    losses.append(loss.item())
distances = torch.cdist(anchor.detach(), positive.detach())
print(distances.argmin(1).tolist(), F.cosine_similarity(anchor, positive).mean().item())
