"""Low-rank adapters by parametrisation of a small GPT, trained alone, saved, and merged."""

import io
import math

import torch
import torch.nn as nn
import torch.nn.functional as F
import torch.nn.utils.parametrize as parametrize
from course import randint, randn, set_weights


class LoRAParametrization(nn.Module):
    def __init__(self, fin, fout, rank=1, lora_dropout_p=0.0, lora_alpha=1):
        super().__init__()
        self.lora_A = nn.Parameter(
            nn.init.kaiming_uniform_(torch.zeros((rank, fin)), a=math.sqrt(5))
        )
        self.lora_B = nn.Parameter(torch.zeros((fout, rank)))
        self.lora_alpha, self.rank = lora_alpha, rank
        self.scaling = lora_alpha / rank
        self.lora_dropout = nn.Dropout(p=lora_dropout_p) if lora_dropout_p > 0 else lambda x: x
        self.register_buffer("lora_dropout_mask", torch.ones((1, fin), dtype=self.lora_A.dtype))
        self.forward_fn = self.lora_forward

    def lora_forward(self, X):
        return (
            X
            + torch.mm(self.lora_B, self.lora_A * self.lora_dropout(self.lora_dropout_mask)).view(
                X.shape
            )
            * self.scaling
        )

    def forward(self, X):
        return self.forward_fn(X)

    @classmethod
    def from_linear(cls, layer, rank=2, lora_alpha=4):
        fan_out, fan_in = layer.weight.shape
        return cls(fan_in, fan_out, rank=rank, lora_alpha=lora_alpha)


class CausalSelfAttention(nn.Module):
    def __init__(self, n_embd=16, n_head=2, block_size=8):
        super().__init__()
        self.c_attn, self.c_proj = nn.Linear(n_embd, 3 * n_embd), nn.Linear(n_embd, n_embd)
        self.n_head, self.n_embd = n_head, n_embd
        self.register_buffer(
            "bias",
            torch.tril(torch.ones(block_size, block_size)).view(1, 1, block_size, block_size),
        )

    def forward(self, x):
        B, T, C = x.size()
        q, k, v = self.c_attn(x).split(self.n_embd, dim=2)
        k, q, v = (t.view(B, T, self.n_head, C // self.n_head).transpose(1, 2) for t in (k, q, v))
        att = (q @ k.transpose(-2, -1)) * (1.0 / math.sqrt(k.size(-1)))
        att = att.masked_fill(self.bias[:, :, :T, :T] == 0, float("-inf"))
        y = F.softmax(att, dim=-1) @ v
        return self.c_proj(y.transpose(1, 2).contiguous().view(B, T, C))


class GPT(nn.Module):
    def __init__(self, V=11):
        super().__init__()
        self.transformer = nn.ModuleDict(
            dict(
                wte=nn.Embedding(V, 16),
                wpe=nn.Embedding(8, 16),
                h=nn.ModuleList(
                    [
                        nn.ModuleDict(
                            dict(
                                ln_1=nn.LayerNorm(16),
                                attn=CausalSelfAttention(),
                                ln_2=nn.LayerNorm(16),
                                mlp=nn.Sequential(nn.Linear(16, 32), nn.GELU(), nn.Linear(32, 16)),
                            )
                        )
                        for _ in range(2)
                    ]
                ),
                ln_f=nn.LayerNorm(16),
            )
        )
        self.lm_head = nn.Linear(16, V, bias=False)

    def forward(self, idx, targets=None):
        x = self.transformer.wte(idx) + self.transformer.wpe(
            torch.arange(0, idx.size(1), dtype=torch.long, device=idx.device).unsqueeze(0)
        )
        for b in self.transformer.h:
            x = x + b["attn"](b["ln_1"](x))
            x = x + b["mlp"](b["ln_2"](x))
        logits = self.lm_head(self.transformer.ln_f(x))
        return logits, F.cross_entropy(
            logits.view(-1, logits.size(-1)), targets.view(-1), ignore_index=-1
        )


losses = []
model = set_weights(GPT())
x = randint(0, 11, (4, 8))
y = torch.roll(x, -1, 1)
y[:, -1] = -1
opt = torch.optim.AdamW(model.parameters(), lr=1e-2, weight_decay=0.1)
for _ in range(6):
    _, loss = model(x, y)
    opt.zero_grad(set_to_none=True)
    loss.backward()
    opt.step()
    losses.append(loss.item())
base = {k: v.clone() for k, v in model.state_dict().items()}


def add_lora(layer):
    if isinstance(layer, nn.Linear):
        parametrize.register_parametrization(
            layer, "weight", LoRAParametrization.from_linear(layer)
        )


model.apply(add_lora)
g = 0
for name, p in model.named_parameters():
    if "lora_" in name:
        if "lora_A" in name:
            p.data.copy_(randn(*p.shape) * 0.1)
    else:
        p.requires_grad_(False)
lora = [p for n, p in model.named_parameters() if n.endswith(("lora_A", "lora_B"))]
print(sum(p.numel() for p in lora), sum(p.numel() for p in model.parameters() if p.requires_grad))
opt = torch.optim.AdamW([{"params": lora}], lr=2e-2)
y2 = randint(0, 11, (4, 8))
scheduler = torch.optim.lr_scheduler.LambdaLR(opt, lr_lambda=lambda s: min(1.0, (s + 1) / 4))
for _ in range(12):
    _, loss = model(x, y2)
    opt.zero_grad()
    loss.backward()
    opt.step()
    scheduler.step()
    losses.append(loss.item())
sd = {k: v for k, v in model.state_dict().items() if "lora_" in k and "mask" not in k}
losses.append(float(len(sd)))
buf = io.BytesIO()
torch.save(sd, buf)
buf.seek(0)
again = torch.load(buf)
losses += [again[k].abs().sum().item() for k in sorted(again)][:3]
with torch.no_grad():
    before = model(x, y2)[1].item()
for m in model.modules():
    if hasattr(m, "parametrizations"):
        parametrize.remove_parametrizations(m, "weight", leave_parametrized=True)
after = model(x, y2)[1].item()
losses += [before, after]
missing = model.load_state_dict(base, strict=True)
losses.append(model(x, y)[1].item())
