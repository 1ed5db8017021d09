"""The names of what `dialect` attaches to the Tensor, for type checkers alone.

`scripts/declare_methods.py` writes them down, and a test compares.
"""

from __future__ import annotations

from typing import Any


class Methods:
    """What a Tensor has besides what its class says."""

    def _method(self, *given: Any, **named: Any) -> Any: ...

    abs = abs_ = absolute = absolute_ = acos = acos_ = acosh = acosh_ = add = add_ = _method
    addbmm = addbmm_ = addcdiv = addcdiv_ = addcmul = addcmul_ = addmm = addmm_ = _method
    addmv = addmv_ = addr = addr_ = adjoint = allclose = amax = amin = aminmax = _method
    arccos = arccos_ = arccosh = arccosh_ = arcsin = arcsin_ = arcsinh = arcsinh_ = _method
    arctan = arctan2 = arctan2_ = arctan_ = arctanh = arctanh_ = argsort = argwhere = _method
    asin = asin_ = asinh = asinh_ = atan = atan2 = atan2_ = atan_ = atanh = atanh_ = _method
    baddbmm = baddbmm_ = bernoulli = bernoulli_ = bfloat16 = bincount = _method
    bitwise_and = bitwise_and_ = bitwise_left_shift = bitwise_left_shift_ = _method
    bitwise_not = bitwise_not_ = bitwise_or = bitwise_or_ = bitwise_right_shift = _method
    bitwise_right_shift_ = bitwise_xor = bitwise_xor_ = bmm = bool = broadcast_to = _method
    byte = cauchy_ = ceil = ceil_ = char = cholesky = cholesky_inverse = _method
    cholesky_solve = chunk = clamp = clamp_ = clamp_max = clamp_max_ = clamp_min = _method
    clamp_min_ = clip = clip_ = clone = coalesce = conj = conj_physical = contiguous = _method
    copy_ = copysign = copysign_ = corrcoef = cos = cos_ = cosh = cosh_ = _method
    count_nonzero = cov = cpu = cross = cuda = cummax = cummin = cumprod = cumprod_ = _method
    cumsum = cumsum_ = data_ptr = deg2rad = deg2rad_ = det = detach_ = diag = _method
    diag_embed = diagflat = diagonal = diagonal_scatter = diff = digamma = digamma_ = _method
    dim = dist = div = div_ = divide = divide_ = dot = double = dsplit = _method
    element_size = eq = eq_ = equal = erf = erf_ = erfc = erfc_ = erfinv = erfinv_ = _method
    exp = exp2 = exp2_ = exp_ = expand = expand_as = expm1 = expm1_ = exponential_ = _method
    fill_ = fill_diagonal_ = fix = fix_ = flatten = flip = fliplr = flipud = float = _method
    float_power = floor = floor_ = floor_divide = floor_divide_ = fmax = fmin = fmod = _method
    fmod_ = frac = frac_ = gather = gcd = gcd_ = ge = ge_ = geometric_ = ger = _method
    get_device = greater = greater_ = greater_equal = greater_equal_ = gt = gt_ = _method
    half = hardshrink = heaviside = heaviside_ = histc = histogram = hsplit = hypot = _method
    hypot_ = i0 = i0_ = index_add = index_add_ = index_copy = index_copy_ = _method
    index_fill = index_fill_ = index_put = index_put_ = index_reduce = index_reduce_ = _method
    index_select = inner = int = inverse = is_complex = is_contiguous = _method
    is_floating_point = is_inference = is_nonzero = is_pinned = is_same_size = _method
    is_shared = is_signed = isclose = isfinite = isinf = isnan = isneginf = isposinf = _method
    isreal = kron = kthvalue = lcm = lcm_ = ldexp = ldexp_ = le = le_ = lerp = _method
    lerp_ = less = less_ = less_equal = less_equal_ = lgamma = lgamma_ = log = log10 = _method
    log10_ = log1p = log1p_ = log2 = log2_ = log_ = log_normal_ = log_softmax = _method
    logaddexp = logaddexp2 = logcumsumexp = logdet = logical_and = logical_and_ = _method
    logical_not = logical_not_ = logical_or = logical_or_ = logical_xor = _method
    logical_xor_ = logit = logit_ = logsumexp = long = lt = lt_ = masked_fill = _method
    masked_fill_ = masked_scatter = masked_scatter_ = masked_select = matmul = _method
    matrix_exp = matrix_power = max = maximum = median = min = minimum = mm = mode = _method
    moveaxis = movedim = msort = mul = mul_ = multinomial = multiply = multiply_ = _method
    mv = nan_to_num = nan_to_num_ = nanmean = nanmedian = nanquantile = nansum = _method
    narrow = ndimension = ne = ne_ = neg = neg_ = negative = negative_ = nelement = _method
    new = new_empty = new_full = new_ones = new_tensor = new_zeros = nextafter = _method
    nextafter_ = nonzero = norm = normal_ = not_equal = not_equal_ = numel = outer = _method
    permute = pin_memory = pinverse = polygamma = positive = pow = pow_ = prelu = _method
    put = put_ = qr = quantile = rad2deg = rad2deg_ = random_ = ravel = reciprocal = _method
    reciprocal_ = relu = relu_ = remainder = remainder_ = renorm = renorm_ = repeat = _method
    repeat_interleave = reshape_as = resize_ = resize_as_ = resolve_conj = _method
    resolve_neg = roll = rot90 = round = round_ = rsqrt = rsqrt_ = scatter = _method
    scatter_ = scatter_add = scatter_add_ = scatter_reduce = scatter_reduce_ = _method
    select = select_scatter = sgn = sgn_ = share_memory_ = short = sigmoid = _method
    sigmoid_ = sign = sign_ = signbit = sin = sin_ = sinc = sinc_ = sinh = sinh_ = _method
    slice_scatter = slogdet = softmax = sort = split = split_with_sizes = sqrt = _method
    sqrt_ = square = square_ = squeeze = squeeze_ = std = stride = sub = sub_ = _method
    subtract = subtract_ = sum_to_size = svd = swapaxes = swapaxes_ = swapdims = _method
    swapdims_ = t = t_ = take = take_along_dim = tan = tan_ = tanh = tanh_ = _method
    tensor_split = tile = to_dense = to_sparse = topk = trace = transpose = _method
    transpose_ = tril = tril_ = triu = triu_ = true_divide = true_divide_ = trunc = _method
    trunc_ = type = type_as = unbind = unflatten = unfold = uniform_ = unique = _method
    unique_consecutive = unsafe_chunk = unsafe_split = unsafe_split_with_sizes = _method
    unsqueeze = unsqueeze_ = var = vdot = view = view_as = vsplit = where = xlogy = _method
    xlogy_ = zero_ = _method
    H: Any
    data: Any
    grad_fn: Any
    is_cpu: Any
    is_cuda: Any
    is_meta: Any
    is_mps: Any
    is_nested: Any
    is_quantized: Any
    is_sparse: Any
    is_xpu: Any
    itemsize: Any
    layout: Any
    mH: Any
    nbytes: Any
    output_nr: Any
    retains_grad: Any
