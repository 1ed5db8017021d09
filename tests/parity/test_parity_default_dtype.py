"""With another default dtype the same things have it as in PyTorch."""

import pytest
import torch

import backlit.torch as room

pytestmark = pytest.mark.parity

#: What it decides, and what it leaves alone.
EXPRESSIONS = """
torch.tensor(1.0)
torch.tensor([1.,2])
torch.Tensor([1])
torch.Tensor(2)
torch.zeros(2)
torch.full((2,),1.)
torch.rand(2)
torch.randn(2)
torch.normal(0.,1.,(2,))
torch.eye(2)
torch.linspace(0,1,3)
torch.logspace(0,1,3)
torch.arange(0,1,.5)
torch.arange(3)*0.5
torch.arange(3)/2
torch.arange(3).sqrt()
torch.arange(3)**0.5
1.5+torch.arange(3)
torch.tensor([True])*1.5
torch.where(torch.tensor([True]),1.,0.)
torch.nn.Linear(2,2).weight
torch.nn.BatchNorm1d(2).running_mean
torch.nn.Conv2d(1,1,2).weight
torch.nn.LSTM(1,1)(torch.ones(1,1,1))[0]
torch.nn.Embedding(2,2)(torch.tensor([1]))
torch.nn.Parameter(torch.ones(1))
torch.nn.LazyLinear(2)(torch.ones(1,2))
torch.nn.Transformer.generate_square_subsequent_mask(2)
torch.nn.MultiheadAttention(2,1)(*[torch.ones(2,1,2)]*3)[0]
torch.nn.LayerNorm(2)(torch.ones(1,2))
torch.nn.GELU()(torch.ones(2))
torch.nn.Dropout(.5)(torch.ones(4))
torch.ones(2).float()
torch.as_tensor([1.])
torch.nn.functional.mse_loss(torch.ones(2),torch.zeros(2))
torch.ones(2).mean()
torch.scalar_tensor(1)
torch.arange(2).new_tensor([1.])
torch.ones(2).new_zeros(2)
torch.sigmoid(torch.arange(2))
torch.atan2(torch.arange(2),torch.arange(2))
torch.softmax(torch.ones(2),0)
torch.nn.functional.cross_entropy(torch.ones(1,2),torch.tensor([1]))
torch.ones(2,dtype=torch.float32)*0.5
torch.bernoulli(torch.ones(2))
torch.empty(2).exponential_()
torch.nn.BCEWithLogitsLoss(pos_weight=torch.tensor(2.))(torch.ones(2),torch.ones(2))
torch.full((2,),1)
torch.clamp(torch.arange(3),0.5)
torch.cumprod(torch.ones(2),0)
torch.ones(2).std()
torch.ones(2).norm()
torch.nn.functional.one_hot(torch.tensor([1]))
torch.nn.PReLU().weight
torch.nn.GroupNorm(1,2).weight
torch.nn.Bilinear(1,1,1).weight
torch.true_divide(torch.tensor(1),2)
torch.pi*torch.arange(2)
torch.tensor([1,2.5])
torch.einsum("i,i",torch.ones(2),torch.ones(2))
torch.deg2rad(torch.arange(2))
torch.lgamma(torch.arange(2))
torch.histc(torch.ones(2))
torch.quantile(torch.ones(2),0.5)
torch.nn.functional.interpolate(torch.ones(1,1,2,2),scale_factor=2)
torch.distributions.Normal(0.,1.).sample()
torch.distributions.Bernoulli(0.5).sample()
torch.distributions.Categorical(torch.tensor([1,2])).probs
"""


@pytest.mark.parametrize("kind", ["float64", "float32"])
def test_the_default_dtype_decides_as_in_pytorch(kind):
    different = []
    try:
        for spoken in (room, torch):
            spoken.set_default_dtype(getattr(spoken, kind))
        for expression in EXPRESSIONS.strip().splitlines():
            ours, theirs = (eval(expression, {"torch": t}).dtype for t in (room, torch))
            if f"torch.{ours}" != str(theirs):
                different.append((expression, ours, theirs))
    finally:
        for spoken in (room, torch):
            spoken.set_default_dtype(spoken.float32)
    assert different == []
