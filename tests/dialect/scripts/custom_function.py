"""Functions with a derivative of their own: a straight-through sign, a swish, a linear layer."""

import torch
import torch.nn as nn
from course import randn, set_weights
from torch.autograd import Function, gradcheck


class SignSTE(Function):
    @staticmethod
    def forward(ctx, input):
        ctx.save_for_backward(input)
        return input.sign()

    @staticmethod
    def backward(ctx, grad_output):
        (input,) = ctx.saved_tensors
        grad_input = grad_output.clone()
        grad_input[input.abs() > 1] = 0
        return grad_input


class Swish(Function):
    @staticmethod
    def forward(ctx, i):
        result = i * torch.sigmoid(i)
        ctx.save_for_backward(i)
        return result

    @staticmethod
    def backward(ctx, grad_output):
        i = ctx.saved_tensors[0]
        sigmoid_i = torch.sigmoid(i)
        return grad_output * (sigmoid_i * (1 + i * (1 - sigmoid_i)))


class LinearFunction(Function):
    @staticmethod
    def forward(input, weight, bias):
        output = input.mm(weight.t())
        if bias is not None:
            output += bias.unsqueeze(0).expand_as(output)
        return output

    @staticmethod
    def setup_context(ctx, inputs, output):
        input, weight, bias = inputs
        ctx.save_for_backward(input, weight, bias)

    @staticmethod
    def backward(ctx, grad_output):
        input, weight, bias = ctx.saved_tensors
        grad_input = grad_weight = grad_bias = None
        if ctx.needs_input_grad[0]:
            grad_input = grad_output.mm(weight)
        if ctx.needs_input_grad[1]:
            grad_weight = grad_output.t().mm(input)
        if bias is not None and ctx.needs_input_grad[2]:
            grad_bias = grad_output.sum(0)
        return grad_input, grad_weight, grad_bias


class GradientReversal(Function):
    @staticmethod
    def forward(ctx, x, alpha):
        ctx.alpha = alpha
        return x.view_as(x)

    @staticmethod
    def backward(ctx, grad_output):
        return grad_output.neg() * ctx.alpha, None


class Linear(nn.Module):
    def __init__(self, input_features, output_features, bias=True):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(output_features, input_features))
        if bias:
            self.bias = nn.Parameter(torch.empty(output_features))
        else:
            self.register_parameter("bias", None)
        nn.init.uniform_(self.weight, -0.1, 0.1)

    def forward(self, input):
        return LinearFunction.apply(input, self.weight, self.bias)

    def extra_repr(self):
        return "out_features={}, bias={}".format(self.weight.shape[0], self.bias is not None)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = Linear(6, 16)
        self.second = Linear(16, 16, bias=False)
        self.last = nn.Linear(16, 1)
        self.domain = nn.Linear(16, 2)

    def forward(self, x):
        h = Swish.apply(self.first(x))
        h = h + SignSTE.apply(self.second(h))
        return self.last(h), self.domain(GradientReversal.apply(h, 0.3))


test = (torch.tensor([[0.3, -1.2]], dtype=torch.double, requires_grad=True),)
assert gradcheck(Swish.apply, test, eps=1e-6, atol=1e-4)
net = set_weights(Net())
print(net)
optimizer = torch.optim.Adam(net.parameters(), lr=5e-3)
losses = []
x, where = randn(40, 6), torch.arange(40) % 2
y = x.prod(dim=1, keepdim=True).tanh()
for step in range(25):
    output, domain = net(x)
    loss = nn.functional.mse_loss(output, y) + nn.functional.cross_entropy(domain, where)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    losses.append(loss.item())
