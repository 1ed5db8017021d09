"""PyTorch's functions of Tensors, with its names, argument names, order and defaults.

Each line is one function as PyTorch has it, and after `=` what it is called here, if it is called
otherwise. An argument is called here what `translate.OURS` says, or what stands after `>`. Where
the first argument is `input` the function is a method, too. `dim^` is an axis of the result, or the
result has axes of another argument: elsewhere 0 and -1 are said of a Tensor without axes, too.

`functions` has those for which another name and other words are not enough.
"""

from __future__ import annotations

#: One Tensor in, one out, element by element. `a=b` is PyTorch's name for our b.
ELEMENTWISE = """
abs absolute=abs acos arccos=acos acosh arccosh=acosh asin arcsin=asin asinh arcsinh=asinh
atan arctan=atan atanh arctanh=atanh bitwise_not=bitwise_invert ceil cos cosh deg2rad digamma
erf erfc erfinv exp exp2 expm1 fix=trunc floor frac i0 isfinite isinf isnan lgamma log log10 log1p
log2 logical_not neg=negative negative positive rad2deg reciprocal relu rsqrt selu sigmoid
clone resolve_conj=clone resolve_neg=clone conj_physical=clone isreal
sign signbit sin sinc sinh sqrt square tan tanh trunc isposinf isneginf sgn=sign
"""

#: Two Tensors or numbers in.
PAIRS = """
arctan2=atan2 atan2 bitwise_and bitwise_left_shift bitwise_or bitwise_right_shift bitwise_xor
copysign divide=div eq=equal_elements fmax fmin fmod ge=greater_equal greater greater_equal
gt=greater hypot le=less_equal less less_equal logaddexp logaddexp2 logical_and
logical_or logical_xor lt=less matmul maximum minimum mul=multiply multiply
ne=not_equal nextafter not_equal pow remainder true_divide=divide xlogy gcd lcm
"""

