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
    byte = ceil = ceil_ = char = cholesky = chunk = clamp = clamp_ = clamp_max = _method
    clamp_max_ = clamp_min = clamp_min_ = clip = clip_ = clone = coalesce = _method
    contiguous = copy_ = copysign = copysign_ = corrcoef = cos = cos_ = cosh = cosh_ = _method
    count_nonzero = cov = cpu = cross = cuda = cummax = cummin = cumprod = _method
    cumprod_ = cumsum = cumsum_ = data_ptr = deg2rad = deg2rad_ = det = detach_ = _method
    diag = diag_embed = diagflat = diagonal = diff = digamma = digamma_ = dim = dist = _method
    div = div_ = divide = divide_ = dot = double = element_size = eq = eq_ = equal = _method
    erf = erf_ = erfc = erfc_ = erfinv = erfinv_ = exp = exp2 = exp2_ = exp_ = _method
    expand = expand_as = expm1 = expm1_ = exponential_ = fill_ = fix = fix_ = _method
    flatten = flip = fliplr = flipud = float = floor = floor_ = floor_divide = _method
    floor_divide_ = fmax = fmin = fmod = fmod_ = frac = frac_ = gather = gcd = gcd_ = _method
    ge = ge_ = ger = get_device = greater = greater_ = greater_equal = _method
    greater_equal_ = gt = gt_ = half = heaviside = heaviside_ = histc = histogram = _method
    hypot = hypot_ = index_add = index_add_ = index_copy = index_copy_ = index_fill = _method
    index_fill_ = index_put_ = index_reduce_ = index_select = inner = int = _method
    inverse = is_complex = is_contiguous = is_floating_point = is_pinned = _method
    is_same_size = is_shared = is_signed = isclose = isfinite = isinf = isnan = _method
    isneginf = isposinf = kron = kthvalue = lcm = lcm_ = le = le_ = lerp = lerp_ = _method
    less = less_ = less_equal = less_equal_ = lgamma = lgamma_ = log = log10 = _method
    log10_ = log1p = log1p_ = log2 = log2_ = log_ = log_softmax = logaddexp = _method
    logaddexp2 = logcumsumexp = logdet = logical_and = logical_and_ = logical_not = _method
    logical_not_ = logical_or = logical_or_ = logical_xor = logical_xor_ = logit = _method
    logit_ = logsumexp = long = lt = lt_ = masked_fill = masked_fill_ = _method
    masked_scatter = masked_scatter_ = masked_select = matmul = matrix_power = max = _method
    maximum = median = min = minimum = mm = mode = moveaxis = movedim = msort = mul = _method
    mul_ = multiply = multiply_ = mv = nan_to_num = nan_to_num_ = nanmean = _method
    nanmedian = nanquantile = nansum = narrow = ndimension = ne = ne_ = neg = neg_ = _method
    negative = negative_ = nelement = new = new_empty = new_full = new_ones = _method
    new_tensor = new_zeros = nextafter = nextafter_ = nonzero = norm = normal_ = _method
    not_equal = not_equal_ = numel = outer = permute = pin_memory = pinverse = _method
    positive = pow = pow_ = prelu = qr = quantile = rad2deg = rad2deg_ = random_ = _method
    ravel = reciprocal = reciprocal_ = relu = relu_ = remainder = remainder_ = _method
    renorm = renorm_ = repeat = repeat_interleave = reshape_as = resize_ = _method
    resize_as_ = roll = rot90 = round = round_ = rsqrt = rsqrt_ = scatter = scatter_ = _method
    scatter_add = scatter_add_ = scatter_reduce = scatter_reduce_ = select = sgn = _method
    sgn_ = share_memory_ = short = sigmoid = sigmoid_ = sign = sign_ = signbit = sin = _method
    sin_ = sinc = sinc_ = sinh = sinh_ = slogdet = softmax = sort = split = sqrt = _method
    sqrt_ = square = square_ = squeeze = squeeze_ = std = stride = sub = sub_ = _method
    subtract = subtract_ = svd = swapaxes = swapaxes_ = swapdims = t = t_ = take = _method
    take_along_dim = tan = tan_ = tanh = tanh_ = tensor_split = tile = to_sparse = _method
    topk = trace = transpose = transpose_ = tril = tril_ = triu = triu_ = _method
    true_divide = true_divide_ = trunc = trunc_ = type = type_as = unbind = _method
    unflatten = unfold = uniform_ = unique = unique_consecutive = unsqueeze = _method
    unsqueeze_ = var = vdot = view = view_as = where = xlogy = xlogy_ = zero_ = _method
    data: Any
    grad_fn: Any
    is_cuda: Any
    is_mps: Any
    is_quantized: Any
    is_sparse: Any
    itemsize: Any
    nbytes: Any
