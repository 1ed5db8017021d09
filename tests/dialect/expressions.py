"""Expressions in PyTorch's words, each with what it is (`->`) in NumPy's words or in numbers.

The names are: torch, F; x = [[1, 2, 3], [4, 5, 6]], v = [1, -2, 3], i = [0, 2], b = [T, F, T],
n = [[3, 1, 2], [9, 7, 8]] of int64, c of shape (2, 3, 4); X, V, I, B, N, C are NumPy's of them.
"""

SETUP = """
x = torch.tensor([[1., 2., 3.], [4., 5., 6.]])
v = torch.tensor([1., -2., 3.])
i = torch.tensor([0, 2])
b = torch.tensor([True, False, True])
n = torch.tensor([[3, 1, 2], [9, 7, 8]])
c = torch.arange(24.).reshape(2, 3, 4)
"""

EXPRESSIONS = """
x.size() -> np.shape(X)
isinstance(x.shape, torch.Size) -> True
x.size().numel() -> 6
torch.Tensor(x.size()).zero_() -> 0 * X
torch.Tensor((2, 3)) -> [2, 3]
isinstance((2, 'a'), torch.Size) or isinstance([2], torch.Size) -> False
f'{n.sum()} {v[0]} {b[0]} {v[2] / 4}' -> '30 1.0 True 0.75'
b.clone() -> B
x.new(x.shape).shape -> [2, 3]
x.new(x.size()).shape -> [2, 3]
x.new([2, 3]) -> [2, 3]
x.new(v.size()).dtype == x.dtype -> True
torch.index_select(v, 0, i, out=v.new()) -> V[I]
torch.add(x, 1, out=torch.empty(0)) -> X + 1
list(reversed(v))[0] -> V[-1]
list(reversed(x))[0] -> X[1]
torch.nn.Linear(2, 2).type(torch.DoubleTensor).weight.dtype == torch.float64 -> True
torch.nn.Linear(2, 2).type('torch.DoubleTensor').bias.dtype == torch.float64 -> True
torch.nn.Linear(2, 2).to(memory_format=torch.channels_last).bias.shape -> [2]
torch.poisson(0 * x) -> 0 * X
(torch.poisson(x.new_full((1000,), 4.)).mean() - 4).abs() < 0.5 -> True
torch.clone(b) -> B
n.clone(memory_format=torch.preserve_format) -> N
v[(v > 0).byte()] -> V[V > 0]
x[:, b.byte()] -> X[:, B]
x[(x > 2).byte()] -> X[X > 2]
v[torch.tensor(1, dtype=torch.uint8)] -> V[None]
x.size(0) -> 2
x.size(-1) -> 3
x.dim() -> 2
x.numel() -> 6
x.nelement() * x.element_size() -> 24
x.stride() -> (3, 1)
x.is_contiguous() -> True
x.is_floating_point() -> True
n.is_floating_point() -> False
x.device.type -> 'cpu'
len(x) -> 2
x.view(3, 2) -> X.reshape(3, 2)
x.view(-1) -> X.ravel()
x.view((3, 2)) -> X.reshape(3, 2)
x.view(x.size(0), -1) -> X
x.view_as(x.view(3, 2)) -> X.reshape(3, 2)
x.reshape(3, -1) -> X.reshape(3, 2)
torch.reshape(x, (3, 2)) -> X.reshape(3, 2)
x.unsqueeze(1) -> X[:, None]
x.unsqueeze(dim=-1) -> X[..., None]
torch.unsqueeze(x, 0) -> X[None]
x[None].squeeze() -> X
x[None].squeeze(0) -> X
x[None].squeeze(dim=0) -> X
torch.squeeze(x[None]) -> X
torch.squeeze(x, 0) -> X
x.permute(1, 0) -> X.T
x.permute((1, 0)) -> X.T
c.permute(2, 0, 1) -> C.transpose(2, 0, 1)
torch.permute(c, (0, 2, 1)) -> C.transpose(0, 2, 1)
c.transpose(0, 2) -> C.swapaxes(0, 2)
c.transpose(-1, -2) -> C.swapaxes(1, 2)
c.transpose(1, 2).contiguous() -> C.swapaxes(1, 2)
torch.transpose(x, 0, 1) -> X.T
x.transpose(dim0=0, dim1=1) -> X.T
x.t() -> X.T
x.T -> X.T
c.mT -> C.swapaxes(1, 2)
x.swapaxes(0, 1) -> X.T
torch.movedim(c, 0, 2) -> np.moveaxis(C, 0, 2)
v.expand(2, 3) -> np.stack([V, V])
v.expand(2, -1) -> np.stack([V, V])
v.expand_as(x) -> np.stack([V, V])
torch.broadcast_to(v, (2, 3)) -> np.stack([V, V])
x.repeat(1, 2, 1) -> np.tile(X, (1, 2, 1))
torch.tile(v, (2,)) -> np.tile(V, 2)
v.tile(2) -> np.tile(V, 2)
v.repeat_interleave(2) -> np.repeat(V, 2)
x.repeat_interleave(2, dim=0) -> np.repeat(X, 2, 0)
x.flatten() -> X.ravel()
c.flatten(1) -> C.reshape(2, 12)
c.flatten(start_dim=1) -> C.reshape(2, 12)
c.flatten(0, 1) -> C.reshape(6, 4)
torch.flatten(c, 1, 2) -> C.reshape(2, 12)
x.unflatten(1, (3, 1)) -> X[..., None]
x.ravel() -> X.ravel()
torch.cat([x, x], dim=1) -> np.concatenate([X, X], 1)
torch.cat((x, x), 0) -> np.concatenate([X, X])
torch.cat((x, x), -1) -> np.concatenate([X, X], -1)
torch.cat([torch.tensor([]), v]) -> V
torch.concat([v, v]) -> np.concatenate([V, V])
torch.stack([v, v], dim=1) -> np.stack([V, V], 1)
torch.stack((v, v)) -> np.stack([V, V])
x.chunk(2, dim=1)[1] -> X[:, 2:]
torch.chunk(x, 2)[0] -> X[:1]
x.split(2, dim=1)[0] -> X[:, :2]
x.split([1, 2], dim=1)[1] -> X[:, 1:]
torch.split(v, 2)[1] -> V[2:]
x.unbind(0)[1] -> X[1]
torch.unbind(x, dim=1)[2] -> X[:, 2]
x.narrow(1, 1, 2) -> X[:, 1:]
x.select(1, 0) -> X[:, 0]
torch.flip(x, dims=[0, 1]) -> X[::-1, ::-1]
x.flip(0) -> X[::-1]
x.flip([1]) -> X[:, ::-1]
torch.roll(x, 1, 0) -> np.roll(X, 1, 0)
torch.roll(v, shifts=1) -> np.roll(V, 1)
x.roll(1, dims=1) -> np.roll(X, 1, 1)
torch.tril(torch.ones(3, 3)) -> np.tri(3)
torch.ones(3, 3).triu(1) -> np.triu(np.ones((3, 3)), 1)
torch.triu(torch.ones(3, 3), diagonal=1) -> np.triu(np.ones((3, 3)), 1)
v.unfold(0, 2, 1) -> [[1, -2], [-2, 3]]
x.exp() -> np.exp(X)
x.log() -> np.log(X)
x.sqrt() -> np.sqrt(X)
x.sin() + x.cos() -> np.sin(X) + np.cos(X)
v.abs() -> np.abs(V)
v.neg() -> -V
v.sign() -> np.sign(V)
v.floor().ceil().round().trunc() -> V
torch.round(x / 7, decimals=2) -> np.round(X / 7, 2)
x.pow(2) -> X ** 2
torch.pow(2, x) -> 2 ** X
x.square() -> X * X
x.reciprocal() -> 1 / X
v.sigmoid() -> 1 / (1 + np.exp(-V))
torch.sigmoid(v) -> 1 / (1 + np.exp(-V))
v.tanh() -> np.tanh(V)
v.relu() -> np.maximum(V, 0)
torch.relu(v) -> np.maximum(V, 0)
F.relu(v) -> np.maximum(V, 0)
v.softmax(0) -> np.exp(V) / np.exp(V).sum()
v.softmax(dim=0) -> np.exp(V) / np.exp(V).sum()
torch.softmax(v, dim=0) -> np.exp(V) / np.exp(V).sum()
torch.softmax(x, -1) -> np.exp(X) / np.exp(X).sum(-1, keepdims=True)
v.log_softmax(-1) -> V - np.log(np.exp(V).sum())
x.add(1) -> X + 1
x.add(x, alpha=2) -> 3 * X
torch.add(x, x, alpha=2) -> 3 * X
torch.sub(x, 1) -> X - 1
x.mul(2) -> 2 * X
x.div(2) -> X / 2
torch.div(n, 2, rounding_mode='floor') -> N // 2
torch.div(-n, 2, rounding_mode='trunc') -> -(N // 2)
n.div(2) -> N / 2
x // 2 -> X // 2
x % 2 -> X % 2
torch.remainder(x, 2) -> X % 2
torch.true_divide(x, 2) -> X / 2
torch.maximum(x, 7 - x) -> np.maximum(X, 7 - X)
torch.clamp(v, 0, 1) -> np.clip(V, 0, 1)
torch.clamp(v, min=0) -> np.maximum(V, 0)
v.clamp(max=0) -> np.minimum(V, 0)
v.clip(0, 1) -> np.clip(V, 0, 1)
v.clamp_min(0) -> np.maximum(V, 0)
v.eq(1) -> (V == 1)
v.ne(v) -> (V != V)
v.gt(0) -> (V > 0)
v.ge(1) -> (V >= 1)
v.lt(0) -> (V < 0)
torch.le(v, 1) -> (V <= 1)
torch.eq(v, v) -> (V == V)
torch.equal(v, v) -> True
torch.equal(v, x) -> False
(v == v).all() -> True
torch.all(v > 0) -> False
torch.any(v > 0) -> True
b.any() -> True
~b -> ~B
b & (v > 0) -> B & (V > 0)
torch.logical_and(b, v > 0) -> B & (V > 0)
torch.isnan(v) -> np.isnan(V)
torch.isinf(v).any() -> False
x.sum() -> X.sum()
x.sum(0) -> X.sum(0)
x.sum(dim=1, keepdim=True) -> X.sum(1, keepdims=True)
x.sum(1, True) -> X.sum(1, keepdims=True)
x.sum((0, 1)) -> X.sum()
torch.sum(x, dim=(0, 1)) -> X.sum()
torch.sum(x, [0]) -> X.sum(0)
torch.sum(x, axis=0) -> X.sum(0)
torch.sum(input=x, dim=0) -> X.sum(0)
x.mean() -> X.mean()
x.mean(1) -> X.mean(1)
x.mean(dim=[0, 1]) -> X.mean()
x.mean(-1, keepdim=True) -> X.mean(-1, keepdims=True)
torch.mean(n, dtype=torch.float32) -> N.mean()
torch.prod(v) -> V.prod()
torch.var(v) -> V.var(ddof=1)
torch.std(v) -> V.std(ddof=1)
torch.var(x, dim=1) -> X.var(1, ddof=1)
torch.var(x, 1, unbiased=False) -> X.var(1)
torch.std(x, 0, keepdim=True) -> X.std(0, ddof=1, keepdims=True)
torch.var(x, unbiased=False) -> X.var()
torch.std(x, False) -> X.std()
x.std(dim=0) -> X.std(0, ddof=1)
x.std(dim=0, unbiased=False) -> X.std(0)
x.var(dim=1, correction=0) -> X.var(1)
torch.var_mean(v)[1] -> V.mean()
x.max() -> X.max()
torch.max(x) -> X.max()
torch.max(x, 1)[0] -> X.max(1)
torch.max(x, 1)[1] -> X.argmax(1)
torch.max(x, dim=0).indices -> X.argmax(0)
torch.max(x, 1, keepdim=True)[0] -> X.max(1, keepdims=True)
torch.max(x, 7 - x) -> np.maximum(X, 7 - X)
torch.min(x, dim=1).values -> X.min(1)
x.max(dim=1)[1] -> X.argmax(1)
x.min(dim=0, keepdim=True).values -> X.min(0, keepdims=True)
x.max(1, keepdim=True)[1] -> X.argmax(1)[:, None]
x.amax(1) -> X.max(1)
x.amax(dim=(0, 1)) -> X.max()
torch.amin(x, 0) -> X.min(0)
x.argmax() -> X.argmax()
x.argmax(1) -> X.argmax(1)
x.argmax(dim=1, keepdim=True) -> X.argmax(1)[:, None]
torch.argmin(v) -> V.argmin()
v.sort(descending=True)[0] -> np.sort(V)[::-1]
torch.sort(v).values -> np.sort(V)
torch.sort(v, 0, True)[1] -> np.argsort(-V)
n.sort(dim=0, descending=True).indices -> np.argsort(-N, 0)
v.argsort() -> V.argsort()
torch.argsort(v, descending=True) -> np.argsort(-V)
v.cumsum(0) -> V.cumsum()
x.cumsum(dim=1) -> X.cumsum(1)
torch.cumprod(v, 0) -> V.cumprod()
torch.logsumexp(x, 1) -> np.log(np.exp(X).sum(1))
x.norm() -> np.linalg.norm(X)
x.norm(dim=1) -> np.linalg.norm(X, axis=1)
x.norm(2, 1) -> np.linalg.norm(X, axis=1)
x.norm(p=1) -> np.abs(X).sum()
torch.norm(x, p=2, dim=1, keepdim=True) -> np.linalg.norm(X, axis=1, keepdims=True)
torch.linalg.norm(v) -> np.linalg.norm(V)
torch.linalg.norm(x, dim=1) -> np.linalg.norm(X, axis=1)
torch.linalg.vector_norm(x, 1, dim=0) -> np.abs(X).sum(0)
torch.linalg.matrix_norm(x) -> np.linalg.norm(X)
torch.dist(v, -v) -> np.linalg.norm(2 * V)
x @ x.T -> X @ X.T
x.matmul(x.t()) -> X @ X.T
torch.matmul(x, v) -> X @ V
torch.mm(x, x.t()) -> X @ X.T
x.mm(x.t()) -> X @ X.T
torch.bmm(c, c.transpose(1, 2)) -> C @ C.swapaxes(1, 2)
c.bmm(c.mT) -> C @ C.swapaxes(1, 2)
torch.mv(x, v) -> X @ V
v.dot(v) -> V @ V
torch.dot(v, v) -> V @ V
torch.outer(v, v) -> np.outer(V, V)
torch.inner(v, v) -> V @ V
torch.addmm(torch.ones(2, 2), x, x.t(), beta=2) -> 2 + X @ X.T
torch.einsum('ij,kj->ik', x, x) -> X @ X.T
torch.tensordot(x, x, dims=([1], [1])) -> X @ X.T
torch.gather(x, 1, torch.tensor([[0], [2]])) -> [[1], [6]]
x.gather(1, torch.tensor([[0, 0], [2, 1]])) -> [[1, 1], [6, 5]]
x.gather(dim=0, index=torch.tensor([[1, 0]])) -> [[4, 2]]
torch.take_along_dim(x, torch.tensor([[0], [2]]), 1) -> [[1], [6]]
torch.take(x, torch.tensor([0, 5])) -> [1, 6]
torch.where(v > 0, v, torch.zeros(3)) -> np.where(V > 0, V, 0)
torch.where(v > 0, v, 0.) -> np.where(V > 0, V, 0)
torch.where(v > 0)[0] -> np.nonzero(V > 0)[0]
v.where(v > 0, torch.tensor(0.)) -> np.where(V > 0, V, 0)
torch.nonzero(v > 0) -> [[0], [2]]
torch.nonzero(v > 0, as_tuple=True)[0] -> [0, 2]
(v > 0).nonzero(as_tuple=False) -> [[0], [2]]
x[:, i] -> X[:, I]
x[x > 2] -> X[X > 2]
x[0, -1] -> 3
x[..., None].shape -> (2, 3, 1)
x[b[:2]] -> X[B[:2]]
x.float().double().dtype -> torch.float64
x.long() -> X.astype(int)
x.int().dtype -> torch.int32
x.half().dtype -> torch.float16
x.bool() -> X.astype(bool)
x.to(torch.float64).dtype -> torch.double
x.to('cpu') -> X
x.to(torch.device('cpu'), torch.int64) -> X
x.to(n).dtype -> torch.long
x.to(device='cpu', dtype=torch.float16, non_blocking=True).dtype -> torch.half
x.type(torch.int32).dtype -> torch.int
x.type(torch.LongTensor).dtype -> torch.int64
x.double().type(torch.Tensor).dtype -> torch.float32
x.type() -> 'torch.FloatTensor'
n.type_as(x).dtype -> torch.float
x.cpu().detach().clone().numpy() -> X
x.contiguous().view(-1).tolist() -> X.ravel().tolist()
x.new_zeros(2).dtype -> torch.float32
n.new_ones(2, 3) -> np.ones((2, 3), int)
x.new_full((2,), 3) -> [3, 3]
x.new_tensor([1, 2]).dtype -> torch.float32
torch.zeros(2, 3) -> np.zeros((2, 3))
torch.zeros([2, 3]) -> np.zeros((2, 3))
torch.zeros(size=(2, 3)) -> np.zeros((2, 3))
torch.zeros(2, dtype=torch.long).dtype -> torch.int64
torch.ones(3, requires_grad=True).requires_grad -> True
torch.full((2,), 1.5) -> [1.5, 1.5]
torch.full([2], 3, dtype=torch.float) -> [3, 3]
torch.empty(2, 0).shape -> (2, 0)
torch.eye(2, 3) -> np.eye(2, 3)
torch.arange(5) -> np.arange(5)
torch.arange(1, 4, 0.5) -> np.arange(1, 4, 0.5)
torch.arange(start=1, end=4) -> np.arange(1, 4)
torch.linspace(0, 1, 5) -> np.linspace(0, 1, 5)
torch.linspace(0, 1, steps=3) -> [0, 0.5, 1]
torch.logspace(0, 2, 3) -> [1, 10, 100]
torch.zeros_like(n) -> np.zeros((2, 3), int)
torch.ones_like(n, dtype=torch.float).dtype -> torch.float32
torch.full_like(x, 2) -> 2 * np.ones((2, 3))
torch.tensor(3.5).item() -> 3.5
torch.tensor([[1, 2]], dtype=torch.float64) -> [[1, 2]]
torch.tensor([1., 2.], device='cpu') -> [1, 2]
torch.as_tensor([1, 2]).dtype -> torch.int64
torch.from_numpy(X).dtype -> torch.float32
torch.Tensor([1, 2]).dtype -> torch.float32
torch.Tensor(2, 3).shape -> (2, 3)
torch.FloatTensor([1, 2]) -> [1, 2]
torch.LongTensor([1, 2]).dtype -> torch.long
isinstance(x, torch.Tensor) -> True
isinstance(x, torch.FloatTensor) -> True
isinstance(n, torch.FloatTensor) -> False
torch.is_tensor(x) -> True
torch.is_tensor(3) -> False
torch.numel(x) -> 6
torch.Size([2, 3]) -> np.shape(X)
torch.Size([2, 3]).numel() -> 6
torch.meshgrid(v, v)[0] -> np.meshgrid(V, V, indexing='ij')[0]
torch.meshgrid(v, v, indexing='xy')[0] -> np.meshgrid(V, V)[0]
torch.atleast_2d(v) -> V[None]
torch.finfo(torch.float32).eps -> np.finfo('f').eps
torch.iinfo(torch.int32).max -> 2 ** 31 - 1
torch.result_type(x, n) -> torch.float32
torch.promote_types(torch.float32, torch.int64) -> torch.float32
torch.cuda.is_available() -> False
torch.cuda.device_count() -> 0
torch.backends.mps.is_available() -> False
str(torch.device('cuda:1')) -> 'cuda:1'
torch.device('cuda', 1).index -> 1
torch.is_grad_enabled() -> True
x.clone().add_(1) -> X + 1
x.clone().mul_(2).sub_(1).div_(3) -> (2 * X - 1) / 3
x.clone().fill_(2) -> 2 * np.ones((2, 3))
x.clone().zero_() -> np.zeros((2, 3))
x.clone().copy_(v) -> np.stack([V, V])
v.clone().clamp_(min=0) -> np.maximum(V, 0)
v.clone().relu_() -> np.maximum(V, 0)
v.clone().exp_() -> np.exp(V)
n.clone().copy_(x + 0.5).dtype -> torch.int64
(x.clone().uniform_(2, 3).min() >= 2) -> True
x.clone().normal_(0, 0.) -> np.zeros((2, 3))
torch.rand(2, 3).shape -> (2, 3)
torch.randn((2, 3)).shape -> (2, 3)
torch.randn(2, 3, requires_grad=True).is_leaf -> True
torch.randint(5, (2, 3)).dtype -> torch.int64
(torch.randint(0, 5, size=(100,)).max() < 5) -> True
torch.randperm(5).sort().values -> np.arange(5)
torch.normal(0., 0., (2,)) -> [0, 0]
torch.normal(mean=v, std=0 * v) -> V
torch.bernoulli(torch.ones(3)) -> np.ones(3)
torch.rand_like(x).shape -> (2, 3)
F.mse_loss(x, 2 * x) -> (X * X).mean()
F.cross_entropy(x, i) -> np.mean(np.log(np.exp(X).sum(1)) - X[[0, 1], I])
F.softmax(x, dim=1) -> np.exp(X) / np.exp(X).sum(1, keepdims=True)
F.linear(x, x) -> X @ X.T
F.one_hot(i, 3) -> np.eye(3, dtype=int)[I]
v.topk(2)[0] -> [3, 1]
torch.topk(v, k=2, largest=False).indices -> [1, 0]
x.topk(1, dim=0)[1] -> [[1, 1, 1]]
v.kthvalue(2)[0] -> 1
v.median() -> 1
x.median(dim=1)[0] -> [2, 5]
torch.median(x, 1, keepdim=True).indices -> [[1], [1]]
torch.mode(torch.tensor([1, 2, 2])).values -> 2
x.quantile(0.5) -> np.quantile(X, 0.5)
torch.quantile(x, torch.tensor([0.25, 0.75]), dim=1) -> np.quantile(X, [0.25, 0.75], axis=1)
torch.unique(torch.tensor([3, 1, 3])) -> [1, 3]
torch.unique(torch.tensor([3, 1, 3]), return_counts=True)[1] -> [1, 2]
torch.tensor([3, 1, 3]).unique(return_inverse=True)[1] -> [1, 0, 1]
torch.bincount(i) -> [1, 0, 1]
torch.histc(v, bins=2, min=-2, max=3) -> [1, 2]
torch.cummax(v, 0)[0] -> [1, 1, 3]
v.cummin(dim=0).values -> [1, -2, -2]
torch.logcumsumexp(v, dim=0) -> np.logaddexp.accumulate(V)
torch.isin(i, torch.tensor([2])) -> [False, True]
torch.isclose(v, v + 1e-9) -> [True, True, True]
torch.allclose(v, v) -> True
torch.allclose(v, other=v, atol=1e-3) -> True
torch.lerp(v, -v, 0.5) -> np.zeros(3)
v.lerp(-v, 0.5) -> np.zeros(3)
torch.diag(v) -> np.diag(V)
x[:, :2].diag() -> [1, 5]
torch.diagonal(c, dim1=1, dim2=2).shape -> (2, 3)
torch.trace(torch.eye(3)) -> 3
torch.kron(v, v) -> np.kron(V, V)
torch.cross(x, x.flip(0)) -> np.cross(X, X[::-1])
torch.cov(x) -> np.cov(X)
torch.corrcoef(x) -> np.corrcoef(X)
torch.cdist(x, x) -> np.linalg.norm(X[:, None] - X[None], axis=-1)
torch.erf(torch.zeros(2)) -> np.zeros(2)
torch.lgamma(torch.tensor([1., 3.])) -> [0, np.log(2)]
torch.rsqrt(x) -> 1 / np.sqrt(X)
x.rsqrt() -> 1 / np.sqrt(X)
torch.nan_to_num(torch.tensor([float('nan'), 1.])) -> [0, 1]
torch.addcmul(v, v, v, value=2) -> V + 2 * V * V
torch.addcdiv(v, v, v, value=2) -> V + 2
torch.frac(x / 2) -> X / 2 % 1
torch.fmod(-x, 2) -> np.fmod(-X, 2)
torch.hstack([v, v]) -> np.hstack([V, V])
torch.vstack((v, v)) -> np.vstack([V, V])
torch.column_stack((v, v)) -> np.column_stack([V, V])
torch.rot90(x) -> np.rot90(X)
torch.tensor_split(v, 2)[0] -> [1, -2]
torch.index_select(x, 1, i) -> X[:, I]
x.index_select(0, torch.tensor([1])) -> X[1:]
torch.zeros(3).index_add(0, i, torch.ones(2)) -> [1, 0, 1]
torch.zeros(3).index_add_(0, i, torch.ones(2), alpha=2) -> [2, 0, 2]
torch.zeros(3).index_fill_(0, i, 5) -> [5, 0, 5]
torch.zeros(3).index_copy_(0, i, torch.tensor([7., 8.])) -> [7, 0, 8]
torch.zeros(3).scatter_(0, i, 1.) -> [1, 0, 1]
torch.zeros(3).scatter(0, i, value=2.) -> [2, 0, 2]
torch.zeros(3).scatter_(0, torch.tensor(1), value=1) -> [0, 1, 0]
torch.zeros(3).scatter_add(0, torch.tensor(1), torch.tensor(2.)) -> [0, 2, 0]
torch.zeros(2, 3).scatter_(1, torch.tensor([[0], [2]]), 1) -> [[1, 0, 0], [0, 0, 1]]
torch.zeros(3).scatter_add_(0, torch.tensor([1, 1]), torch.ones(2)) -> [0, 2, 0]
torch.zeros(3).scatter_reduce(0, i, torch.ones(2), reduce='sum') -> [1, 0, 1]
v.masked_fill(v < 0, 0.) -> np.where(V < 0, 0, V)
v.masked_fill(v < 0, float('-inf')).min() -> -np.inf
v.clone().masked_fill_(v < 0, 9) -> np.where(V < 0, 9, V)
torch.masked_select(v, v > 0) -> V[V > 0]
torch.count_nonzero(v) -> 3
torch.diff(v) -> np.diff(V)
torch.searchsorted(torch.tensor([1., 2., 3.]), 2.5 * torch.ones(1)) -> [2]
torch.searchsorted(torch.tensor([1., 2.]), torch.tensor([1.]), right=True) -> [1]
torch.bucketize(v, torch.tensor([0., 2.])) -> [1, 0, 2]
torch.tril_indices(2, 2) -> [[0, 1, 1], [0, 0, 1]]
torch.nansum(torch.tensor([float('nan'), 1.])) -> 1
torch.fmax(torch.tensor([float('nan'), 1.]), torch.zeros(2)) -> [0, 1]
torch.logit(torch.tensor([0.5])) -> [0]
torch.aminmax(v).max -> 3
torch.heaviside(v, torch.zeros(1)) -> [1, 0, 1]
torch.linalg.inv(torch.tensor([[2., 1.], [0., 4.]])) -> np.linalg.inv([[2, 1], [0, 4]])
torch.inverse(2 * torch.eye(2)) -> np.eye(2) / 2
torch.linalg.solve(2 * torch.eye(2), torch.ones(2)) -> [0.5, 0.5]
torch.linalg.solve(2 * torch.eye(2), torch.ones(1, 2), left=False) -> [[0.5, 0.5]]
torch.linalg.det(x[:, :2]) -> np.linalg.det(X[:, :2])
torch.det(x[:, :2]) -> np.linalg.det(X[:, :2])
torch.logdet(2 * torch.eye(2)) -> 2 * np.log(2)
torch.slogdet(x[:, :2])[1] -> np.linalg.slogdet(X[:, :2])[1]
torch.linalg.svd(x)[1] -> np.linalg.svd(X)[1]
torch.svd(x).V.shape -> (3, 2)
torch.svd(x, some=False)[2].shape -> (3, 3)
torch.linalg.svdvals(x) -> np.linalg.svd(X)[1]
torch.linalg.qr(x)[0].abs() -> np.abs(np.linalg.qr(X)[0])
torch.qr(x, some=False)[1].shape -> (2, 3)
torch.linalg.cholesky(4 * torch.eye(2)) -> 2 * np.eye(2)
torch.linalg.eigvalsh(x @ x.T) -> np.linalg.eigvalsh(X @ X.T)
torch.linalg.eigh(torch.tensor([[2., 0.], [1., 2.]]))[0] -> [1, 3]
torch.linalg.eigvalsh(torch.tensor([[2., 1.], [0., 2.]]), UPLO='U') -> [1, 3]
torch.linalg.pinv(x) -> np.linalg.pinv(X)
torch.pinverse(x) -> np.linalg.pinv(X)
torch.linalg.matrix_rank(x) -> 2
torch.linalg.matrix_power(2 * torch.eye(2), 3) -> 8 * np.eye(2)
torch.linalg.multi_dot([x, x.T, x]) -> X @ X.T @ X
torch.linalg.lstsq(x.T, v).solution -> np.linalg.lstsq(X.T, V, rcond=None)[0]
torch.linalg.norm(x, 'fro') -> np.linalg.norm(X)
torch.linalg.norm(x, ord=1) -> np.linalg.norm(X, 1)
torch.linalg.matrix_norm(c, dim=(0, 1)) -> np.linalg.norm(C, axis=(0, 1))
torch.linalg.vecdot(x, x, dim=0) -> (X * X).sum(0)
torch.linalg.diagonal(c, offset=1).shape -> (2, 3)
torch.linalg.cond(2 * torch.eye(2)) -> 1
torch.linalg.cross(x, x.flip(0)) -> np.cross(X, X[::-1])
torch.linalg.vander(v) -> np.vander(V, increasing=True)
torch.sum(torch.tensor(3.), 0) -> 3
torch.tensor(3.).unsqueeze(0) -> [3]
torch.cumsum(torch.tensor(3.), 0) -> 3
torch.max(torch.tensor(3.), 0).values -> 3
torch.sort(torch.tensor(3.))[1] -> 0
torch.softmax(torch.tensor(3.), 0) -> 1
torch.ldexp(v, torch.ones(3)) -> 2 * V
torch.float_power(v, 2).dtype -> torch.float64
torch.trapezoid(v) -> np.trapezoid(V)
torch.cumulative_trapezoid(v, dx=2) -> [-1, 0]
torch.unravel_index(torch.tensor([5]), (2, 3))[1] -> [2]
torch.hsplit(x, 3)[0] -> X[:, :1]
torch.select_scatter(x, torch.zeros(3), 0, 1) -> [[1, 2, 3], [0, 0, 0]]
torch.slice_scatter(x, torch.zeros(2, 1), dim=1, start=1, end=2) -> [[1, 0, 3], [4, 0, 6]]
torch.index_put(v, (torch.tensor([0, 0]),), torch.ones(2), True) -> [3, -2, 3]
torch.cov(v) -> np.cov(V)
x.H -> X.T
torch.einsum('ij->j', [x]) -> X.sum(0)
torch.exp_(v.clone()) -> np.exp(V)
torch.isreal(v) -> [True, True, True]
torch.is_nonzero(torch.tensor(3.)) -> True
x.sum_to_size(1, 3) -> X.sum(0, keepdims=True)
v.put(torch.tensor([0]), torch.tensor([9.])) -> [9, -2, 3]
torch.scalar_tensor(3).dtype -> torch.float32
torch.detach(x) -> X
torch.clone(x) -> X
x.is_cpu -> True
torch.ones(2).bernoulli() -> [1, 1]
torch.conv1d(v.view(1, 1, 3), torch.ones(1, 1, 2)) -> [[[-1, 1]]]
torch.cosine_similarity(x, x) -> [1, 1]
torch.layer_norm(v, (3,)) -> (V - V.mean()) / np.sqrt(V.var() + 1e-5)
torch.zeros(9).geometric_(0.999999) -> np.ones(9)
torch.zeros(9).log_normal_(0, 1e-30) -> np.ones(9)
torch.zeros(9).cauchy_(2, 1e-12) -> 2 * np.ones(9)
x.view(np.int64(3), 2) -> X.reshape(3, 2)
x.view(torch.Size([3, 2])) -> X.reshape(3, 2)
x.sum(dim=()) -> X.sum()
F.normalize(torch.tensor(-3.), dim=0) -> -1
F.softmin(torch.tensor(3.), 0) -> 1
F.log_softmax(torch.tensor(3.), -1) -> 0
F.cosine_similarity(torch.tensor(-3.), torch.tensor(2.), dim=0) -> -1
F.cosine_similarity(x[None], x[:, None], dim=-2)[0] -> X.sum(0) / np.sqrt(2 * (X * X).sum(0))
torch.argsort(torch.tensor(3.)) -> 0
torch.transpose(torch.tensor(3.), 0, -1) -> 3
torch.tensor(3.).unfold(0, 1, 1) -> [3]
torch.linalg.vector_norm(torch.tensor(-3.), dim=0) -> 3
torch.gather(torch.tensor(3.), 0, torch.tensor([0])) -> [3]
torch.gather(v, 0, torch.tensor(1)) -> -2
torch.tensordot(torch.ones(1, 2), torch.ones(3, 2), ([0, 1], [0, 1])) -> 6
F.hinge_embedding_loss(v, torch.tensor([0., 1., -1.]), reduction='none') -> [1, -2, 0]
F.hardshrink(v, -1.) -> V
F.avg_pool2d(torch.ones(1, 2, 2), 2, padding=(1,)) -> np.full((1, 2, 2), 0.25)
F.avg_pool2d(torch.ones(1, 2, 2), 2, divisor_override=-2) -> [[[-2]]]
F.kl_div(torch.tensor(1.), torch.tensor(2.), reduction='batchmean') -> 2 * np.log(2) - 2
torch.normal(0., 0., (2,), layout=torch.strided) -> [0, 0]
torch.func.grad(lambda a: torch.norm(a, 0))(v) -> 0 * V
torch.func.grad(lambda a: torch.fill(a, 2).sum())(v) -> 0 * V
torch.func.grad(lambda a: torch.gather(a, 0, torch.arange(0)).sum())(v) -> 0 * V
torch.func.grad(lambda a: torch.matrix_power(a, 0).sum())(x[:, :2]) -> 0 * X[:, :2]
torch.linalg.solve(torch.stack([torch.eye(3), 2 * torch.eye(3)]), x) -> [X[0], X[1] / 2]
torch.linalg.solve(2 * torch.eye(3), x, left=False) -> X / 2
torch.linalg.vander(x, N=2) -> np.stack([0 * X + 1, X], -1)
torch.linalg.matrix_rank(torch.eye(2), atol=torch.tensor([0.5, 2.])) -> [2, 0]
torch.linalg.matrix_rank(torch.tensor([[1., 7.], [2., 4.]]), hermitian=True) -> 1
torch.linalg.pinv(torch.tensor([[1., 7.], [0., 4.]]), hermitian=True) -> [[1, 0], [0, 0.25]]
torch.linalg.cholesky_ex(4 * torch.eye(2)).L -> 2 * np.eye(2)
torch.linalg.cholesky_ex(torch.tensor([[1., 2.], [2., 1.]])).info -> 2
torch.linalg.inv_ex(2 * torch.eye(2)).inverse -> np.eye(2) / 2
torch.linalg.inv_ex(torch.stack([torch.ones(2, 2), torch.eye(2)]))[1] -> [2, 0]
torch.linalg.solve_ex(2 * torch.eye(3), v).result -> V / 2
torch.linalg.lstsq(x.T, v)[1].shape -> (0,)
torch.linalg.lstsq(x.T, v, driver='gelsd')[1] -> np.linalg.lstsq(X.T, V, rcond=None)[1]
torch.linalg.lstsq(x.T, v, driver='gelsd')[3] -> np.linalg.svd(X)[1]
torch.linalg.lstsq(c.mT, torch.ones(2, 4), driver='gels').rank.shape -> (0,)
torch.cholesky_inverse(2 * torch.eye(2)) -> np.eye(2) / 4
torch.matrix_exp(torch.tensor([[0., 1.], [0., 0.]])) -> [[1, 1], [0, 1]]
torch.linalg.matrix_exp(20 * torch.eye(2)) -> np.exp(20) * np.eye(2)
torch.diagonal_scatter(x, torch.zeros(2)) -> [[0, 2, 3], [4, 0, 6]]
torch.diagonal_scatter(c, torch.zeros(3, 2), -1, 2, 0)[1] -> C[1] * [1, 1, 0, 1]
v.index_reduce(0, torch.tensor([0, 0]), torch.tensor([2., 3.]), 'prod') -> [6, -2, 3]
x.index_reduce(1, i[1:], -x[:, :1], 'mean', include_self=False)[:, 2] -> [-1, -4]
x.index_reduce(1, i[1:], -x[:, :1], 'mean')[:, 2] -> [1, 1]
v.clone().index_reduce_(0, torch.tensor([1]), torch.tensor([9.]), 'amax') -> [1, 9, 3]
torch.gradient(v ** 2)[0] -> np.gradient(V ** 2)
torch.gradient(x, dim=1, spacing=2., edge_order=2)[0] -> np.gradient(X, 2., axis=1, edge_order=2)
torch.gradient(x, dim=1, spacing=[torch.tensor([0., 1., 4.])])[0][0] -> np.gradient(X[0], [0, 1, 4])
len(torch.gradient(c)) -> 3
torch.func.grad(lambda a: torch.gradient(a)[0].sum())(v) -> [-1.5, 0, 1.5]
torch.unique_consecutive(torch.tensor([1, 1, 2, 1])) -> [1, 2, 1]
torch.unique_consecutive(torch.tensor([1, 1, 2, 1]), return_counts=True)[1] -> [2, 1, 1]
torch.unique_consecutive(torch.tensor([[1, 1, 2]]), return_inverse=True)[1] -> [[0, 0, 1]]
torch.unique_consecutive(torch.tensor([[1, 1, 2], [3, 3, 4]]), dim=1) -> [[1, 2], [3, 4]]
torch.histogram(x.detach().requires_grad_(), density=True).hist.shape -> [100]
torch.histogramdd(x.T, [3, 2]).hist -> np.histogramdd(X.T, [3, 2])[0]
torch.histogramdd(x.T, [v.sort()[0], v.new_tensor([4., 5.])], weight=v)[0] -> [[0], [-1]]
torch.histogramdd(x.T, 2, range=[0., 4., 3., 7.], density=True)[0] -> [[1 / 12, 0], [0, 2 / 12]]
torch.constant_pad_nd(v, (1, -1), 7) -> [7, 1, -2]
torch.zero_(v.clone()) -> 0 * V
torch.fill_(v.clone(), 2) -> 0 * V + 2
F.linear_cross_entropy(v, torch.stack([v, -v]), torch.tensor(1)) -> np.log1p(np.exp(28))
F.linear_cross_entropy(x, 0 * c[:, :, :3], n // 9, linear_bias=0 * x) -> np.log(2)
torch.nn.LinearCrossEntropyLoss(3, 4)(x, i).shape -> ()
torch.nn.LinearCrossEntropyLoss(3, 4, out_features=(2,)).linear.weight.shape -> (8, 3)
F.batch_norm(x[:0], v, v.exp(), training=True).shape -> (0, 3)
torch.nn.BatchNorm1d(3)(x[:0]).shape -> (0, 3)
F.fractional_max_pool3d(c[None], 1, (1, 2, 2), None, False, 0 * c[:, :1, :3])[0] -> C[1:, ::2, ::3]
F.avg_pool2d(c, 2, ()).shape -> (2, 1, 2)
F.feature_alpha_dropout(v, training=False) -> V
torch.func.grad(lambda a: torch.nextafter(a, 0 * a).sum())(v) -> [1, 1, 1]
F.cross_entropy(0 * v, i[:1], reduction='none') -> np.log(3)
F.nll_loss(v, i[:1]) -> -1
F.multi_margin_loss(v, i[:1], reduction='none') -> [1]
F.multi_margin_loss(torch.tensor(5.), torch.tensor(0)) -> 0
F.multilabel_margin_loss(torch.tensor(5.), torch.tensor(0)) -> 0
torch.quantile(torch.tensor(3.), torch.tensor([0.5, 1.]), dim=0, keepdim=True) -> [3, 3]
torch.svd_lowrank(x, 1)[1] -> np.linalg.svd(X)[1][:1]
torch.svd_lowrank(x, q=2, M=0 * v)[2].shape -> (3, 2)
torch.pca_lowrank(x)[1] -> [np.sqrt(13.5), 0]
torch.pca_lowrank(x, 1)[2].abs() -> np.full((3, 1), 1 / np.sqrt(3))
torch.pca_lowrank(x, 1, center=False)[1] -> np.linalg.svd(X)[1][:1]
"""
