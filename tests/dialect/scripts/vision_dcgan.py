"""A DCGAN on a folder of pictures, of which grids are saved."""

import os
import tempfile

import numpy as np
import torch
import torch.nn as nn
import torchvision.datasets as dset
import torchvision.transforms as transforms
import torchvision.utils as vutils
from course import randn, set_weights
from pictures import folder_of_pictures
from PIL import Image

root = tempfile.TemporaryDirectory()
folder_of_pictures(os.path.join(root.name, "celeba"), ("faces",), 24)
image_size, nz, ngf, ndf = 16, 6, 4, 4
dataset = dset.ImageFolder(
    root=os.path.join(root.name, "celeba"),
    transform=transforms.Compose(
        [
            transforms.Resize(image_size),
            transforms.CenterCrop(image_size),
            transforms.ToTensor(),
            transforms.Normalize((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
        ]
    ),
)
dataloader = torch.utils.data.DataLoader(dataset, batch_size=8, shuffle=False)
netG = nn.Sequential(
    nn.ConvTranspose2d(nz, ngf * 2, 4, 1, 0, bias=False),
    nn.BatchNorm2d(ngf * 2),
    nn.ReLU(True),
    nn.ConvTranspose2d(ngf * 2, ngf, 4, 2, 1, bias=False),
    nn.BatchNorm2d(ngf),
    nn.ReLU(True),
    nn.ConvTranspose2d(ngf, 3, 4, 2, 1, bias=False),
    nn.Tanh(),
)
netD = nn.Sequential(
    nn.Conv2d(3, ndf, 4, 2, 1, bias=False),
    nn.LeakyReLU(0.2, inplace=True),
    nn.Conv2d(ndf, ndf * 2, 4, 2, 1, bias=False),
    nn.BatchNorm2d(ndf * 2),
    nn.LeakyReLU(0.2, inplace=True),
    nn.Conv2d(ndf * 2, 1, 4, 1, 0, bias=False),
    nn.Sigmoid(),
)
set_weights(netG, 1)
set_weights(netD, 2)
criterion = nn.BCELoss()
fixed_noise = randn(9, nz, 1, 1)
real_label, fake_label = 1.0, 0.0
optimizerD = torch.optim.Adam(netD.parameters(), lr=0.0002, betas=(0.5, 0.999))
optimizerG = torch.optim.Adam(netG.parameters(), lr=0.0002, betas=(0.5, 0.999))
losses, img_list = [], []
for epoch in range(4):
    for i, data in enumerate(dataloader, 0):
        netD.zero_grad()
        real_cpu = data[0]
        b_size = real_cpu.size(0)
        label = torch.full((b_size,), real_label, dtype=torch.float)
        errD_real = criterion(netD(real_cpu).view(-1), label)
        errD_real.backward()
        fake = netG(randn(b_size, nz, 1, 1))
        label.fill_(fake_label)
        errD_fake = criterion(netD(fake.detach()).view(-1), label)
        errD_fake.backward()
        errD = errD_real + errD_fake
        optimizerD.step()
        netG.zero_grad()
        label.fill_(real_label)
        errG = criterion(netD(fake).view(-1), label)
        errG.backward()
        optimizerG.step()
        losses += [errD.item(), errG.item()]
    with torch.no_grad():
        fake = netG(fixed_noise).detach().cpu()
    img_list.append(vutils.make_grid(fake, nrow=3, padding=2, normalize=True))
    vutils.save_image(fake, os.path.join(root.name, f"fake_{epoch}.png"), nrow=3, normalize=True)
losses += [grid.mean().item() for grid in img_list]
saved = np.asarray(Image.open(os.path.join(root.name, "fake_3.png")))
losses.append(saved.mean() / 255)
print(np.transpose(img_list[-1].numpy(), (1, 2, 0)).shape, saved.shape)
root.cleanup()
