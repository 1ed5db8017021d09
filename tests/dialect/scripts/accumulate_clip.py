"""Gradients added up over small batches, clipped, in mixed precision that is none on a CPU."""

import torch
import torch.nn as nn
import torch.nn.functional as F
from course import randn, set_weights

torch.manual_seed(42)
if torch.cuda.is_available():
    torch.cuda.manual_seed_all(42)
    torch.backends.cudnn.deterministic = True
    torch.backends.cudnn.benchmark = False
device = torch.device("cuda:0" if torch.cuda.is_available() else "cpu")
accumulation_steps, max_norm = 4, 0.5

model = set_weights(
    nn.Sequential(
        nn.Linear(12, 32),
        nn.GELU(),
        nn.LayerNorm(32),
        nn.Linear(32, 32),
        nn.GELU(),
        nn.Linear(32, 3),
    )
).to(device)
no_decay = ["bias", "2.weight"]
groups = [
    {
        "params": [p for n, p in model.named_parameters() if not any(nd in n for nd in no_decay)],
        "weight_decay": 0.01,
    },
    {
        "params": [p for n, p in model.named_parameters() if any(nd in n for nd in no_decay)],
        "weight_decay": 0.0,
    },
]
optimizer = torch.optim.AdamW(groups, lr=5e-3)
use_amp = device.type == "cuda"
scaler = torch.amp.GradScaler("cuda", enabled=use_amp)
x = randn(80, 12).to(device, non_blocking=True)
y = x[:, :3].argmax(dim=-1)
losses, norms = [], []
optimizer.zero_grad()
for epoch in range(2):
    for i, (inputs, labels) in enumerate(zip(x.split(4), y.split(4))):
        with torch.autocast(device_type=device.type, enabled=use_amp):
            outputs = model(inputs)
            loss = F.cross_entropy(outputs, labels, label_smoothing=0.1) / accumulation_steps
        scaler.scale(loss).backward()
        losses.append(loss.item() * accumulation_steps)
        if (i + 1) % accumulation_steps == 0:
            scaler.unscale_(optimizer)
            norm = torch.nn.utils.clip_grad_norm_(model.parameters(), max_norm=max_norm)
            norms.append(float(norm))
            scaler.step(optimizer)
            scaler.update()
            optimizer.zero_grad(set_to_none=True)
losses += norms
vector = nn.utils.parameters_to_vector(model.parameters())
losses.append(vector.norm().item())
