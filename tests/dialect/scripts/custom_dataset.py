"""A Dataset of one's own, with transforms, a sampler, an iterable one, and a collate function."""

import torch
from course import rng, set_weights
from torch import nn
from torch.utils.data import (
    BatchSampler,
    ConcatDataset,
    DataLoader,
    Dataset,
    IterableDataset,
    Sampler,
    Subset,
    WeightedRandomSampler,
)


class Shapes(Dataset):
    """Pictures of squares and crosses, each with the place where it is."""

    def __init__(self, n, transform=None):
        self.n, self.transform = n, transform
        self.kinds = rng.randint(0, 2, n)
        self.places = rng.randint(1, 7, (n, 2))

    def __len__(self):
        return self.n

    def __getitem__(self, idx):
        if torch.is_tensor(idx):
            idx = idx.tolist()
        image = torch.zeros(1, 8, 8)
        r, c = self.places[idx]
        image[0, r - 1 : r + 2, c - 1 : c + 2] = 1.0
        if self.kinds[idx]:
            image[0, r - 1 : r + 2 : 2, c - 1 : c + 2 : 2] = 0.0
        sample = {
            "image": image,
            "kind": int(self.kinds[idx]),
            "place": torch.as_tensor(self.places[idx]),
        }
        return self.transform(sample) if self.transform else sample


class Normalize:
    def __init__(self, mean, std):
        self.mean, self.std = mean, std

    def __call__(self, sample):
        sample["image"] = (sample["image"] - self.mean) / self.std
        return sample


class Compose:
    def __init__(self, transforms):
        self.transforms = transforms

    def __call__(self, sample):
        for t in self.transforms:
            sample = t(sample)
        return sample


class EverySecond(Sampler):
    def __init__(self, data_source):
        self.data_source = data_source

    def __iter__(self):
        return iter([*range(0, len(self.data_source), 2), *range(1, len(self.data_source), 2)])

    def __len__(self):
        return len(self.data_source)


class Counting(IterableDataset):
    def __iter__(self):
        return iter(torch.arange(10.0))


def collate(batch):
    images = torch.stack([b["image"] for b in batch])
    kinds = torch.tensor([b["kind"] for b in batch])
    return images, kinds, torch.stack([b["place"] for b in batch]).float()


transform = Compose([Normalize(0.1, 0.3)])
whole = ConcatDataset([Shapes(40, transform), Shapes(20, transform)])
part = Subset(whole, list(range(48)))
loader = DataLoader(part, batch_size=8, sampler=EverySecond(part), collate_fn=collate)
by_batch = DataLoader(part, batch_sampler=BatchSampler(EverySecond(part), 12, drop_last=True))
assert [tuple(b["image"].shape) for b in by_batch] == [(12, 1, 8, 8)] * 4
assert [b.tolist() for b in DataLoader(Counting(), batch_size=4)][-1] == [8.0, 9.0]
sampler = WeightedRandomSampler([1.0] * 24 + [3.0] * 24, num_samples=10, replacement=True)
assert all(0 <= i < 48 for i in sampler)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(1, 6, 3), nn.ReLU(), nn.Flatten())
        self.kind = nn.Linear(6 * 36, 1)
        self.place = nn.Linear(6 * 36, 2)

    def forward(self, x):
        h = self.body(x)
        return self.kind(h).squeeze(-1), self.place(h)


net = set_weights(Net())
optimizer = torch.optim.Adam(net.parameters(), lr=2e-3)
losses = []
for epoch in range(4):
    for images, kinds, places in loader:
        kind, place = net(images)
        loss = nn.BCEWithLogitsLoss()(kind, kinds.float()) + 0.1 * nn.HuberLoss()(place, places)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
batch = next(iter(DataLoader(part, batch_size=5)))
print(batch["kind"], batch["place"].dtype)
