"""What PyTorch has and Backlit has not, and what to do instead."""

from __future__ import annotations

from ..spelling import COMPLEX, SPARSE


def names_of(room: str, names: str, cure: str) -> dict[str, str]:
    """One cure for several names of a room."""
    return {f"{room}.{name}": cure for name in names.split()}


_ONE_PROCESS = "it computes in one process on the CPU; leave it out"
_QUANTISED = "there are no quantised types; use float32 or bfloat16"
_SMALL = "the types are bool, integers of 8 to 64 bits, float16, bfloat16, float32 and float64"
_STORAGE = "a Tensor holds its own array; use x.numpy()"
_COMPILER = "backlit.compile(f) makes native code, and backlit.capture(f)(*inputs) is the graph"
_BY_LAYER = "use the function in torch.nn.functional, or the layer in torch.nn"
_SIZES = "sizes are Python's integers; use Python's function"
_AUTOCAST = "use torch.autocast('cpu', dtype=torch.bfloat16) around the code"
_SWITCH = "there is no such switch; leave it out"
_STREAMS = "it computes on the CPU, one thing after another; leave it out"
_WORKERS = "it computes in one process; use backlit.set_threads(n) for the cores"
_BESSEL = "scipy.special has it for x.numpy(), without a derivative"
_FACTOR = "solve with torch.linalg.solve, or factor with linalg.qr, cholesky or svd"
_PARTS = "there is one network; call it"
_OTHER_LAW = (
    "write a subclass of torch.distributions.Distribution with log_prob and sample, or transform "
    "one that is there with TransformedDistribution"
)

