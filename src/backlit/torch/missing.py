"""What PyTorch has and Backlit has not, and what to do instead."""

from __future__ import annotations

_COMPLEX = "there are no complex numbers; compute with the real and the imaginary part"
_ONE_PROCESS = "it computes in one process on the CPU; leave it out"
_SPARSE = "there are no sparse Tensors; a dense one has the zeros"
_QUANTISED = "there are no quantised types; use float32 or bfloat16"

#: By PyTorch's full name; what stands at a module is true of all that is in it.
MISSING = {
    "torch.fft": _COMPLEX,
    "torch.complex": _COMPLEX,
    "torch.complex64": _COMPLEX,
    "torch.complex128": _COMPLEX,
    "torch.cfloat": _COMPLEX,
    "torch.cdouble": _COMPLEX,
    "torch.polar": _COMPLEX,
    "torch.real": _COMPLEX,
    "torch.imag": _COMPLEX,
    "torch.angle": _COMPLEX,
    "torch.stft": _COMPLEX,
    "torch.istft": _COMPLEX,
    "torch.view_as_real": _COMPLEX,
    "torch.view_as_complex": _COMPLEX,
    "torch.linalg.eig": f"{_COMPLEX}, or linalg.eigh for a symmetric matrix",
    "torch.linalg.eigvals": f"{_COMPLEX}, or linalg.eigvalsh for a symmetric matrix",
    "torch.distributed": _ONE_PROCESS,
    "torch.multiprocessing": _ONE_PROCESS,
    "torch.futures": _ONE_PROCESS,
    "torch.nn.parallel.DistributedDataParallel": (
        f"{_ONE_PROCESS}, or use nn.DataParallel(model), which is the model"
    ),
    "torch.optim.SparseAdam": "every gradient is dense, which SparseAdam refuses; use optim.Adam",
    "torch.nn.SyncBatchNorm": "there is one process; use nn.BatchNorm2d",
    "torch.sparse": _SPARSE,
    "torch.sparse_coo_tensor": _SPARSE,
    "torch.sparse_csr_tensor": _SPARSE,
    "torch.spmm": f"{_SPARSE}: torch.mm",
    "torch.quantization": _QUANTISED,
    "torch.ao": _QUANTISED,
    "torch.qint8": _QUANTISED,
    "torch.quint8": _QUANTISED,
    "torch.quantize_per_tensor": _QUANTISED,
    "torch.fx": "the graph of a function is backlit.capture(f)(*inputs), and see.draw draws it",
    "torch.onnx": "save the weights with torch.save(model.state_dict(), path)",
    "torch.hub": "fetch the file yourself and read it with torch.load(path)",
    "torch.profiler": "backlit.compile(f).profile says what each kernel costs",
    "torch.autograd.profiler": "backlit.compile(f).profile says what each kernel costs",
    "torch.utils.cpp_extension": "write an op: see docs/guide/own-op.md",
    "torch.utils.model_zoo": "fetch the file yourself and read it with torch.load(path)",
    "torch.library": "write an op: see docs/guide/own-op.md",
    "torch.ops": "call the function by its name in torch",
    "torch.classes": "call the function by its name in torch",
    "torch.overrides": "write a function instead",
    "torch.package": "save the weights with torch.save(model.state_dict(), path)",
    "torch.export": "the graph of a function is backlit.capture(f)(*inputs)",
    "torch.lu": "solve with torch.linalg.solve, or factor with linalg.qr, cholesky or svd",
    "torch.linalg.lu": "solve with torch.linalg.solve, or factor with linalg.qr, cholesky or svd",
    "torch.linalg.lu_factor": "solve with torch.linalg.solve, which takes several right-hand sides",
    "torch.autograd.forward_ad": "torch.func.jvp(f, (x,), (v,)) has the derivative along v",
    "torch.nn.NLLLoss2d": "use nn.NLLLoss, which takes images, too",
    "torch.nested": "pad to one length: nn.utils.rnn.pad_sequence",
    "torch.masked": "use torch.where, or masked_fill",
    "torch.grid_sampler": "use nn.functional.grid_sample, which has words for its options",
    "torch.grid_sampler_2d": "use nn.functional.grid_sample, which has words for its options",
    "torch.grid_sampler_3d": "use nn.functional.grid_sample, which has words for its options",
    "torch.i0": "there are no Bessel functions; np.i0(x.numpy()) has the values",
    "torch.segment_reduce": "number the segments: out.scatter_reduce(0, numbers, x, 'sum')",
    **{
        f"torch.special.{name}": "scipy.special has it for x.numpy(), without a derivative"
        for name in (
            "airy_ai bessel_j0 bessel_j1 bessel_y0 bessel_y1 erfcx gammainc gammaincc i0 i0e i1 "
            "i1e modified_bessel_i0 modified_bessel_i1 modified_bessel_k0 modified_bessel_k1 zeta"
        ).split()
    },
    "torch.xpu": "it computes on the CPU",
    "torch.mps": "it computes on the CPU",
    "torch.Storage": "a Tensor holds its own array; use x.numpy()",
    "torch.FloatStorage": "a Tensor holds its own array; use x.numpy()",
}
