"""Neural transfer of a style: the layers of a network are gone through one by one."""

import io

import torch
import torch.nn as nn
import torch.nn.functional as F
import torchvision.transforms as transforms
from course import set_weights
from pictures import patterns
from PIL import Image
from torchvision.models import squeezenet1_1

imsize = 16
loader = transforms.Compose([transforms.Resize((imsize, imsize)), transforms.ToTensor()])


def image_loader(picture):
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "PNG")
    return loader(Image.open(file)).unsqueeze(0).to(torch.float)


pictures, _ = patterns(2, 2, 40, 3)
style_img, content_img = image_loader(pictures[0]), image_loader(pictures[1])
assert style_img.size() == content_img.size()


class ContentLoss(nn.Module):
    def __init__(self, target):
        super(ContentLoss, self).__init__()
        self.target = target.detach()

    def forward(self, input):
        self.loss = F.mse_loss(input, self.target)
        return input


def gram_matrix(input):
    a, b, c, d = input.size()
    features = input.view(a * b, c * d)
    return torch.mm(features, features.t()).div(a * b * c * d)


class StyleLoss(nn.Module):
    def __init__(self, target_feature):
        super(StyleLoss, self).__init__()
        self.target = gram_matrix(target_feature).detach()

    def forward(self, input):
        self.loss = F.mse_loss(gram_matrix(input), self.target)
        return input


first = list(squeezenet1_1(weights=None).features.children())[:3]
cnn = set_weights(nn.Sequential(*first, nn.Conv2d(64, 16, 3, padding=1), nn.ReLU())).eval()


class Normalization(nn.Module):
    def __init__(self, mean, std):
        super(Normalization, self).__init__()
        self.mean = torch.tensor(mean).view(-1, 1, 1)
        self.std = torch.tensor(std).view(-1, 1, 1)

    def forward(self, img):
        return (img - self.mean) / self.std


model = nn.Sequential(Normalization([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]))
content_losses, style_losses, i = [], [], 0
for layer in cnn.children():
    if isinstance(layer, nn.Conv2d):
        i += 1
        name = f"conv_{i}"
    elif isinstance(layer, nn.ReLU):
        name = f"relu_{i}"
        layer = nn.ReLU(inplace=False)
    elif isinstance(layer, nn.MaxPool2d):
        name = f"pool_{i}"
    model.add_module(name, layer)
    if name == "conv_2":
        content_loss = ContentLoss(model(content_img).detach())
        model.add_module(f"content_loss_{i}", content_loss)
        content_losses.append(content_loss)
    if isinstance(layer, nn.Conv2d):
        style_loss = StyleLoss(model(style_img).detach())
        model.add_module(f"style_loss_{i}", style_loss)
        style_losses.append(style_loss)

input_img = content_img.clone()
input_img.requires_grad_(True)
model.eval()
model.requires_grad_(False)
optimizer = torch.optim.Adam([input_img], lr=0.02)
losses = []
for run in range(20):
    with torch.no_grad():
        input_img.clamp_(0, 1)
    optimizer.zero_grad()
    model(input_img)
    style_score = sum(sl.loss for sl in style_losses)
    content_score = sum(cl.loss for cl in content_losses)
    loss = 100 * style_score + content_score
    loss.backward()
    optimizer.step()
    losses.append(loss.item())
with torch.no_grad():
    input_img.clamp_(0, 1)
unloader = transforms.ToPILImage()
print(unloader(input_img.detach().cpu().clone().squeeze(0)).size)
