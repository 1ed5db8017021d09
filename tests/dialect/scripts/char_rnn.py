"""A network that writes letter by letter, and smaller lessons."""

import os
import tempfile
from collections import OrderedDict

import numpy as np
import torch
import torch.nn.functional as F
from course import randn, rng, set_weights
from torch import nn, optim

losses = []
PATH = os.path.join(tempfile.mkdtemp(), "ckpt.pt")
text = "the quick brown fox jumps over the lazy dog " * 8
chars = tuple(sorted(set(text)))
int2char = dict(enumerate(chars))
char2int = {ch: ii for ii, ch in int2char.items()}
encoded = np.array([char2int[ch] for ch in text])


def one_hot_encode(arr, n_labels):
    one_hot = np.zeros((arr.size, n_labels), dtype=np.float32)
    one_hot[np.arange(one_hot.shape[0]), arr.flatten()] = 1.0
    return one_hot.reshape((*arr.shape, n_labels))


def get_batches(arr, batch_size, seq_length):
    n = len(arr) // (batch_size * seq_length)
    arr = arr[: n * batch_size * seq_length].reshape((batch_size, -1))
    for i in range(0, arr.shape[1], seq_length):
        x = arr[:, i : i + seq_length]
        y = np.zeros_like(x)
        try:
            y[:, :-1], y[:, -1] = x[:, 1:], arr[:, i + seq_length]
        except IndexError:
            y[:, :-1], y[:, -1] = x[:, 1:], arr[:, 0]
        yield x, y


train_on_gpu = torch.cuda.is_available()


class CharRNN(nn.Module):
    def __init__(self, tokens, n_hidden=12, n_layers=2, drop_prob=0.0, lr=0.001):
        super().__init__()
        self.chars = tokens
        self.n_layers = n_layers
        self.n_hidden = n_hidden
        self.lstm = nn.LSTM(
            len(self.chars), n_hidden, n_layers, dropout=drop_prob, batch_first=True
        )
        self.dropout = nn.Dropout(drop_prob)
        self.fc = nn.Linear(n_hidden, len(self.chars))

    def forward(self, x, hidden):
        r, hidden = self.lstm(x, hidden)
        out = self.dropout(r)
        out = out.contiguous().view(-1, self.n_hidden)
        return self.fc(out), hidden

    def init_hidden(self, b):
        weight = next(self.parameters()).data
        if train_on_gpu:
            return None
        return (
            weight.new(self.n_layers, b, self.n_hidden).zero_(),
            weight.new(self.n_layers, b, self.n_hidden).zero_(),
        )


net = set_weights(CharRNN(chars))
opt = torch.optim.Adam(net.parameters(), lr=0.01)
criterion = nn.CrossEntropyLoss()
for e in range(2):
    h = net.init_hidden(4)
    for x, y in get_batches(encoded, 4, 8):
        x = one_hot_encode(x, len(chars))
        inputs, targets = torch.from_numpy(x), torch.from_numpy(y)
        h = tuple([each.data for each in h])
        net.zero_grad()
        output, h = net(inputs, h)
        loss = criterion(output, targets.view(4 * 8).long())
        loss.backward()
        nn.utils.clip_grad_norm_(net.parameters(), 5)
        opt.step()
        losses.append(loss.item())
x = torch.from_numpy(one_hot_encode(np.array([[3]]), len(chars)))
h = net.init_hidden(1)
out, h = net(x, h)
p = F.softmax(out, dim=1).data
p, top_ch = p.topk(5)
top_ch = top_ch.numpy().squeeze()
p = p.numpy().squeeze()
losses.append(float(p.sum()))
assert top_ch.shape == (5,)
model = nn.Sequential(
    OrderedDict(
        [
            ("fc1", nn.Linear(10, 8)),
            ("relu1", nn.ReLU()),
            ("output", nn.Linear(8, 4)),
            ("softmax", nn.LogSoftmax(dim=1)),
        ]
    )
)
set_weights(model)
print(model[0], model.fc1.weight.shape, model)
criterion = nn.NLLLoss()
optimizer = optim.SGD(model.parameters(), lr=0.003)
images, labels = randn(16, 10), torch.from_numpy(rng.randint(0, 4, 16))
for e in range(5):
    logps = model(images)
    loss = criterion(logps, labels)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    losses.append(loss.item())
with torch.no_grad():
    ps = torch.exp(model(images))
    top_p, top_class = ps.topk(1, dim=1)
    equals = top_class == labels.view(*top_class.shape)
    accuracy = torch.mean(equals.type(torch.FloatTensor))
    losses.append(accuracy.item())
print(model.fc1.weight.grad[:1, :2], model.fc1.weight.dtype)
features = torch.randn((1, 5))
weights = torch.randn_like(features)
y = torch.sigmoid(torch.sum(features * weights) + torch.mm(features, weights.view(5, 1)))
model.fc1.bias.data.fill_(0)
model.fc1.weight.data.normal_(std=0.01)


class ImageNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 4, 3, padding=1)
        self.pool = nn.MaxPool2d(2, 2)
        self.fc1 = nn.Linear(4 * 4 * 4, 10)
        self.dropout = nn.Dropout(0.0)

    def forward(self, x):
        x = self.pool(F.relu(self.conv1(x)))
        x = x.view(-1, 4 * 4 * 4)
        return self.fc1(self.dropout(x))


m = set_weights(ImageNet())
class_correct = list(0.0 for i in range(10))
out = m(randn(6, 3, 8, 8))
_, pred = torch.max(out, 1)
correct_tensor = pred.eq(labels[:6].data.view_as(pred))
correct = np.squeeze(correct_tensor.numpy()) if not train_on_gpu else 0
for i in range(6):
    class_correct[labels.data[i]] += correct[i].item()
losses.append(float(sum(class_correct)))
weight = m.conv1.weight.data.numpy()
losses.append(float(weight.sum()))
checkpoint = {
    "input_size": 10,
    "hidden_layers": [each.out_features for each in [model.fc1]],
    "state_dict": model.state_dict(),
}
torch.save(checkpoint, PATH)
c = torch.load(PATH)
model.load_state_dict(c["state_dict"])


# style transfer bits
def gram_matrix(tensor):
    b, d, h, w = tensor.size()
    tensor = tensor.view(d, h * w)
    return torch.mm(tensor, tensor.t())


t = randn(1, 3, 4, 4)
target = t.clone().requires_grad_(True).to("cpu")
L = torch.mean((gram_matrix(target) - gram_matrix(randn(1, 3, 4, 4))) ** 2)
L.backward()
losses.append(target.grad.abs().sum().item())