FUNCTIONS = """
add(input, other, *, alpha=1)
sub(input, other, *, alpha=1)
subtract(input, other, *, alpha=1) = sub
rsub(input, other, *, alpha=1)
div(input, other, *, rounding_mode=None)
floor_divide(input, other)
clamp(input, min=None, max=None) = clip
clip(input, min=None, max=None)
clamp_min(input, min)
clamp_max(input, max)
round(input, *, decimals=0)
heaviside(input, values)
lerp(input, end, weight)
addcmul(input, tensor1, tensor2, *, value=1)
addcdiv(input, tensor1, tensor2, *, value=1)
nan_to_num(input, nan=0.0, posinf=None, neginf=None)
polygamma(n, input)
logit(input, eps=None)

conj(input) = positive
ldexp(input, other)
float_power(input, exponent)
fill(input, value)

is_nonzero(input)
equal(input, other)
allclose(input, other, rtol=1e-05, atol=1e-08, equal_nan=False)
isclose(input, other, rtol=1e-05, atol=1e-08, equal_nan=False)
isin(elements, test_elements, *, assume_unique=False, invert=False)

sum(input, dim=None, keepdim=False, *, dtype=None)
prod(input, dim=None, keepdim=False, *, dtype=None)
mean(input, dim=None, keepdim=False, *, dtype=None)
nansum(input, dim=None, keepdim=False, *, dtype=None)
nanmean(input, dim=None, keepdim=False, *, dtype=None)
var(input, dim=None, unbiased=None, keepdim=False, *, correction=1)
std(input, dim=None, unbiased=None, keepdim=False, *, correction=1)
var_mean(input, dim=None, unbiased=None, keepdim=False, *, correction=1)
std_mean(input, dim=None, unbiased=None, keepdim=False, *, correction=1)
max(input, dim=None, keepdim=False, *, other=None)
min(input, dim=None, keepdim=False, *, other=None)
amax(input, dim=None, keepdim=False)
amin(input, dim=None, keepdim=False)
aminmax(input, *, dim=None, keepdim=False)
argmax(input, dim=None, keepdim=False)
argmin(input, dim=None, keepdim=False)
all(input, dim=None, keepdim=False)
any(input, dim=None, keepdim=False)
logsumexp(input, dim, keepdim=False)
count_nonzero(input, dim=None)
norm(input, p="fro", dim=None, keepdim=False, dtype=None)
dist(input, other, p=2)
median(input, dim=None, keepdim=False)
nanmedian(input, dim=None, keepdim=False)
mode(input, dim=-1, keepdim=False)
quantile(input, q, dim^=None, keepdim=False, *, interpolation="linear")
nanquantile(input, q, dim^=None, keepdim=False, *, interpolation="linear")
kthvalue(input, k, dim=-1, keepdim=False)
topk(input, k, dim=-1, largest=True, sorted=True)
sort(input, dim=-1, descending=False, stable=False)
msort(input)
argsort(input, dim=-1, descending=False, stable=False)
unique(input, sorted=True, return_inverse=False, return_counts=False, dim=None)
unique_consecutive(input, return_inverse=False, return_counts=False, dim=None)
bincount(input, weights=None, minlength=0)
histc(input, bins=100, min=0, max=0)
histogram(input, bins=100, *, range=None, weight=None, density=False)
histogramdd(input, bins, *, range=None, weight=None, density=False)
cumsum(input, dim, *, dtype=None) = cumulative_sum
cumprod(input, dim, *, dtype=None) = cumulative_prod
cummax(input, dim)
cummin(input, dim)
logcumsumexp(input, dim)
trapezoid(y, x=None, *, dx=1, dim=-1)
trapz(y, x=None, *, dx=1, dim=-1) = trapezoid
cumulative_trapezoid(y, x=None, *, dx=1, dim=-1)
unravel_index(indices, shape)
gradient(input, *, spacing=1, dim>dim=None, edge_order=1)
diff(input, n=1, dim=-1, prepend=None, append=None)
cov(input, *, correction=1, fweights=None, aweights=None)
corrcoef(input)
searchsorted(sorted_sequence, input, *, out_int32=False, right=False, side=None, sorter=None)
bucketize(input, boundaries, *, out_int32=False, right=False)

softmax(input, dim, dtype=None)
log_softmax(input, dim, dtype=None)
softplus(input, beta=1.0, threshold=20.0)
prelu(input, weight)
hardshrink(input, lambd=0.5)
dropout(input, p, train)
one_hot(input, num_classes=-1)

reshape(input, *shape)
view_as(input, other)
reshape_as(input, other)
permute(input, *dims) = permute_dims
transpose(input, dim0>axis0, dim1>axis1) = swapaxes
swapaxes(input, axis0, axis1)
swapdims(input, dim0>axis0, dim1>axis1) = swapaxes
t(input)
adjoint(input) = matrix_transpose
movedim(input, source, destination) = moveaxis
moveaxis(input, source, destination)
unsqueeze(input, dim^) = expand_dims
squeeze(input, dim=None)
flatten(input, start_dim=0, end_dim=-1)
ravel(input)
unflatten(input, dim, *sizes)
broadcast_to(input, *size>shape)
sum_to_size(input, *size)
tile(input, *dims)
flip(input, *dims>axis)
fliplr(input)
flipud(input)
roll(input, shifts>shift, dims>axis=None)
rot90(input, k=1, dims=(0, 1))
cat(tensors, dim=0)
concat(tensors, dim=0) = cat
concatenate(tensors, dim=0) = cat
stack(tensors, dim=0)
hstack(tensors)
vstack(tensors)
dstack(tensors)
row_stack(tensors) = vstack
column_stack(tensors)
chunk(input, chunks, dim=0)
unsafe_chunk(input, chunks, dim=0) = chunk
unsafe_split(input, split_size_or_sections, dim=0) = split
unsafe_split_with_sizes(input, split_sizes>split_size_or_sections, dim=0) = split
split(input, split_size_or_sections, dim=0)
split_with_sizes(input, split_sizes>split_size_or_sections, dim=0) = split
hsplit(input, indices_or_sections)
vsplit(input, indices_or_sections)
dsplit(input, indices_or_sections)
tensor_split(input, indices_or_sections, dim=0)
unbind(input, dim=0) = unstack
narrow(input, dim, start, length)
select(input, dim, index)
repeat_interleave(input, repeats=None, dim=None, *, output_size=None)
constant_pad_nd(input, pad, value=0)
tril(input, diagonal>k=0)
triu(input, diagonal>k=0)
tril_indices(row, col, offset=0, *, dtype=None, device=None, layout=None)
triu_indices(row, col, offset=0, *, dtype=None, device=None, layout=None)
diag(input, diagonal=0)
diagonal(input, offset=0, dim1>axis1=0, dim2>axis2=1)
diag_embed(input, offset=0, dim1>axis1=-2, dim2>axis2=-1)
diagflat(input, offset=0)
trace(input)
block_diag(*tensors)
cartesian_prod(*tensors)
combinations(input, r=2, with_replacement=False)
vander(x, N=None, increasing=False)
renorm(input, p, dim, maxnorm)
broadcast_tensors(*tensors) = broadcast_arrays
atleast_1d(*tensors)
atleast_2d(*tensors)
atleast_3d(*tensors)

gather(input, dim^, index)
take_along_dim(input, indices, dim=None)
take(input, index)
put(input, index, source, accumulate=False)
index_put(input, indices, values, accumulate=False)
diagonal_scatter(input, src, offset=0, dim1>axis1=0, dim2>axis2=1)
select_scatter(input, src, dim, index)
slice_scatter(input, src, dim=0, start=None, end=None, step=1)
index_select(input, dim, index)
index_add(input, dim, index, source, *, alpha=1)
index_copy(input, dim, index, source)
index_reduce(input, dim, index, source, reduce, *, include_self=True)
index_fill(input, dim, index, value)
scatter(input, dim, index, src, *, reduce=None)
scatter_add(input, dim, index, src)
scatter_reduce(input, dim, index, src, reduce, *, include_self=True)
masked_fill(input, mask, value)
masked_select(input, mask)
masked_scatter(input, mask, source)
where(condition, input=None, other=None)
nonzero(input, *, as_tuple=False)
argwhere(input)

mm(input, mat2)
bmm(input, mat2)
mv(input, vec)
dot(input, tensor)
vdot(input, tensor) = dot
inner(input, other)
outer(input, vec2)
ger(input, vec2) = outer
addmm(input, mat1, mat2, *, beta=1, alpha=1)
addmv(input, mat, vec, *, beta=1, alpha=1)
addr(input, vec1, vec2, *, beta=1, alpha=1)
addbmm(input, batch1, batch2, *, beta=1, alpha=1)
baddbmm(input, batch1, batch2, *, beta=1, alpha=1)
chain_matmul(*matrices)
tensordot(a, b, dims>axes=2)
kron(input, other)
cross(input, other, dim=None)
cdist(x1, x2, p=2.0, compute_mode=None)

det(input)
logdet(input)
slogdet(input)
inverse(input) = inv
pinverse(input, rcond>rtol=1e-15) = pinv
matrix_power(input, n)
cholesky(input, upper=False)
cholesky_solve(input, input2, upper=False)
cholesky_inverse(input, upper=False)
matrix_exp(input)
qr(input, some=True)
svd(input, some=True, compute_uv=True)
svd_lowrank(A, q=6, niter=2, M=None)
pca_lowrank(A, q=None, center=True, niter=2)
"""

