"""Where `backlit.torch` gives something else than PyTorch: the table of the guide's page.

Each row is code in PyTorch's words and what its last expression is in each of the two, as text;
tests ask both.
"""

from __future__ import annotations

from typing import NamedTuple


class Row(NamedTuple):
    """One difference: what it is about, code that shows it, what it gives there and here."""

    about: str
    code: str
    theirs: str
    ours: str


DIFFERENCES = (
    Row(
        "a part, or another shape, writes through as there",
        "x.view(-1)[0] = 9; x[1].zero_(); x.sum().item()",
        "14.0",
        "14.0",
    ),
    Row(
        "but does not see what becomes of the whole",
        "row = x[0]; x += 1; row.tolist()",
        "[2.0, 3.0, 4.0]",
        "[1.0, 2.0, 3.0]",
    ),
    Row(
        "what is cut off the tape writes through as there",
        "w.detach().zero_(); w.sum().item()",
        "0.0",
        "0.0",
    ),
    Row(
        "but does not see what becomes of it",
        "t = w.detach(); w.data.add_(1); t.sum().item()",
        "9.0",
        "6.0",
    ),
    Row(
        "nor does what `state_dict` gives",
        "m = torch.nn.Linear(1, 1); s = m.state_dict(); m.bias.data.fill_(4); "
        "s['bias'].item() == 4",
        "True",
        "False",
    ),
    Row(
        "a part that is on the tape must be held for what is cut off to reach it",
        "w[:2].detach().zero_(); w.sum().item()",
        "3.0",
        "6.0",
    ),
    Row(
        "a gradient that was taken stays when another is added",
        "w.sum().backward(); g = w.grad; w.sum().backward(); g.tolist()",
        "[2.0, 2.0, 2.0]",
        "[1.0, 1.0, 1.0]",
    ),
    Row(
        "an optimizer changes its own parameters only",
        "t = v.detach().requires_grad_(); t.sum().backward(); torch.optim.SGD([t], lr=1.0).step()\n"
        "v.sum().item()",
        "-1.0",
        "2.0",
    ),
    Row(
        "a Parameter has its own numbers",
        "t = torch.zeros(3); torch.nn.Parameter(t).data.fill_(1); t.sum().item()",
        "3.0",
        "0.0",
    ),
    Row(
        "`data` writes through as there",
        "w.data[0] = 5; w.data.mul_(2); w[0].item()",
        "10.0",
        "10.0",
    ),
    Row(
        "what it is set to is not shared",
        "t = torch.zeros(3); w.data = t; t += 1; w.sum().item()",
        "3.0",
        "0.0",
    ),
    Row(
        "nor is it what else has it",
        "t = torch.zeros(3); w.data = v; t.data = w.data; w.data.add_(1); (t + v).sum().item()",
        "10.0",
        "4.0",
    ),
    Row(
        "but what is taken out of it can be put back",
        "t = w.data; w.data = torch.zeros(3); w.data = t; t += 1; w.tolist()",
        "[2.0, 3.0, 4.0]",
        "[2.0, 3.0, 4.0]",
    ),
    Row(
        "what changes in place leaves an array alone",
        "n = np.ones(2); t = torch.from_numpy(n); t[0] = 5; float(n[0])",
        "5.0",
        "1.0",
    ),
    Row(
        "but shows what the array becomes",
        "n = np.ones(2); t = torch.from_numpy(n); n[0] = 5; t[0].item()",
        "5.0",
        "5.0",
    ),
    Row(
        "in place a Tensor keeps its number of elements",
        "x.unsqueeze_(0).resize_(7).shape",
        "torch.Size([7])",
        "ShapeError",
    ),
    Row("a shape is a tuple", "x.shape", "torch.Size([2, 3])", "(2, 3)"),
    Row(
        "so it holds numbers where sizes may stand, too; `x.size()` holds sizes",
        "torch.Tensor(x.shape).shape == torch.Tensor(x.size()).shape",
        "True",
        "False",
    ),
    Row("a dtype is NumPy's", "x.dtype", "torch.float32", "float32"),
    Row("and answers as NumPy's", "x.dtype.is_floating_point", "True", "AttributeError"),
    Row(
        "the number of elements is a number, and answers as a method",
        "x.size + 1",
        "TypeError",
        "7",
    ),
    Row(
        "NumPy's words mean what they do in NumPy", "type(x.max(axis=1)).__name__", "max", "Tensor"
    ),
    Row("slices may run backwards", "v[::-1].tolist()", "ValueError", "[3.0, -2.0, 1.0]"),
    Row(
        "the mean of whole numbers is floating",
        "torch.tensor([1, 2]).mean().item()",
        "RuntimeError",
        "1.5",
    ),
    Row(
        "a number that a dtype does not hold is refused",
        "(torch.ones(1, dtype=torch.uint8) + 300).item()",
        "45",
        "ArgumentError",
    ),
    Row(
        "whoever asks for the numbers gets them",
        "w.numpy().tolist()",
        "RuntimeError",
        "[1.0, 2.0, 3.0]",
    ),
    Row(
        "whose array cannot be written to; `x.numpy().copy()` can",
        "n = v.numpy(); n[0] = 5; v[0].item()",
        "5.0",
        "ValueError",
    ),
    Row("a shape has no `numel`; `x.numel()` has it", "x.shape.numel()", "6", "AttributeError"),
    Row(
        "where a generator stands is a dict",
        "type(torch.get_rng_state()).__name__",
        "Tensor",
        "dict",
    ),
    Row(
        "an array times a Tensor is the Tensor's product",
        "(np.ones(3) * w).requires_grad",
        "TypeError",
        "True",
    ),
    Row(
        "what is on the tape is not pickled",
        "import pickle; pickle.loads(pickle.dumps(2 * w)).tolist()",
        "[2.0, 4.0, 6.0]",
        "GradientError",
    ),
    Row(
        "a node of the tape has its op's name", "(2 * w).grad_fn.name()", "MulBackward0", "multiply"
    ),
    Row("there are no complex numbers", "torch.tensor(1 + 2j).real.item()", "1.0", "DTypeError"),
    Row("there is one device", "torch.ones(1, device='meta').device.type", "meta", "ArgumentError"),
    Row("RuntimeErrors have names that say of what", "x @ x", "RuntimeError", "ShapeError"),
    Row(
        "sorting is always stable",
        "torch.sort(torch.zeros(40))[1].equal(torch.arange(40))",
        "up to the processor",
        "True",
    ),
    Row(
        "of equal elements `topk` takes the first",
        "torch.topk(torch.ones(8), 2)[1].tolist()",
        "up to the processor",
        "[0, 1]",
    ),
    Row(
        "where an index repeats, what stays alone gets the gradient",
        "torch.zeros(2).scatter(0, torch.tensor([0, 0]), w[:2]).sum().backward(); w.grad.tolist()",
        "[1.0, 1.0, 0.0]",
        "[0.0, 1.0, 0.0]",
    ),
    Row(
        "also where windows that overlap are put back",
        "y = torch.nn.functional.max_unpool1d(w[None, :2], torch.tensor([[0, 0]]), 2)\n"
        "y.sum().backward()\nw.grad.tolist()",
        "[1.0, 1.0, 0.0]",
        "[0.0, 1.0, 0.0]",
    ),
    Row(
        "the triangle that is not read has no gradient",
        "t = torch.eye(2).requires_grad_(); torch.cholesky_solve(v[:2, None], t).sum().backward()\n"
        "t.grad.tolist()",
        "[[-2.0, 1.0], [1.0, 4.0]]",
        "[[-2.0, 0.0], [1.0, 4.0]]",
    ),
    Row(
        "CTC's gradient is that of its formula, without what a `log_softmax` before it takes away",
        "t, one = torch.zeros(1, 1, 2).requires_grad_(), torch.tensor([1])\n"
        "torch.nn.functional.ctc_loss(t, one[None], one, one).backward()\nt.grad.tolist()",
        "[[[1.0, 0.0]]]",
        "[[[0.0, -1.0]]]",
    ),
    Row(
        "`Muon` turns matrices in their own dtype, not in bfloat16",
        "t = x.clone().requires_grad_(); o = torch.optim.Muon([t], lr=1.0, weight_decay=0.0)\n"
        "(t * t).sum().backward(); o.step()\nround(t[0, 0].item(), 4)",
        "1.5625",
        "1.5683",
    ),
    Row(
        "no triangle of a matrix is left out without a word",
        "torch.linalg.cholesky(torch.tensor([[4.0, 9.0], [0.0, 9.0]])).tolist()",
        "[[2.0, 0.0], [0.0, 3.0]]",
        "ArgumentError",
    ),
    Row(
        "a whole number takes no fraction",
        "torch.tensor([0, 0]).scatter(0, torch.tensor([0]), 2.5).tolist()",
        "[2, 0]",
        "DTypeError",
    ),
    Row(
        "the gradient of a running sum of exponentials is right at -∞",
        "y = torch.tensor([-np.inf, 1.0], requires_grad=True)\n"
        "torch.logcumsumexp(y, 0).sum().backward()\ny.grad.tolist()",
        "[nan, 1.0]",
        "[1.0, 1.0]",
    ),
    Row(
        "a seed gives other numbers",
        "torch.manual_seed(0); round(torch.rand(1).item(), 3)",
        "0.496",
        "0.035",
    ),
    Row(
        "a stream comes once, however many workers there are",
        "S = type('S', (torch.utils.data.IterableDataset,), {'__iter__': lambda s: iter([1, 2])})\n"
        "two = {'num_workers': 2, 'multiprocessing_context': 'fork'}\n"
        "sorted(map(int, torch.utils.data.DataLoader(S(), **two)))",
        "[1, 1, 2, 2]",
        "[1, 2]",
    ),
    Row(
        "what NumPy draws in a dataset leaves the script's numbers alone",
        "D = type('D', (), {'__len__': lambda d: 1, '__getitem__': lambda *_: np.random.rand()})\n"
        "np.random.seed(0); list(torch.utils.data.DataLoader(D()))\nround(np.random.rand(), 3)",
        "0.715",
        "0.549",
    ),
    Row(
        "in a block of `autocast` recurrent layers compute in float32",
        "with torch.autocast('cpu'): y = torch.nn.RNN(3, 2)(x)[0]\ny.dtype.itemsize",
        "2",
        "4",
    ),
    Row(
        "`torch.jit.script` gives the function back",
        "torch.jit.script(torch.nn.ReLU()).__class__.__name__",
        "RecursiveScriptModule",
        "ReLU",
    ),
)
