"""Pictures of a class that is asked for, with the old constructors of Tensors."""

import argparse
import itertools

import numpy as np
import torch
import torch.autograd as autograd
import torch.nn as nn
from course import rng, set_weights
from torch.autograd import Variable

losses = []
parser = argparse.ArgumentParser()
parser.add_argument("--latent_dim", type=int, default=10)
parser.add_argument("--n_classes", type=int, default=4)
opt = parser.parse_args([])
img_shape = (1, 8, 8)
cuda = True if torch.cuda.is_available() else False


class Generator(nn.Module):
    def __init__(self):
        super(Generator, self).__init__()
        self.label_emb = nn.Embedding(opt.n_classes, opt.n_classes)

        def block(in_feat, out_feat, normalize=True):
            layers = [nn.Linear(in_feat, out_feat)]
            if normalize:
                layers.append(nn.BatchNorm1d(out_feat, 0.8))
            layers.append(nn.LeakyReLU(0.2, inplace=True))
            return layers

        self.model = nn.Sequential(
            *block(opt.latent_dim + opt.n_classes, 16, normalize=False),
            *block(16, 32),
            nn.Linear(32, int(np.prod(img_shape))),
            nn.Tanh(),
        )

    def forward(self, noise, labels):
        gen_input = torch.cat((self.label_emb(labels), noise), -1)
        img = self.model(gen_input)
        img = img.view(img.size(0), *img_shape)
        return img


class Discriminator(nn.Module):
    def __init__(self):
        super(Discriminator, self).__init__()
        self.label_embedding = nn.Embedding(opt.n_classes, opt.n_classes)
        self.model = nn.Sequential(
            nn.Linear(opt.n_classes + int(np.prod(img_shape)), 32),
            nn.LeakyReLU(0.2, inplace=True),
            nn.Linear(32, 32),
            nn.Dropout(0.0),
            nn.LeakyReLU(0.2, inplace=True),
            nn.Linear(32, 1),
        )

    def forward(self, img, labels):
        d_in = torch.cat((img.view(img.size(0), -1), self.label_embedding(labels)), -1)
        return self.model(d_in)


adversarial_loss = torch.nn.MSELoss()
generator = Generator()
discriminator = Discriminator()
set_weights(generator)
set_weights(discriminator)
if cuda:
    generator.cuda()
    discriminator.cuda()
    adversarial_loss.cuda()
optimizer_G = torch.optim.Adam(generator.parameters(), lr=0.0002, betas=(0.5, 0.999))
optimizer_D = torch.optim.Adam(
    itertools.chain(discriminator.parameters()), lr=0.0002, betas=(0.5, 0.999)
)
FloatTensor = torch.cuda.FloatTensor if cuda else torch.FloatTensor
LongTensor = torch.cuda.LongTensor if cuda else torch.LongTensor
Tensor = FloatTensor
for epoch in range(12):
    imgs = torch.from_numpy(rng.rand(8, *img_shape))
    labels = torch.from_numpy(rng.randint(0, 4, 8))
    batch_size = imgs.shape[0]
    valid = Variable(FloatTensor(batch_size, 1).fill_(1.0), requires_grad=False)
    fake = Variable(Tensor(imgs.size(0), 1).fill_(0.0), requires_grad=False)
    real_imgs = Variable(imgs.type(FloatTensor))
    labels = Variable(labels.type(LongTensor))
    optimizer_G.zero_grad()
    z = Variable(FloatTensor(rng.normal(0, 1, (batch_size, opt.latent_dim))))
    gen_labels = Variable(LongTensor(rng.randint(0, opt.n_classes, batch_size)))
    gen_imgs = generator(z, gen_labels)
    validity = discriminator(gen_imgs, gen_labels)
    g_loss = adversarial_loss(validity, valid)
    g_loss.backward()
    optimizer_G.step()
    optimizer_D.zero_grad()
    d_real_loss = adversarial_loss(discriminator(real_imgs, labels), valid)
    d_fake_loss = adversarial_loss(discriminator(gen_imgs.detach(), gen_labels), fake)
    d_loss = (d_real_loss + d_fake_loss) / 2
    d_loss.backward()
    optimizer_D.step()
    alpha = Tensor(rng.random_sample((real_imgs.size(0), 1, 1, 1)))
    interpolates = (alpha * real_imgs.data + ((1 - alpha) * gen_imgs.data)).requires_grad_(True)
    d_interpolates = discriminator(interpolates, labels)
    gradients = autograd.grad(
        outputs=d_interpolates,
        inputs=interpolates,
        grad_outputs=Variable(Tensor(real_imgs.shape[0], 1).fill_(1.0), requires_grad=False),
        create_graph=True,
        retain_graph=True,
        only_inputs=True,
    )[0]
    gradients = gradients.view(gradients.size(0), -1)
    gp = ((gradients.norm(2, dim=1) - 1) ** 2).mean()
    for p in discriminator.parameters():
        p.data.clamp_(-0.5, 0.5)
    y_onehot = np.zeros((8, 4))
    y_onehot[range(8), rng.randint(0, 4, 8)] = 1
    oh = Variable(FloatTensor(y_onehot))
    d_acc = np.mean((validity.data.cpu().numpy() > 0.5).astype(float))
    print(
        "[Epoch %d] [D loss: %f, acc: %d%%] [G loss: %f]"
        % (epoch, d_loss.item(), 100 * d_acc, g_loss.item())
    )
    losses += [g_loss.item(), d_loss.item(), gp.item(), oh.sum().item()]
