"""Transfer to ants and bees: a frozen backbone, a new head, the best weights kept."""

import copy
import os
import tempfile

import torch
import torch.nn as nn
import torch.optim as optim
import torchvision
from course import set_weights
from pictures import folder_of_pictures
from torch.optim import lr_scheduler
from torchvision import datasets, models, transforms

root = tempfile.TemporaryDirectory()
for x in ("train", "val"):
    folder_of_pictures(os.path.join(root.name, x))
data_transforms = {
    x: transforms.Compose(
        [
            transforms.Resize(36),
            transforms.CenterCrop(32),
            transforms.ToTensor(),
            transforms.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]),
        ]
    )
    for x in ["train", "val"]
}
image_datasets = {
    x: datasets.ImageFolder(os.path.join(root.name, x), data_transforms[x])
    for x in ["train", "val"]
}
dataloaders = {
    x: torch.utils.data.DataLoader(image_datasets[x], batch_size=8) for x in ["train", "val"]
}
dataset_sizes = {x: len(image_datasets[x]) for x in ["train", "val"]}
class_names = image_datasets["train"].classes
inputs, classes = next(iter(dataloaders["train"]))
print(class_names, torchvision.utils.make_grid(inputs).shape)

model = set_weights(models.squeezenet1_1(weights=None))
for param in model.parameters():
    param.requires_grad = False
model.classifier[1] = set_weights(nn.Conv2d(512, len(class_names), kernel_size=1), 2)
model.classifier[0] = nn.Dropout(p=0.0)
model.num_classes = 2
criterion = nn.CrossEntropyLoss()
optimizer = optim.SGD(model.classifier[1].parameters(), lr=0.01, momentum=0.9)
scheduler = lr_scheduler.StepLR(optimizer, step_size=3, gamma=0.1)
losses, best_acc = [], 0.0
best = copy.deepcopy(model.state_dict())
for epoch in range(5):
    for phase in ["train", "val"]:
        model.train() if phase == "train" else model.eval()
        running_loss, running_corrects = 0.0, 0
        for inputs, labels in dataloaders[phase]:
            optimizer.zero_grad()
            with torch.set_grad_enabled(phase == "train"):
                outputs = model(inputs)
                _, preds = torch.max(outputs, 1)
                loss = criterion(outputs, labels)
                if phase == "train":
                    loss.backward()
                    optimizer.step()
            losses.append(loss.item())
            running_loss += loss.item() * inputs.size(0)
            running_corrects += torch.sum(preds == labels.data)
        if phase == "train":
            scheduler.step()
        epoch_acc = running_corrects.double() / dataset_sizes[phase]
        if phase == "val" and epoch_acc > best_acc:
            best_acc = epoch_acc
            best = copy.deepcopy(model.state_dict())
model.load_state_dict(best)
print(f"Best val Acc: {best_acc:4f}")
root.cleanup()