#: `torch.linalg`, of which `backlit.linalg` has the functions.
LINALG = """
det(A)
slogdet(A)
inv(A)
cholesky(A, *, upper=False)
qr(A, mode="reduced")
svd(A, full_matrices=True)
svdvals(A)
matrix_power(A, n)
multi_dot(tensors)
matrix_exp(A)
solve_triangular(A, B, *, upper, left=True, unitriangular=False)
cross(input, other, *, dim=-1)
matmul(input, other)
"""

#: Functions of a Tensor that PyTorch has not as methods, too.
FUNCTIONS_ALONE = """
bucketize combinations constant_pad_nd dropout fill gradient histogramdd one_hot rsub selu softplus
std_mean unravel_index var_mean
"""

#: What PyTorch has in `torch`, too, with the arguments of `torch.nn.functional`.
ALSO_IN_TORCH = """
adaptive_avg_pool1d adaptive_max_pool1d avg_pool1d bilinear celu channel_shuffle conv1d conv2d
conv3d conv_transpose1d conv_transpose2d conv_transpose3d cosine_similarity group_norm layer_norm
max_pool1d max_pool2d max_pool3d pairwise_distance pdist pixel_shuffle pixel_unshuffle rms_norm
threshold
"""

#: Methods that change their Tensor: the same, in place.
IN_PLACE = """
abs absolute acos acosh add addbmm addcdiv addcmul addmm addmv addr asin asinh atan atan2 atanh
arccos arccosh arcsin arcsinh arctan arctan2 arctanh baddbmm bitwise_and bitwise_left_shift
bitwise_not bitwise_or bitwise_right_shift bitwise_xor ceil clamp clamp_max clamp_min clip copysign
cos cosh cumprod cumsum deg2rad digamma div divide eq erf erfc erfinv exp exp2 expm1 fix floor
floor_divide fmod frac ge greater greater_equal gt gcd heaviside hypot i0 index_add index_copy
index_fill index_put index_reduce lcm ldexp le lerp less less_equal lgamma log log10 log1p log2
logical_and logical_not logical_or logical_xor logit lt masked_fill masked_scatter mul multiply
nan_to_num ne neg negative nextafter not_equal pow put rad2deg reciprocal relu remainder renorm
round rsqrt scatter scatter_add scatter_reduce sgn sigmoid sign sin sinc sinh sqrt square sub
subtract tan tanh tril triu true_divide trunc xlogy
"""

__all__ = [
    "ALSO_IN_TORCH",
    "ELEMENTWISE",
    "FUNCTIONS",
    "FUNCTIONS_ALONE",
    "IN_PLACE",
    "LINALG",
    "PAIRS",
]
