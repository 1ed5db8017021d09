"""Grad-CAM: hooks keep what the last convolution makes and its gradient."""

import os
import tempfile

import torch
import torch.nn.functional as F
import torchvision.transforms.functional as TF
from course import set_weights
from pictures import folder_of_pictures
from torchvision import models
from torchvision.datasets import ImageFolder
from torchvision.io import read_image
from torchvision.transforms.functional import normalize, resize, to_pil_image
from torchvision.utils import save_image

root = tempfile.TemporaryDirectory()
folder_of_pictures(root.name, ("cat", "dog"), 11)
model = set_weights(models.squeezenet1_1(num_classes=5)).eval()
activations, gradients = {}, {}


def forward_hook(module, input, output):
    activations["value"] = output


def backward_hook(module, grad_input, grad_output):
    gradients["value"] = grad_output[0]


target_layer = model.features[-1]
handles = [
    target_layer.register_forward_hook(forward_hook),
    target_layer.register_full_backward_hook(backward_hook),
]
losses = []
for path, label in ImageFolder(root.name).samples[:21]:
    img = read_image(path)
    input_tensor = normalize(
        resize(img, [40, 40]) / 255.0, [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
    )
    logit = model(input_tensor.unsqueeze(0))
    score = logit[:, logit.max(1)[-1]].squeeze()
    model.zero_grad()
    score.backward()
    b, k, u, v = gradients["value"].size()
    weights = gradients["value"].view(b, k, -1).mean(2).view(b, k, 1, 1)
    saliency_map = F.relu((weights * activations["value"]).sum(1, keepdim=True))
    saliency_map = F.interpolate(saliency_map, size=(40, 40), mode="bilinear", align_corners=False)
    low, high = saliency_map.min(), saliency_map.max()
    saliency_map = ((saliency_map - low) / (high - low + 1e-8)).detach()
    losses += [score.item(), saliency_map.mean().item()]
for handle in handles:
    handle.remove()
heat = torch.cat([saliency_map[0], torch.zeros(1, 40, 40), 1 - saliency_map[0]])
overlay = 0.5 * TF.to_tensor(to_pil_image(resize(img, [40, 40]))) + 0.5 * heat
save_image(overlay, os.path.join(root.name, "cam.png"))
losses.append(overlay.mean().item())
root.cleanup()
