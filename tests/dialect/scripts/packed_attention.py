"""Translation of sequences of several lengths, with masks over what is padded."""

import math
import random

import torch
import torch.nn as nn
import torch.nn.functional as F
import torch.optim as optim
from course import randint, set_weights

losses = []
SEED = 1234
random.seed(SEED)
torch.manual_seed(SEED)
torch.cuda.manual_seed(SEED)
torch.backends.cudnn.deterministic = True
device = torch.device("cuda" if torch.cuda.is_available() else "cpu")


class Encoder(nn.Module):
    def __init__(self, input_dim, emb_dim, enc_hid_dim, dec_hid_dim, dropout):
        super().__init__()
        self.embedding = nn.Embedding(input_dim, emb_dim)
        self.rnn = nn.GRU(emb_dim, enc_hid_dim, bidirectional=True)
        self.fc = nn.Linear(enc_hid_dim * 2, dec_hid_dim)
        self.dropout = nn.Dropout(dropout)

    def forward(self, src, src_len):
        embedded = self.dropout(self.embedding(src))
        packed = nn.utils.rnn.pack_padded_sequence(embedded, src_len.to("cpu"))
        packed_outputs, hidden = self.rnn(packed)
        outputs, _ = nn.utils.rnn.pad_packed_sequence(packed_outputs)
        hidden = torch.tanh(self.fc(torch.cat((hidden[-2, :, :], hidden[-1, :, :]), dim=1)))
        return outputs, hidden


class Attention(nn.Module):
    def __init__(self, e, d):
        super().__init__()
        self.attn = nn.Linear(e * 2 + d, d)
        self.v = nn.Linear(d, 1, bias=False)

    def forward(self, hidden, encoder_outputs, mask):
        batch_size = encoder_outputs.shape[1]
        src_len = encoder_outputs.shape[0]
        hidden = hidden.unsqueeze(1).repeat(1, src_len, 1)
        encoder_outputs = encoder_outputs.permute(1, 0, 2)
        energy = torch.tanh(self.attn(torch.cat((hidden, encoder_outputs), dim=2)))
        attention = self.v(energy).squeeze(2)
        attention = attention.masked_fill(mask == 0, -1e10)
        return F.softmax(attention, dim=1)


class Decoder(nn.Module):
    def __init__(self, o, e, eh, dh, dropout, attention):
        super().__init__()
        self.output_dim = o
        self.attention = attention
        self.embedding = nn.Embedding(o, e)
        self.rnn = nn.GRU(eh * 2 + e, dh)
        self.fc_out = nn.Linear(eh * 2 + dh + e, o)
        self.dropout = nn.Dropout(dropout)

    def forward(self, input, hidden, encoder_outputs, mask):
        input = input.unsqueeze(0)
        embedded = self.dropout(self.embedding(input))
        a = self.attention(hidden, encoder_outputs, mask).unsqueeze(1)
        weighted = torch.bmm(a, encoder_outputs.permute(1, 0, 2)).permute(1, 0, 2)
        output, hidden = self.rnn(torch.cat((embedded, weighted), dim=2), hidden.unsqueeze(0))
        assert (output == hidden).all()
        prediction = self.fc_out(
            torch.cat((output.squeeze(0), weighted.squeeze(0), embedded.squeeze(0)), dim=1)
        )
        return prediction, hidden.squeeze(0), a.squeeze(1)


class Seq2Seq(nn.Module):
    def __init__(self, enc, dec, pad, device):
        super().__init__()
        self.encoder = enc
        self.decoder = dec
        self.src_pad_idx = pad
        self.device = device

    def create_mask(self, src):
        return (src != self.src_pad_idx).permute(1, 0)

    def forward(self, src, src_len, trg, teacher_forcing_ratio=0.5):
        batch_size = src.shape[1]
        trg_len = trg.shape[0]
        V = self.decoder.output_dim
        outputs = torch.zeros(trg_len, batch_size, V).to(self.device)
        eo, hidden = self.encoder(src, src_len)
        input = trg[0, :]
        mask = self.create_mask(src)
        for t in range(1, trg_len):
            output, hidden, _ = self.decoder(input, hidden, eo, mask)
            outputs[t] = output
            teacher_force = random.random() < teacher_forcing_ratio
            top1 = output.argmax(1)
            input = trg[t] if teacher_force else top1
        return outputs


V = 9
model = Seq2Seq(Encoder(V, 6, 8, 8, 0.0), Decoder(V, 6, 8, 8, 0.0, Attention(8, 8)), 0, device).to(
    device
)


def init_weights(m):
    for name, param in m.named_parameters():
        if "weight" in name:
            nn.init.normal_(param.data, mean=0, std=0.01)
        else:
            nn.init.constant_(param.data, 0)


model.apply(init_weights)
set_weights(model)
optimizer = optim.Adam(model.parameters())
criterion = nn.CrossEntropyLoss(ignore_index=0)
model.train()
for i in range(20):
    src = randint(1, V, (6, 5))
    src_len = torch.tensor([6, 6, 5, 4, 3])
    for b, l in enumerate(src_len):
        src[l:, b] = 0
    trg = randint(1, V, (5, 5))
    optimizer.zero_grad()
    output = model(src, src_len, trg)
    od = output.shape[-1]
    output = output[1:].view(-1, od)
    t = trg[1:].view(-1)
    loss = criterion(output, t)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1)
    optimizer.step()
    losses.append(loss.item())
print(f"{math.exp(losses[-1]):7.3f}", sum(p.numel() for p in model.parameters() if p.requires_grad))


# transformer pieces
class MHA(nn.Module):
    def __init__(self, h, n, dev):
        super().__init__()
        self.hid_dim = h
        self.n_heads = n
        self.head_dim = h // n
        self.fc_q = nn.Linear(h, h)
        self.fc_k = nn.Linear(h, h)
        self.fc_v = nn.Linear(h, h)
        self.fc_o = nn.Linear(h, h)
        self.scale = torch.sqrt(torch.FloatTensor([self.head_dim])).to(dev)

    def forward(self, q, k, v, mask=None):
        B = q.shape[0]
        Q = self.fc_q(q).view(B, -1, self.n_heads, self.head_dim).permute(0, 2, 1, 3)
        K = self.fc_k(k).view(B, -1, self.n_heads, self.head_dim).permute(0, 2, 1, 3)
        Vv = self.fc_v(v).view(B, -1, self.n_heads, self.head_dim).permute(0, 2, 1, 3)
        energy = torch.matmul(Q, K.permute(0, 1, 3, 2)) / self.scale
        if mask is not None:
            energy = energy.masked_fill(mask == 0, -1e10)
        at = torch.softmax(energy, dim=-1)
        x = torch.matmul(at, Vv).permute(0, 2, 1, 3).contiguous().view(B, -1, self.hid_dim)
        return self.fc_o(x), at


m = set_weights(MHA(8, 2, device))
trg = randint(0, 3, (2, 4))
pad = (trg != 0).unsqueeze(1).unsqueeze(2)
sub = torch.tril(torch.ones((4, 4), device=device)).bool()
mask = pad & sub
pos = torch.arange(0, 4).unsqueeze(0).repeat(2, 1).to(device)
e = nn.Embedding(4, 8)
set_weights(e)
x = e(pos)
y, a = m(x, x, x, mask)
losses.append(y.abs().sum().item())
losses.append(a[0].max().item())
