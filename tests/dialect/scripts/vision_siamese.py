"""A siamese network on pairs of pictures out of folders of persons."""

import random
import tempfile

import PIL.ImageOps
import torch
import torch.nn as nn
import torch.nn.functional as F
import torchvision
import torchvision.datasets as dset
import torchvision.transforms as transforms
from course import set_weights
from pictures import folder_of_pictures
from PIL import Image
from torch.utils.data import DataLoader, Dataset

root = tempfile.TemporaryDirectory()
folder_of_pictures(root.name, ("s1", "s2", "s3"), 4)


class SiameseNetworkDataset(Dataset):
    def __init__(self, imageFolderDataset, transform=None, should_invert=True):
        self.imageFolderDataset = imageFolderDataset
        self.transform = transform
        self.should_invert = should_invert
        self.random = random.Random(0)

    def __getitem__(self, index):
        img0_tuple = self.imageFolderDataset.imgs[index]
        should_get_same_class = index % 2
        while True:
            img1_tuple = self.random.choice(self.imageFolderDataset.imgs)
            if (img0_tuple[1] == img1_tuple[1]) == bool(should_get_same_class):
                break
        img0 = Image.open(img0_tuple[0]).convert("L")
        img1 = Image.open(img1_tuple[0]).convert("L")
        if self.should_invert:
            img0 = PIL.ImageOps.invert(img0)
            img1 = PIL.ImageOps.invert(img1)
        if self.transform is not None:
            img0 = self.transform(img0)
            img1 = self.transform(img1)
        different = float(img1_tuple[1] != img0_tuple[1])
        return img0, img1, torch.tensor([different], dtype=torch.float32)

    def __len__(self):
        return len(self.imageFolderDataset.imgs)


class SiameseNetwork(nn.Module):
    def __init__(self):
        super(SiameseNetwork, self).__init__()
        self.cnn1 = nn.Sequential(
            nn.ReflectionPad2d(1),
            nn.Conv2d(1, 4, kernel_size=3),
            nn.ReLU(inplace=True),
            nn.BatchNorm2d(4),
            nn.MaxPool2d(4),
        )
        self.fc1 = nn.Sequential(nn.Linear(4 * 25, 8), nn.ReLU(inplace=True), nn.Linear(8, 3))

    def forward_once(self, x):
        output = self.cnn1(x)
        return self.fc1(output.view(output.size()[0], -1))

    def forward(self, input1, input2):
        return self.forward_once(input1), self.forward_once(input2)


class ContrastiveLoss(torch.nn.Module):
    def __init__(self, margin=2.0):
        super(ContrastiveLoss, self).__init__()
        self.margin = margin

    def forward(self, output1, output2, label):
        distance = F.pairwise_distance(output1, output2, keepdim=True)
        return torch.mean(
            (1 - label) * torch.pow(distance, 2)
            + label * torch.pow(torch.clamp(self.margin - distance, min=0.0), 2)
        )


siamese_dataset = SiameseNetworkDataset(
    imageFolderDataset=dset.ImageFolder(root=root.name),
    transform=transforms.Compose([transforms.Resize((20, 20)), transforms.ToTensor()]),
    should_invert=False,
)
dataloader = DataLoader(siamese_dataset, shuffle=False, batch_size=6)
example_batch = next(iter(dataloader))
grid = torchvision.utils.make_grid(torch.cat((example_batch[0], example_batch[1]), 0))
net = set_weights(SiameseNetwork())
criterion = ContrastiveLoss()
optimizer = torch.optim.Adam(net.parameters(), lr=0.0005)
losses = [grid.mean().item()]
for epoch in range(10):
    for img0, img1, label in dataloader:
        optimizer.zero_grad()
        loss_contrastive = criterion(*net(img0, img1), label)
        loss_contrastive.backward()
        optimizer.step()
        losses.append(loss_contrastive.item())
root.cleanup()