#: By PyTorch's full name; what stands at a module is true of all that is in it.
MISSING = {
    "torch.fft": COMPLEX,
    "torch.complex": COMPLEX,
    "torch.complex64": COMPLEX,
    "torch.complex128": COMPLEX,
    "torch.cfloat": COMPLEX,
    "torch.cdouble": COMPLEX,
    "torch.polar": COMPLEX,
    "torch.real": COMPLEX,
    "torch.imag": COMPLEX,
    "torch.angle": COMPLEX,
    "torch.stft": COMPLEX,
    "torch.istft": COMPLEX,
    "torch.view_as_real": COMPLEX,
    "torch.view_as_complex": COMPLEX,
    "torch.linalg.eig": f"{COMPLEX}, or linalg.eigh for a symmetric matrix",
    "torch.linalg.eigvals": f"{COMPLEX}, or linalg.eigvalsh for a symmetric matrix",
    "torch.distributed": _ONE_PROCESS,
    "torch.multiprocessing": _ONE_PROCESS,
    "torch.futures": _ONE_PROCESS,
    "torch.nn.parallel.DistributedDataParallel": (
        f"{_ONE_PROCESS}, or use nn.DataParallel(model), which is the model"
    ),
    "torch.optim.SparseAdam": "every gradient is dense, which SparseAdam refuses; use optim.Adam",
    "torch.nn.SyncBatchNorm": "there is one process; use nn.BatchNorm2d",
    "torch.sparse": SPARSE,
    "torch.sparse_coo_tensor": SPARSE,
    "torch.sparse_csr_tensor": SPARSE,
    "torch.spmm": f"{SPARSE}: torch.mm",
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
    "torch.lu": _FACTOR,
    "torch.linalg.lu": _FACTOR,
    "torch.linalg.lu_factor": "solve with torch.linalg.solve, which takes several right-hand sides",
    "torch.autograd.forward_ad": "torch.func.jvp(f, (x,), (v,)) has the derivative along v",
    "torch.nn.NLLLoss2d": "use nn.NLLLoss, which takes images, too",
    "torch.nested": "pad to one length: nn.utils.rnn.pad_sequence",
    "torch.masked": "use torch.where, or masked_fill",
    "torch.grid_sampler": "use nn.functional.grid_sample, which has words for its options",
    "torch.grid_sampler_2d": "use nn.functional.grid_sample, which has words for its options",
    "torch.grid_sampler_3d": "use nn.functional.grid_sample, which has words for its options",
    "torch.segment_reduce": "number the segments: out.scatter_reduce(0, numbers, x, 'sum')",
    "torch.xpu": "it computes on the CPU",
    "torch.mps": "it computes on the CPU",
    **names_of(
        "torch.special",
        "airy_ai bessel_j0 bessel_j1 bessel_y0 bessel_y1 erfcx gammainc gammaincc "
        "modified_bessel_i0 modified_bessel_i1 modified_bessel_k0 modified_bessel_k1 "
        "scaled_modified_bessel_k0 scaled_modified_bessel_k1 spherical_bessel_j0 zeta",
        _BESSEL,
    ),
    **names_of(
        "torch.special",
        "chebyshev_polynomial_t chebyshev_polynomial_u chebyshev_polynomial_v "
        "chebyshev_polynomial_w hermite_polynomial_h hermite_polynomial_he laguerre_polynomial_l "
        "legendre_polynomial_p shifted_chebyshev_polynomial_t shifted_chebyshev_polynomial_u "
        "shifted_chebyshev_polynomial_v shifted_chebyshev_polynomial_w",
        "compute it by its recurrence, a few products for each degree",
    ),
    **names_of("torch", "igamma igammac mvlgamma polygamma_", _BESSEL),
    **names_of(
        "torch",
        "Storage FloatStorage BFloat16Storage BoolStorage ByteStorage CharStorage "
        "ComplexDoubleStorage ComplexFloatStorage DoubleStorage HalfStorage IntStorage "
        "LongStorage ShortStorage StorageBase TypedStorage UntypedStorage is_storage storage "
        "from_file",
        _STORAGE,
    ),
    **names_of(
        "torch",
        "sparse_bsc sparse_bsr sparse_csc sparse_csr sparse_bsc_tensor sparse_bsr_tensor "
        "sparse_compressed_tensor sparse_csc_tensor col_indices_copy ccol_indices_copy "
        "crow_indices_copy row_indices_copy indices_copy values_copy dsmm hsmm hspmm saddmm smm "
        "sspaddmm resize_as_sparse_ jagged",
        SPARSE,
    ),
    **names_of(
        "torch",
        "ComplexFloatTensor ComplexDoubleTensor ComplexType view_as_complex_copy "
        "view_as_real_copy complex32 chalf is_conj is_neg conj_physical_",
        COMPLEX,
    ),
    **names_of(
        "torch",
        "QInt32Storage QInt8Storage QUInt2x4Storage QUInt4x2Storage QUInt8Storage "
        "choose_qparams_optimized dequantize empty_quantized fake_quantize_per_channel_affine "
        "fake_quantize_per_tensor_affine fused_moving_avg_obs_fake_quant int_repr "
        "per_channel_affine per_channel_affine_float_qparams per_channel_symmetric "
        "per_tensor_affine per_tensor_symmetric q_per_channel_axis q_per_channel_scales "
        "q_per_channel_zero_points q_scale q_zero_point qint32 qscheme quantize_per_channel "
        "quantize_per_tensor_dynamic quantized_batch_norm quantized_gru quantized_gru_cell "
        "quantized_lstm quantized_lstm_cell quantized_max_pool1d quantized_max_pool2d "
        "quantized_max_pool3d quantized_rnn_relu_cell quantized_rnn_tanh_cell quint2x4 quint4x2 "
        "fbgemm_linear_fp16_weight fbgemm_linear_fp16_weight_fp32_activation "
        "fbgemm_linear_int8_weight fbgemm_linear_int8_weight_fp32_activation "
        "fbgemm_linear_quantize_weight fbgemm_pack_gemm_matrix_fp16 fbgemm_pack_quantized_matrix",
        _QUANTISED,
    ),
    **names_of("torch.nn", "intrinsic qat quantizable quantized", _QUANTISED),
    **names_of(
        "torch",
        "bit bits16 bits1x8 bits2x4 bits4x2 bits8 float4_e2m1fn_x2 float8_e4m3fn float8_e4m3fnuz "
        "float8_e5m2 float8_e5m2fnuz float8_e8m0fnu int1 int2 int3 int4 int5 int6 int7 uint1 "
        "uint2 uint3 uint4 uint5 uint6 uint7",
        _SMALL,
    ),
    **names_of(
        "torch.nn.functional", "scaled_mm scaled_grouped_mm ScalingType SwizzleType", _SMALL
    ),
    **names_of(
        "torch",
        "AggregationType AliasDb AnyType Argument ArgumentSpec AwaitType BenchmarkConfig "
        "BenchmarkExecutionStats Block BoolType BufferDict CallStack Capsule ClassType Code "
        "CompilationUnit CompleteArgumentSpec ConcreteModuleType ConcreteModuleTypeBuilder "
        "DeepCopyMemoTable DeserializationStorageContext DeviceObjType DictType "
        "DisableTorchFunction DisableTorchFunctionSubclass DispatchKey DispatchKeySet EnumType "
        "ErrorReport ExcludeDispatchKeyGuard ExecutionPlan FileCheck FloatType FunctionSchema "
        "FutureType Gradient Graph GraphExecutorState IODescriptor InferredType IntType "
        "InterfaceType JITException ListType LiteScriptModule LockingLogger LoggerBase ModuleDict "
        "Node NoneType NoopLogger NumberType OperatorInfo OptionalType ParameterDict PyObjectType "
        "PyTorchFileReader PyTorchFileWriter RRefType ScriptClass ScriptClassFunction ScriptDict "
        "ScriptDictIterator ScriptDictKeyIterator ScriptFunction ScriptList ScriptListIterator "
        "ScriptMethod ScriptModule ScriptModuleSerializer ScriptObject ScriptObjectProperty "
        "SerializationStorageContext StaticModule StreamObjType StringType SymBoolType SymIntType "
        "TensorType TracingState TupleType Type UnionType Use Value cond cpp import_ir_module "
        "import_ir_module_from_buffer merge_type_from_type_comment parse_ir parse_schema "
        "parse_type_comment unify_type_list while_loop AVG SUM PRIVATE_OPS Tag classproperty "
        "return_types torch_version types functional thread_safe_generator quasirandom",
        _COMPILER,
    ),
    **names_of(
        "torch.jit",
        "Attribute CompilationUnit Error ScriptFunction ScriptModule annotate "
        "enable_onednn_fusion export_opnames freeze interface isinstance onednn_fusion_enabled "
        "optimize_for_inference script_if_tracing set_fusion_strategy strict_fusion trace_module",
        _COMPILER,
    ),
    **names_of(
        "torch.jit", "load save", "save the weights with torch.save(model.state_dict(), path)"
    ),
    **names_of("torch.jit", "Future fork wait", _WORKERS),
    **names_of(
        "torch.compiler",
        "assume_constant_result config get_default_backend is_exporting "
        "keep_portable_guards_unsafe keep_tensor_guards_unsafe list_backends load_cache_artifacts "
        "load_compiled_function nested_compile_region save_cache_artifacts set_default_backend "
        "set_enable_guard_collectives set_stance skip_all_guards_unsafe "
        "skip_guard_on_all_nn_modules_unsafe skip_guard_on_globals_unsafe "
        "skip_guard_on_inbuilt_nn_modules_unsafe substitute_in_graph wrap_numpy",
        _COMPILER,
    ),
    **names_of(
        "torch",
        "SymBool SymFloat SymInt sym_constrain_range sym_constrain_range_for_size sym_float "
        "sym_fresh_size sym_int sym_ite sym_max sym_min sym_not sym_sqrt sym_sum",
        _SIZES,
    ),
    **names_of(
        "torch",
        "alias_copy as_strided_copy detach_copy diagonal_copy expand_copy narrow_copy "
        "permute_copy select_copy slice_copy split_copy split_with_sizes_copy squeeze_copy t_copy "
        "transpose_copy unbind_copy unfold_copy unsqueeze_copy view_copy",
        "use the function without _copy, and clone() of its result",
    ),
    **names_of(
        "torch",
        "affine_grid_generator alpha_dropout alpha_dropout_ batch_norm batch_norm_backward_elemt "
        "batch_norm_backward_reduce batch_norm_elemt batch_norm_gather_stats "
        "batch_norm_gather_stats_with_counts batch_norm_stats batch_norm_update_stats "
        "binary_cross_entropy_with_logits celu_ conv_tbc convolution cosine_embedding_loss "
        "ctc_loss cudnn_affine_grid_generator cudnn_batch_norm cudnn_convolution "
        "cudnn_convolution_add_relu cudnn_convolution_relu cudnn_convolution_transpose "
        "cudnn_grid_sampler cudnn_is_acceptable dropout_ embedding embedding_bag "
        "embedding_renorm_ feature_alpha_dropout feature_alpha_dropout_ feature_dropout "
        "feature_dropout_ gru gru_cell hinge_embedding_loss instance_norm kl_div lstm lstm_cell "
        "margin_ranking_loss max_pool1d_with_indices miopen_batch_norm miopen_convolution "
        "miopen_convolution_add_relu miopen_convolution_relu miopen_convolution_transpose "
        "miopen_ctc_loss miopen_depthwise_convolution miopen_rnn mkldnn_adaptive_avg_pool2d "
        "mkldnn_convolution mkldnn_linear_backward_weights mkldnn_max_pool2d mkldnn_max_pool3d "
        "mkldnn_rnn_layer native_batch_norm native_channel_shuffle native_dropout "
        "native_group_norm native_layer_norm poisson_nll_loss rnn_relu rnn_relu_cell rnn_tanh "
        "rnn_tanh_cell rrelu rrelu_ selu_ threshold_ triplet_margin_loss",
        _BY_LAYER,
    ),
    **names_of(
        "torch.nn.functional",
        "adaptive_max_pool1d_with_indices adaptive_max_pool2d_with_indices "
        "adaptive_max_pool3d_with_indices fractional_max_pool2d_with_indices "
        "fractional_max_pool3d_with_indices max_pool1d_with_indices max_pool2d_with_indices "
        "max_pool3d_with_indices",
        "use the function without _with_indices, with return_indices=True",
    ),
    **names_of("torch.nn.functional", "conv_tbc", "permute to (N, C, T) and use conv1d"),
    **names_of("torch.nn.functional", "grouped_mm", "use torch.bmm, or one product a group"),
    "torch.nn.functional.native_channel_shuffle": "use nn.functional.channel_shuffle",
    **names_of(
        "torch.nn.functional",
        "BroadcastingList1 BroadcastingList2 BroadcastingList3 DType "
        "GRID_SAMPLE_INTERPOLATION_MODES GRID_SAMPLE_PADDING_MODES assert_int_or_pair "
        "boolean_dispatch handle_torch_function has_torch_function has_torch_function_unary "
        "has_torch_function_variadic reproducibility_notes sparse_support_notes tf32_notes",
        "it is a part of PyTorch's own files; leave it out",
    ),
    **names_of(
        "torch",
        "as_strided as_strided_ as_strided_scatter empty_strided empty_permuted slice_inverse "
        "memory_format layout legacy_contiguous_format hash_tensor",
        "elements lie in the order of their axes; use unfold, permute, or x[...]",
    ),
    **names_of(
        "torch",
        "autocast_decrement_nesting autocast_increment_nesting clear_autocast_cache "
        "get_autocast_cpu_dtype get_autocast_gpu_dtype get_autocast_ipu_dtype "
        "get_autocast_xla_dtype is_autocast_cache_enabled is_autocast_cpu_enabled "
        "is_autocast_ipu_enabled is_autocast_xla_enabled set_autocast_cache_enabled "
        "set_autocast_cpu_dtype set_autocast_cpu_enabled set_autocast_dtype set_autocast_enabled "
        "set_autocast_gpu_dtype set_autocast_ipu_dtype set_autocast_ipu_enabled "
        "set_autocast_xla_dtype set_autocast_xla_enabled",
        _AUTOCAST,
    ),
    **names_of("torch.amp", "is_autocast_available amp_definitely_not_available", _AUTOCAST),
    **names_of(
        "torch",
        "USE_GLOBAL_DEPS USE_RTLD_GLOBAL_WITH_LIBTORCH compiled_with_cxx11_abi "
        "get_deterministic_debug_mode has_lapack has_mkl has_openmp has_spectral init_num_threads "
        "is_anomaly_check_nan_enabled is_anomaly_enabled "
        "is_deterministic_algorithms_warn_only_enabled is_inference is_inference_mode_enabled "
        "is_vulkan_available is_warn_always_enabled set_anomaly_enabled windows monitor "
        "get_file_path prepare_multiprocessing_environment "
        "profiler_allow_cudagraph_cupti_lazy_reinit_cuda12",
        _SWITCH,
    ),
    **names_of(
        "torch",
        "AcceleratorError Event Stream StreamContext cpu get_device get_device_module mtia "
        "OutOfMemoryError FatalError is_distributed",
        _STREAMS,
    ),
    **names_of("torch", "Future ThroughputBenchmark fork wait", _WORKERS),
    **names_of(
        "torch",
        "eig symeig lstsq solve triangular_solve matrix_rank",
        "PyTorch has moved it: use the function of torch.linalg (eigh, lstsq, solve, "
        "solve_triangular, matrix_rank)",
    ),
    **names_of("torch", "geqrf lu_solve lu_unpack orgqr ormqr lobpcg", _FACTOR),
    **names_of(
        "torch.linalg",
        "householder_product ldl_factor ldl_factor_ex ldl_solve lu_factor_ex lu_solve tensorinv "
        "tensorsolve",
        _FACTOR,
    ),
    "torch.linalg.LinAlgError": "a matrix that has no inverse raises ArgumentError, a ValueError",
    **names_of(
        "torch",
        "frobenius_norm nuclear_norm native_norm norm_except_dim",
        "use torch.linalg.norm, which takes the kind and the axes",
    ),
    "torch.frexp": "e = x.abs().log2().floor() + 1 is the exponent, x / 2**e the rest",
    "torch.binomial": "sum n draws of torch.bernoulli",
    "torch.nonzero_static": "sizes depend on values; use torch.nonzero",
    "torch.is_signed": "use dtype not in (torch.bool, torch.uint8)",
    "torch.to_dlpack": "torch.from_dlpack(x) takes a Tensor itself",
    "torch.signal": "the windows are in torch: hann_window, hamming_window, kaiser_window",
    "torch.numa": _SWITCH,
    **names_of(
        "torch.nn", "Container factory_kwargs common_types", "use nn.Module, or nn.Sequential"
    ),
    **names_of(
        "torch.nn",
        "linear_cross_entropy linear_cross_entropy_options",
        "use nn.LinearCrossEntropyLoss",
    ),
    "torch.nn.LinearCrossEntropyOptions": "give its options to nn.LinearCrossEntropyLoss",
    **names_of(
        "torch.nn",
        "RNNBase RNNCellBase",
        "use nn.RNN, nn.GRU, nn.LSTM or their cells, or nn.Module",
    ),
    **names_of("torch.nn", "grad", "torch.autograd.grad(y, (x, w), grad_y) has both gradients"),
    **names_of(
        "torch.nn.functional", "grad", "torch.autograd.grad(y, (x, w), grad_y) has both gradients"
    ),
    **names_of("torch.nn.init", "dirac eye sparse", "the name ends in _: it writes in place"),
    **names_of(
        "torch.nn.utils",
        "convert_conv2d_weight_memory_format convert_conv3d_weight_memory_format",
        "elements lie in the order of their axes; leave it out",
    ),
    **names_of(
        "torch.nn.utils",
        "fuse_conv_bn_weights fuse_linear_bn_weights",
        "use fuse_conv_bn_eval or fuse_linear_bn_eval, which take the layers",
    ),
    **names_of("torch.nn.parallel", "gather parallel_apply replicate scatter", _PARTS),
    **names_of(
        "torch.nn.attention",
        "WARN_FOR_UNFUSED_KERNELS activate_flash_attention_impl current_flash_attention_impl "
        "list_flash_attention_impls register_flash_attention_impl restore_flash_attention_impl",
        "scaled_dot_product_attention has one implementation; leave it out",
    ),
    **names_of(
        "torch.nn.parameter", "UninitializedTensorMixin is_lazy", "use nn.UninitializedParameter"
    ),
    "torch.nn.LazyModuleMixin": "use nn.LazyLinear and its like, or nn.Module",
    "torch.optim.swap_in_optimizer_params_and_state": "use optimizer.load_state_dict",
    **names_of(
        "torch.utils.data",
        "DFIterDataPipe DataChunk IterDataPipe MapDataPipe argument_validation "
        "functional_datapipe guaranteed_datapipes_determinism non_deterministic "
        "runtime_validation runtime_validation_disabled datapipes graph graph_settings "
        "backward_compatibility",
        "data pipes have left PyTorch; use IterableDataset",
    ),
    **names_of(
        "torch.utils",
        "ThroughputBenchmark backcompat backend_registration cmake_prefix_path collect_env "
        "cpp_backtrace deterministic dlpack generate_methods_for_privateuse1_backend "
        "get_cpp_backtrace hooks rename_privateuse1_backend set_module swap_tensors "
        "throughput_benchmark weak bottleneck flop_counter mobile_optimizer",
        _SWITCH,
    ),
    **names_of(
        "torch.utils.checkpoint",
        "CheckpointError CheckpointFunction CheckpointPolicy DefaultDeviceType GraphExecGroup "
        "SAC_IGNORED_OPS SelectiveCheckpointContext check_backward_validity "
        "create_selective_checkpoint_contexts detach_variable get_device_states noop_context_fn "
        "set_checkpoint_debug_enabled set_checkpoint_early_stop set_device_states",
        "use checkpoint(f, *inputs), or checkpoint_sequential",
    ),
    **names_of(
        "torch.distributions",
        "ContinuousBernoulli ExponentialFamily FisherSnedecor GeneralizedPareto LKJCholesky "
        "LogisticNormal LowRankMultivariateNormal VonMises Wishart continuous_bernoulli "
        "exp_family fishersnedecor generalized_pareto lkj_cholesky logistic_normal "
        "lowrank_multivariate_normal von_mises wishart",
        _OTHER_LAW,
    ),
    **names_of(
        "torch.distributions",
        "AbsTransform CatTransform CorrCholeskyTransform CumulativeDistributionTransform "
        "IndependentTransform LowerCholeskyTransform PositiveDefiniteTransform PowerTransform "
        "ReshapeTransform SoftmaxTransform SoftplusTransform StackTransform "
        "StickBreakingTransform biject_to identity_transform transform_to constraint_registry",
        "write a subclass of torch.distributions.Transform",
    ),
    **names_of(
        "torch.distributions",
        "constraints utils",
        "write the condition yourself; validate_args=False leaves checks out",
    ),
    **names_of(
        "torch.autograd",
        "NestedIOFunction enforce_grad_layout_policy set_multithreading_enabled",
        "use torch.autograd.Function",
    ),
    **names_of(
        "torch.func",
        "debug_unwrap functionalize linearize rearrange",
        "use torch.func.jvp or vjp, and einops for rearrange",
    ),
    "torch.func.replace_all_batch_norm_modules_": ("give each norm track_running_stats=False"),
    **names_of("torch.testing", "FileCheck make_tensor", "use torch.randn(shape)"),
    **names_of(
        "torch.backends",
        "cpu cusparselt kleidiai mha miopen nnpack opt_einsum python_native",
        _SWITCH,
    ),
    **names_of(
        "torch.cuda",
        "BFloat16Storage BoolStorage ByteStorage CharStorage ComplexDoubleStorage "
        "ComplexFloatStorage DoubleStorage FloatStorage HalfStorage IntStorage LongStorage "
        "ShortStorage",
        _STORAGE,
    ),
    **names_of(
        "torch.cuda",
        "CUDAGraph CUDAPluggableAllocator CudaError DeferredCudaCallError ExternalStream "
        "GreenContext MemPool StreamContext caching_allocator_alloc caching_allocator_delete "
        "caching_allocator_disabled caching_allocator_enable can_device_access_peer "
        "change_current_allocator check_error clock_rate cudaStatus cudart current_blas_handle "
        "current_solver_handle default_generators device_memory_used device_of "
        "get_allocator_backend get_arch_list get_gencode_flags get_per_process_memory_fraction "
        "get_rng_state get_stream_from_external get_sync_debug_mode graph graph_pool_handle "
        "graphs has_half has_magma host_memory_stats host_memory_stats_as_nested_dict "
        "initial_seed is_tf32_supported jiterator list_gpu_processes make_graphed_callables "
        "memory memory_snapshot memory_stats memory_stats_as_nested_dict memory_summary "
        "memory_usage nccl nvtx power_draw profiler random reset_accumulated_host_memory_stats "
        "reset_max_memory_cached reset_peak_host_memory_stats set_per_process_memory_fraction "
        "set_rng_state set_stream set_sync_debug_mode sparse stream streams temperature tunable "
        "use_mem_pool utilization",
        _STREAMS,
    ),
}
