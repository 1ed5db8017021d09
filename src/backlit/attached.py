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
    baddbmm = baddbmm_ = bernoulli_ = bfloat16 = bincount = bitwise_and = _method
    bitwise_and_ = bitwise_left_shift = bitwise_left_shift_ = bitwise_not = _method
    bitwise_not_ = bitwise_or = bitwise_or_ = bitwise_right_shift = _method
    bitwise_right_shift_ = bitwise_xor = bitwise_xor_ = bmm = bool = broadcast_to = _method
    byte = ceil = ceil_ = char = cholesky = cholesky_solve = chunk = clamp = clamp_ = _method
    clamp_max = clamp_max_ = clamp_min = clamp_min_ = clip = clip_ = clone = _method
    coalesce = conj = contiguous = copy_ = copysign = copysign_ = corrcoef = cos = _method
    cos_ = cosh = cosh_ = count_nonzero = cov = cpu = cross = cuda = cummax = cummin = _method
    cumprod = cumprod_ = cumsum = cumsum_ = data_ptr = deg2rad = deg2rad_ = det = _method
    detach_ = diag = diag_embed = diagflat = diagonal = diff = digamma = digamma_ = _method
    dim = dist = div = div_ = divide = divide_ = dot = double = dsplit = _method
    element_size = eq = eq_ = equal = erf = erf_ = erfc = erfc_ = erfinv = erfinv_ = _method
    exp = exp2 = exp2_ = exp_ = expand = expand_as = expm1 = expm1_ = exponential_ = _method
    fill_ = fill_diagonal_ = fix = fix_ = flatten = flip = fliplr = flipud = float = _method
    float_power = floor = floor_ = floor_divide = floor_divide_ = fmax = fmin = fmod = _method
    fmod_ = frac = frac_ = gather = gcd = gcd_ = ge = ge_ = ger = get_device = _method
    greater = greater_ = greater_equal = greater_equal_ = gt = gt_ = half = _method
    heaviside = heaviside_ = histc = histogram = hsplit = hypot = hypot_ = index_add = _method
    index_add_ = index_copy = index_copy_ = index_fill = index_fill_ = index_put = _method
    index_put_ = index_select = inner = int = inverse = is_complex = is_contiguous = _method
    is_floating_point = is_pinned = is_same_size = is_shared = is_signed = isclose = _method
    isfinite = isinf = isnan = isneginf = isposinf = kron = kthvalue = lcm = lcm_ = _method
    ldexp = le = le_ = lerp = lerp_ = less = less_ = less_equal = less_equal_ = _method
    lgamma = lgamma_ = log = log10 = log10_ = log1p = log1p_ = log2 = log2_ = log_ = _method
    log_softmax = logaddexp = logaddexp2 = logcumsumexp = logdet = logical_and = _method
    logical_and_ = logical_not = logical_not_ = logical_or = logical_or_ = _method
    logical_xor = logical_xor_ = logit = logit_ = logsumexp = long = lt = lt_ = _method
    masked_fill = masked_fill_ = masked_scatter = masked_scatter_ = masked_select = _method
    matmul = matrix_power = max = maximum = median = min = minimum = mm = mode = _method
    moveaxis = movedim = msort = mul = mul_ = multinomial = multiply = multiply_ = _method
    mv = nan_to_num = nan_to_num_ = nanmean = nanmedian = nanquantile = nansum = _method
    narrow = ndimension = ne = ne_ = neg = neg_ = negative = negative_ = nelement = _method
    new = new_empty = new_full = new_ones = new_tensor = new_zeros = nextafter = _method
    nextafter_ = nonzero = norm = normal_ = not_equal = not_equal_ = numel = outer = _method
    permute = pin_memory = pinverse = positive = pow = pow_ = prelu = qr = quantile = _method
    rad2deg = rad2deg_ = random_ = ravel = reciprocal = reciprocal_ = relu = relu_ = _method
    remainder = remainder_ = renorm = renorm_ = repeat = repeat_interleave = _method
    reshape_as = resize_ = resize_as_ = roll = rot90 = round = round_ = rsqrt = _method
    rsqrt_ = scatter = scatter_ = scatter_add = scatter_add_ = scatter_reduce = _method
    scatter_reduce_ = select = select_scatter = sgn = sgn_ = share_memory_ = short = _method
    sigmoid = sigmoid_ = sign = sign_ = signbit = sin = sin_ = sinc = sinc_ = sinh = _method
    sinh_ = slice_scatter = slogdet = softmax = sort = split = split_with_sizes = _method
    sqrt = sqrt_ = square = square_ = squeeze = squeeze_ = std = stride = sub = sub_ = _method
    subtract = subtract_ = svd = swapaxes = swapaxes_ = swapdims = swapdims_ = t = _method
    t_ = take = take_along_dim = tan = tan_ = tanh = tanh_ = tensor_split = tile = _method
    to_sparse = topk = trace = transpose = transpose_ = tril = tril_ = triu = triu_ = _method
    true_divide = true_divide_ = trunc = trunc_ = type = type_as = unbind = _method
    unflatten = unfold = uniform_ = unique = unique_consecutive = unsqueeze = _method
    unsqueeze_ = var = vdot = view = view_as = vsplit = where = xlogy = xlogy_ = _method
    zero_ = _method
    H: Any
    data: Any
    grad_fn: Any
    is_cuda: Any
    is_mps: Any
    is_quantized: Any
    is_sparse: Any
    itemsize: Any
    mH: Any
    nbytes: Any
