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
    byte = cauchy_ = ceil = ceil_ = char = cholesky = cholesky_solve = chunk = clamp = _method
    clamp_ = clamp_max = clamp_max_ = clamp_min = clamp_min_ = clip = clip_ = _method
    clone = coalesce = conj = conj_physical = contiguous = copy_ = copysign = _method
    copysign_ = corrcoef = cos = cos_ = cosh = cosh_ = count_nonzero = cov = cpu = _method
    cross = cuda = cummax = cummin = cumprod = cumprod_ = cumsum = cumsum_ = _method
    data_ptr = deg2rad = deg2rad_ = det = detach_ = diag = diag_embed = diagflat = _method
    diagonal = diff = digamma = digamma_ = dim = dist = div = div_ = divide = _method
    divide_ = dot = double = dsplit = element_size = eq = eq_ = equal = erf = erf_ = _method
    erfc = erfc_ = erfinv = erfinv_ = exp = exp2 = exp2_ = exp_ = expand = expand_as = _method
    expm1 = expm1_ = exponential_ = fill_ = fill_diagonal_ = fix = fix_ = flatten = _method
    flip = fliplr = flipud = float = float_power = floor = floor_ = floor_divide = _method
    floor_divide_ = fmax = fmin = fmod = fmod_ = frac = frac_ = gather = gcd = gcd_ = _method
    ge = ge_ = geometric_ = ger = get_device = greater = greater_ = greater_equal = _method
    greater_equal_ = gt = gt_ = half = hardshrink = heaviside = heaviside_ = histc = _method
    histogram = hsplit = hypot = hypot_ = index_add = index_add_ = index_copy = _method
    index_copy_ = index_fill = index_fill_ = index_put = index_put_ = index_select = _method
    inner = int = inverse = is_complex = is_contiguous = is_floating_point = _method
    is_inference = is_nonzero = is_pinned = is_same_size = is_shared = is_signed = _method
    isclose = isfinite = isinf = isnan = isneginf = isposinf = isreal = kron = _method
    kthvalue = lcm = lcm_ = ldexp = ldexp_ = le = le_ = lerp = lerp_ = less = less_ = _method
    less_equal = less_equal_ = lgamma = lgamma_ = log = log10 = log10_ = log1p = _method
    log1p_ = log2 = log2_ = log_ = log_normal_ = log_softmax = logaddexp = _method
    logaddexp2 = logcumsumexp = logdet = logical_and = logical_and_ = logical_not = _method
    logical_not_ = logical_or = logical_or_ = logical_xor = logical_xor_ = logit = _method
    logit_ = logsumexp = long = lt = lt_ = masked_fill = masked_fill_ = _method
    masked_scatter = masked_scatter_ = masked_select = matmul = matrix_power = max = _method
    maximum = median = min = minimum = mm = mode = moveaxis = movedim = msort = mul = _method
    mul_ = multinomial = multiply = multiply_ = mv = nan_to_num = nan_to_num_ = _method
    nanmean = nanmedian = nanquantile = nansum = narrow = ndimension = ne = ne_ = _method
    neg = neg_ = negative = negative_ = nelement = new = new_empty = new_full = _method
    new_ones = new_tensor = new_zeros = nextafter = nextafter_ = nonzero = norm = _method
    normal_ = not_equal = not_equal_ = numel = outer = permute = pin_memory = _method
    pinverse = polygamma = positive = pow = pow_ = prelu = put = put_ = qr = _method
    quantile = rad2deg = rad2deg_ = random_ = ravel = reciprocal = reciprocal_ = _method
    relu = relu_ = remainder = remainder_ = renorm = renorm_ = repeat = _method
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
    mH: Any
    nbytes: Any
    output_nr: Any
    retains_grad: Any
