"""A detector's targets, loss and suppression, as they are written by hand on masks and indices."""

import torch
import torch.nn as nn
from course import rand, randint, randn, set_weights

GRID, CLASSES = 4, 3
ANCHORS = torch.FloatTensor([(1.0, 1.0), (2.0, 1.5)])


def corners(boxes):
    out = boxes.new(boxes.shape)
    out[..., 0] = boxes[..., 0] - boxes[..., 2] / 2
    out[..., 1] = boxes[..., 1] - boxes[..., 3] / 2
    out[..., 2] = boxes[..., 0] + boxes[..., 2] / 2
    out[..., 3] = boxes[..., 1] + boxes[..., 3] / 2
    return out


def jaccard(a, b):
    A, B = a.size(0), b.size(0)
    high = torch.min(a[:, 2:].unsqueeze(1).expand(A, B, 2), b[:, 2:].unsqueeze(0).expand(A, B, 2))
    low = torch.max(a[:, :2].unsqueeze(1).expand(A, B, 2), b[:, :2].unsqueeze(0).expand(A, B, 2))
    inter = torch.clamp(high - low, min=0).prod(2)
    area_a = ((a[:, 2] - a[:, 0]) * (a[:, 3] - a[:, 1])).unsqueeze(1).expand_as(inter)
    area_b = ((b[:, 2] - b[:, 0]) * (b[:, 3] - b[:, 1])).unsqueeze(0).expand_as(inter)
    return inter / (area_a + area_b - inter)


def build_targets(target, n):
    has = torch.BoolTensor(n, 2, GRID, GRID).fill_(False)
    free = torch.BoolTensor(n, 2, GRID, GRID).fill_(True)
    places = torch.FloatTensor(n, 2, GRID, GRID, 4).fill_(0)
    kinds = torch.FloatTensor(n, 2, GRID, GRID, CLASSES).fill_(0)
    scaled = target[:, 2:6] * GRID
    gxy, gwh = scaled[:, :2], scaled[:, 2:]
    shared = torch.min(ANCHORS[:, None], gwh).prod(-1)
    overlap = shared / (ANCHORS.prod(1)[:, None] + gwh.prod(1) - shared)
    _, best = overlap.max(0)
    b, labels = target[:, :2].long().t()
    gi, gj = gxy.long().t()
    has[b, best, gj, gi] = 1
    free[b, best, gj, gi] = 0
    for i, row in enumerate(overlap.t()):
        free[b[i], row > 0.5, gj[i], gi[i]] = 0
    places[b, best, gj, gi, :2] = gxy - gxy.floor()
    places[b, best, gj, gi, 2:] = torch.log(gwh / ANCHORS[best] + 1e-16)
    kinds[b, best, gj, gi, labels] = 1
    return has, free, places, kinds


class Head(nn.Module):
    def __init__(self):
        super(Head, self).__init__()
        self.body = nn.Sequential(
            nn.Conv2d(3, 8, 3, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(8),
            nn.LeakyReLU(0.1, inplace=True),
        )
        self.out = nn.Conv2d(8, 2 * (5 + CLASSES), 1)

    def forward(self, x):
        y = self.out(self.body(x))
        return y.view(x.size(0), 2, 5 + CLASSES, GRID, GRID).permute(0, 1, 3, 4, 2).contiguous()

    def __repr__(self):
        return self.__class__.__name__ + " (" + str(CLASSES) + " classes)"


model = set_weights(nn.Sequential(Head())).to(memory_format=torch.channels_last)
assert "(0): Head (3 classes)" in repr(model)
optimizer = torch.optim.SGD(model.parameters(), lr=0.02, momentum=0.9)
mse, bce = nn.MSELoss(), nn.BCELoss()
losses = []
for step in range(20):
    images = randn(2, 3, 8, 8).to(memory_format=torch.channels_last)
    boxes = torch.cat([rand(5, 2) * 0.98, rand(5, 2) * 0.4 + 0.1], 1)
    target = torch.cat([randint(0, 2, (5, 1)), randint(0, CLASSES, (5, 1)), boxes], 1)
    has, free, places, kinds = build_targets(target, 2)
    found = model(images)
    xy, wh = torch.sigmoid(found[..., :2]), found[..., 2:4]
    sure, classes = torch.sigmoid(found[..., 4]), torch.sigmoid(found[..., 5:])
    loss = mse(xy[has], places[..., :2][has]) + mse(wh[has], places[..., 2:][has])
    loss += bce(sure[has], has.float()[has]) + 10 * bce(sure[free], has.float()[free])
    loss += bce(classes[has.float() == 1], kinds[has])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    losses.append(loss.item())

# priors to truths, hard negatives
priors, truths = corners(rand(12, 4).clamp_(0.1, 0.9)), corners(rand(3, 4))
overlaps = jaccard(truths, priors)
_, best_prior = overlaps.max(1, keepdim=True)
best_overlap, best_truth = overlaps.max(0, keepdim=True)
best_truth.squeeze_(0), best_overlap.squeeze_(0), best_prior.squeeze_(1)
best_overlap.index_fill_(0, best_prior, 2)
for j in range(best_prior.size(0)):
    best_truth[best_prior[j]] = j
wanted = torch.tensor([1, 2, 1])[best_truth] + 1
wanted[best_overlap < 0.5] = 0
scores = randn(1, 12, 4)
positive = (wanted > 0).unsqueeze(0)
cost = scores.logsumexp(-1) - scores.gather(2, wanted.view(1, -1, 1)).squeeze(-1)
cost[positive] = 0
_, order = cost.sort(1, descending=True)
_, rank = order.sort(1)
count = torch.clamp(3 * positive.long().sum(1, keepdim=True), max=positive.size(1) - 1)
chosen = (positive + (rank < count.expand_as(rank))).gt(0)
losses.append(nn.functional.cross_entropy(scores[chosen], wanted.unsqueeze(0)[chosen]).item())

# suppression
idx = scores[0, :, 1].sort(0)[1]
while idx.numel() > 0:
    i = idx[-1]
    idx = idx[:-1]
    left = priors[:, 0].new()
    torch.index_select(priors[:, 0], 0, idx, out=left)
    losses.append(priors[i].sum().item() + left.sum().item())
    idx = idx[jaccard(priors[i].view(1, 4), priors[idx])[0].le(0.3)]
