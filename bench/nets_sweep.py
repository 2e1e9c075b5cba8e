"""One operator each, the breadth of what the ops suite takes in depth: shapes as nets have them, other dtypes, other axes.

A row is a node and what goes into it: a shape (normal f32), an array, or Const(array) for what the model knows.
"""
import numpy as np
import onnx
from onnx import helper, numpy_helper

SWEEP = {}
RNG_SEED = 7


class Const:
    """An operand that stands in the model."""

    def __init__(self, *values, dtype=np.int64):
        self.array = values[0] if isinstance(values[0], np.ndarray) else np.array(values, dtype)


def scalar(value, dtype=np.int64):
    return Const(np.array(value, dtype))


def weight(*dims, std=0.1):
    return Const((np.random.default_rng(RNG_SEED).standard_normal(dims) * std).astype(np.float32))


def ints(high, *dims, dtype=np.int64, low=0):
    return np.random.default_rng(RNG_SEED).integers(low, high, dims).astype(dtype)


def f32(*dims):
    return np.random.default_rng(RNG_SEED).standard_normal(dims).astype(np.float32)


def positive(*dims):
    return np.abs(f32(*dims)) + np.float32(0.1)


def model_of(name, op, operands, outputs, opset, attributes):
    feeds, infos, weights, names = [], [], [], []
    for k, x in enumerate(operands):
        if x is None:
            names.append("")
            continue
        names.append(f"x{k}")
        if isinstance(x, Const):
            weights.append(numpy_helper.from_array(x.array, names[-1]))
            continue
        x = x if isinstance(x, np.ndarray) else np.random.default_rng(k).standard_normal(x).astype(np.float32)
        feeds.append(x)
        infos.append(helper.make_tensor_value_info(names[-1], helper.np_dtype_to_tensor_dtype(x.dtype), x.shape))
    results = [f"y{k}" for k in range(outputs)]
    graph = helper.make_graph([helper.make_node(op, names, results, **attributes)], name, infos,
                              [helper.make_empty_tensor_value_info(r) for r in results], weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=10)
    return onnx.shape_inference.infer_shapes(model), feeds


def row(name, op, *operands, outputs=1, opset=21, **attributes):
    SWEEP[name] = lambda: model_of(name, op, operands, outputs, opset, attributes)


IMAGE, MATRIX = (1, 64, 112, 112), (512, 1024)


def elementwise():
    for op in ("Abs Relu Sigmoid Tanh Erf Exp Softplus Softsign HardSwish HardSigmoid Mish Sin Cos Atan Round Floor Ceil "
               "Sign Gelu Elu Selu Celu LeakyRelu ThresholdedRelu Reciprocal Neg Asinh Tan Sinh Cosh IsNaN IsInf").split():
        row(op.lower(), op, IMAGE)
    for op in "Log Sqrt".split():
        row(op.lower(), op, positive(*IMAGE))
    for op in "Acos Asin Atanh".split():
        row(op.lower(), op, np.tanh(f32(*IMAGE)) * np.float32(0.99))
    row("acosh", "Acosh", positive(*IMAGE) + 1)
    for op in "Add Sub Mul Div Max Min Less GreaterOrEqual Equal".split():
        row(op.lower(), op, IMAGE, IMAGE)
    row("pow", "Pow", positive(*IMAGE), IMAGE)
    row("pow_square", "Pow", IMAGE, scalar(2, np.float32))
    row("pow_root", "Pow", positive(*IMAGE), scalar(0.5, np.float32))
    row("mod_float", "Mod", IMAGE, IMAGE, fmod=1)
    for dtype in (np.int32, np.int64, np.uint8):
        tag = np.dtype(dtype).name
        a, b = ints(100, *MATRIX, dtype=dtype, low=1), ints(9, *MATRIX, dtype=dtype, low=1)
        for op in "Add Mul Div Mod Less Equal Max".split():
            row(f"{op.lower()}_{tag}", op, a, b)
    for op in "And Or Xor".split():
        row(op.lower(), op, ints(2, *MATRIX, dtype=bool), ints(2, *MATRIX, dtype=bool))
    row("not", "Not", ints(2, *MATRIX, dtype=bool))
    row("bitshift", "BitShift", ints(1000, *MATRIX, dtype=np.uint32), ints(9, *MATRIX, dtype=np.uint32),
        direction="LEFT")
    row("bitwise_and", "BitwiseAnd", ints(1000, *MATRIX, dtype=np.int32), ints(999, *MATRIX, dtype=np.int32))
    row("add_channel", "Add", IMAGE, (1, 64, 1, 1))
    row("add_row", "Add", MATRIX, (1024,))
    row("mul_column", "Mul", MATRIX, (512, 1))
    row("mul_both", "Mul", (512, 1), (1, 1024))
    row("add_f16", "Add", f32(*MATRIX).astype(np.float16), f32(*MATRIX).astype(np.float16))
    row("sigmoid_f16", "Sigmoid", f32(*MATRIX).astype(np.float16))
    row("exp_f64", "Exp", f32(*MATRIX).astype(np.float64))
    row("tanh_f64", "Tanh", f32(*MATRIX).astype(np.float64))
    row("add_f64", "Add", f32(*MATRIX).astype(np.float64), f32(*MATRIX).astype(np.float64))
    row("where", "Where", ints(2, *IMAGE, dtype=bool), IMAGE, IMAGE)
    row("where_row", "Where", ints(2, 1, 1024, dtype=bool), MATRIX, scalar(0, np.float32))
    row("clip", "Clip", IMAGE, scalar(0, np.float32), scalar(6, np.float32))
    row("prelu", "PRelu", IMAGE, (64, 1, 1))
    row("sum3", "Sum", IMAGE, IMAGE, IMAGE)
    row("mean3", "Mean", IMAGE, IMAGE, IMAGE)
    for to in "FLOAT16 BFLOAT16 DOUBLE INT64 INT32 UINT8 INT8 BOOL".split():
        row(f"cast_{to.lower()}", "Cast", positive(*IMAGE) * 10, to=getattr(onnx.TensorProto, to))
    row("cast_u8_f32", "Cast", ints(256, *IMAGE, dtype=np.uint8), to=onnx.TensorProto.FLOAT)
    row("cast_i64_f32", "Cast", ints(256, *MATRIX), to=onnx.TensorProto.FLOAT)
    row("cast_i64_i32", "Cast", ints(256, *MATRIX), to=onnx.TensorProto.INT32)
    row("cast_f16_f32", "Cast", f32(*IMAGE).astype(np.float16), to=onnx.TensorProto.FLOAT)
    row("quantize", "QuantizeLinear", IMAGE, scalar(.1, np.float32), scalar(3, np.uint8))
    row("quantize_channel", "QuantizeLinear", IMAGE, Const(np.full(64, .1, np.float32)), Const(np.zeros(64, np.int8)))
    row("dequantize", "DequantizeLinear", ints(256, *IMAGE, dtype=np.uint8), scalar(.1, np.float32),
        scalar(3, np.uint8))
    row("dynamic_quantize", "DynamicQuantizeLinear", MATRIX, outputs=3)


def reductions():
    for op in "ReduceSum ReduceMean ReduceMax ReduceMin ReduceL1 ReduceL2 ReduceSumSquare ReduceLogSumExp ReduceProd".split():
        short = op.removeprefix("Reduce").lower()
        row(f"reduce_{short}_last", op, MATRIX, Const(1))
        row(f"reduce_{short}_first", op, MATRIX, Const(0))
        row(f"reduce_{short}_middle", op, (64, 256, 64), Const(1))
    row("reduce_mean_hw", "ReduceMean", IMAGE, Const(2, 3))
    row("reduce_mean_channel", "ReduceMean", IMAGE, Const(1))
    row("reduce_sum_all", "ReduceSum", IMAGE)
    row("reduce_sum_short", "ReduceSum", (65536, 8), Const(1))
    row("reduce_sum_odd", "ReduceSum", (1000, 333), Const(1))
    row("reduce_max_i32", "ReduceMax", ints(1000, *MATRIX, dtype=np.int32), Const(1))
    row("reduce_sum_i64", "ReduceSum", ints(1000, *MATRIX), Const(1))
    row("reduce_mean_f16", "ReduceMean", f32(*MATRIX).astype(np.float16), Const(1))
    for name, shape, axis in (("last", MATRIX, 1), ("first", MATRIX, 0), ("channel", (1, 21, 256, 256), 1),
                              ("vocabulary", (4, 50257), 1)):
        row(f"argmax_{name}", "ArgMax", shape, axis=axis)
        row(f"softmax_{name}", "Softmax", shape, axis=axis)
    row("argmin_last", "ArgMin", MATRIX, axis=1)
    row("softmax_short", "Softmax", (20000, 10))
    row("softmax_f16", "Softmax", f32(*MATRIX).astype(np.float16))
    row("log_softmax", "LogSoftmax", MATRIX)
    row("hardmax", "Hardmax", MATRIX)
    for name, axis in (("last", 1), ("first", 0)):
        row(f"cumsum_{name}", "CumSum", MATRIX, scalar(axis))
    row("cumsum_i64", "CumSum", ints(2, *MATRIX), scalar(1))
    row("topk_last", "TopK", (64, 4096), Const(10), outputs=2)
    row("topk_one", "TopK", (64, 4096), Const(1), outputs=2)
    row("topk_half", "TopK", (64, 4096), Const(2048), outputs=2)
    row("topk_vocabulary", "TopK", (1, 50257), Const(50), outputs=2)
    row("topk_100000", "TopK", (100000,), Const(100), outputs=2)
    row("topk_sort", "TopK", (100000,), Const(100000), outputs=2)
    row("topk_first", "TopK", (1000, 64), Const(5), outputs=2, axis=0)
    row("topk_i64", "TopK", ints(10000, 64, 4096), Const(10), outputs=2)
    row("unique", "Unique", ints(5000, 20000).astype(np.float32))
    row("unique_i64", "Unique", ints(5000, 20000), outputs=4)


def normalizations():
    row("layer_norm", "LayerNormalization", MATRIX, (1024,), (1024,))
    row("layer_norm_short", "LayerNormalization", (3136, 96), (96,), (96,))
    row("layer_norm_hw", "LayerNormalization", (8, 64, 28, 28), (64, 28, 28), axis=1)
    row("layer_norm_f16", "LayerNormalization", *(f32(*d).astype(np.float16) for d in (MATRIX, (1024,), (1024,))))
    row("rms_norm", "RMSNormalization", MATRIX, (1024,), opset=23)
    row("instance_norm", "InstanceNormalization", IMAGE, (64,), (64,))
    row("group_norm", "GroupNormalization", IMAGE, (64,), (64,), num_groups=8)
    row("batch_norm", "BatchNormalization", IMAGE, (64,), (64,), (64,), positive(64))
    row("lrn", "LRN", IMAGE, size=5)
    row("lp_norm", "LpNormalization", MATRIX)
    row("lp_norm_first", "LpNormalization", MATRIX, axis=0)
    row("mvn", "MeanVarianceNormalization", IMAGE)


def movement():
    for perm in ((0, 2, 3, 1), (0, 1, 3, 2), (1, 0, 2, 3), (3, 2, 1, 0), (0, 3, 1, 2), (0, 2, 1, 3)):
        row("transpose_" + "".join(map(str, perm)), "Transpose", (8, 64, 56, 56), perm=perm)
    row("transpose_10", "Transpose", (1000, 777), perm=[1, 0])
    row("transpose_heads", "Transpose", (1, 12, 128, 64), perm=[0, 2, 1, 3])
    row("transpose_window", "Transpose", (1, 8, 7, 8, 7, 96), perm=[0, 1, 3, 2, 4, 5])
    row("transpose_image", "Transpose", (1, 512, 512, 3), perm=[0, 3, 1, 2])
    row("transpose_u8", "Transpose", ints(256, 1, 512, 512, 3, dtype=np.uint8), perm=[0, 3, 1, 2])
    row("transpose_f16", "Transpose", f32(1024, 1024).astype(np.float16), perm=[1, 0])
    row("transpose_i64", "Transpose", ints(9, 512, 512), perm=[1, 0])
    row("gather_rows", "Gather", (10000, 256), ints(10000, 2000))
    row("gather_columns", "Gather", (256, 1000), ints(1000, 500), axis=1)
    row("gather_elements", "GatherElements", (512, 512), ints(512, 512, 512), axis=1)
    row("gather_elements_first", "GatherElements", (512, 512), ints(512, 512, 512), axis=0)
    row("gather_nd", "GatherND", (100, 100, 64), ints(100, 500, 2))
    distinct = np.random.default_rng(1).permutation(1000)[:100, None]
    row("scatter_nd", "ScatterND", (1000, 256), distinct, (100, 256))
    row("scatter_nd_add", "ScatterND", (1000, 256), ints(1000, 500, 1), (500, 256), reduction="add")
    columns = np.argsort(f32(512, 512), axis=1)
    row("scatter_elements", "ScatterElements", (512, 512), columns, (512, 512), axis=1)
    row("scatter_elements_add", "ScatterElements", (512, 512), ints(512, 512, 512), (512, 512), axis=1, reduction="add")
    row("slice_crop", "Slice", IMAGE, Const(1, 1), Const(111, 111), Const(2, 3))
    row("slice_step", "Slice", IMAGE, Const(0, 0), Const(112, 112), Const(2, 3), Const(2, 2))
    row("slice_reverse", "Slice", (1000, 1000), Const(-1), Const(-2000), Const(1), Const(-1))
    row("slice_channel", "Slice", IMAGE, Const(16), Const(48), Const(1))
    row("concat_channel", "Concat", IMAGE, IMAGE, axis=1)
    row("concat_last", "Concat", (4096, 64), (4096, 64), axis=1)
    row("concat_thin", "Concat", (4096, 4), (4096, 1), (4096, 80), axis=1)
    row("split_last", "Split", (4096, 128), axis=1, num_outputs=2, outputs=2)
    row("split_channel", "Split", IMAGE, axis=1, num_outputs=4, outputs=4)
    edges = Const(0, 0, 3, 3, 0, 0, 3, 3)
    for mode in "constant reflect edge wrap".split():
        row(f"pad_{mode}", "Pad", IMAGE, edges, mode=mode)
    row("tile", "Tile", (128, 256), Const(4, 4))
    row("tile_last", "Tile", (512, 16), Const(1, 64))
    row("expand", "Expand", (1, 64, 1, 112), Const(4, 64, 112, 112))
    row("expand_last", "Expand", (512, 1), Const(512, 1024))
    row("depth_to_space", "DepthToSpace", IMAGE, blocksize=4)
    row("depth_to_space_crd", "DepthToSpace", IMAGE, blocksize=2, mode="CRD")
    row("space_to_depth", "SpaceToDepth", (1, 4, 448, 448), blocksize=4)
    row("reverse_sequence", "ReverseSequence", (50, 8, 64), ints(50, 8, low=1))
    row("one_hot", "OneHot", ints(100, 2000), scalar(100), Const(0, 1, dtype=np.float32))
    row("non_zero", "NonZero", ints(2, 512, 512).astype(np.float32))
    row("compress", "Compress", (1000, 256), ints(2, 1000, dtype=bool), axis=0)
    row("trilu", "Trilu", (1024, 1024))
    row("eye_like", "EyeLike", (512, 512))
    row("range", "Range", np.array(0.0, np.float32), np.array(100000.0, np.float32), np.array(1.0, np.float32))
    row("col2im", "Col2Im", (1, 27, 3136), Const(56, 56), Const(3, 3), pads=[1] * 4)


def images():
    scales, none = Const(1, 1, 2, 2, dtype=np.float32), None
    for mode in "nearest linear cubic".split():
        row(f"resize_{mode}", "Resize", (1, 32, 64, 64), none, scales, mode=mode)
    row("resize_align", "Resize", (1, 32, 64, 64), none, none, Const(1, 32, 127, 127), mode="linear",
        coordinate_transformation_mode="align_corners")
    row("resize_size", "Resize", (1, 3, 480, 640), none, none, Const(1, 3, 224, 224), mode="linear")
    row("resize_half", "Resize", (1, 3, 512, 512), none, Const(1, 1, .5, .5, dtype=np.float32), mode="linear")
    row("resize_antialias", "Resize", (1, 3, 512, 512), none, none, Const(1, 3, 224, 224), mode="linear", antialias=1)
    grid = np.tanh(f32(1, 64, 64, 2))
    for mode in "linear nearest cubic".split():
        row(f"grid_sample_{mode}", "GridSample", (1, 16, 64, 64), grid, mode=mode)
    row("affine_grid", "AffineGrid", (1, 2, 3), Const(1, 3, 128, 128))
    boxes = np.sort(np.random.default_rng(3).uniform(0, 50, (20, 2, 2)), axis=1).reshape(20, 4).astype(np.float32)
    row("roi_align", "RoiAlign", (1, 64, 50, 50), boxes, ints(1, 20), output_height=7, output_width=7)
    corners = np.sort(np.random.default_rng(3).uniform(0, 1, (1, 1000, 2, 2)), axis=2).reshape(1, 1000, 4)
    row("nms", "NonMaxSuppression", corners.astype(np.float32), positive(1, 4, 1000), scalar(50),
        scalar(.5, np.float32), scalar(.3, np.float32))
    row("deform_conv", "DeformConv", (1, 32, 28, 28), weight(32, 32, 3, 3), (1, 18, 28, 28), pads=[1] * 4, opset=22)


def windows():
    for op in "MaxPool AveragePool".split():
        short = op.lower()
        row(f"{short}_3x3", op, IMAGE, kernel_shape=[3, 3], strides=[2, 2], pads=[1] * 4)
        row(f"{short}_2x2", op, IMAGE, kernel_shape=[2, 2], strides=[2, 2])
        row(f"{short}_1d", op, (1, 64, 4000), kernel_shape=[5], strides=[1], pads=[2, 2])
        row(f"{short}_13x13", op, (1, 64, 13, 13), kernel_shape=[13, 13], pads=[6] * 4)
    row("maxpool_indices", "MaxPool", IMAGE, kernel_shape=[2, 2], strides=[2, 2], outputs=2)
    row("maxpool_3d", "MaxPool", (1, 16, 16, 56, 56), kernel_shape=[2] * 3, strides=[2] * 3)
    row("lp_pool", "LpPool", IMAGE, kernel_shape=[2, 2], strides=[2, 2])
    row("global_average_pool", "GlobalAveragePool", IMAGE)
    row("global_max_pool", "GlobalMaxPool", IMAGE)
    row("conv_3x3", "Conv", (1, 64, 56, 56), weight(64, 64, 3, 3), pads=[1] * 4)
    row("conv_stride", "Conv", (1, 64, 56, 56), weight(128, 64, 3, 3), pads=[1] * 4, strides=[2, 2])
    row("conv_depthwise", "Conv", IMAGE, weight(64, 1, 3, 3), pads=[1] * 4, strides=[2, 2], group=64)
    row("conv_depthwise_7x7", "Conv", (1, 96, 56, 56), weight(96, 1, 7, 7), pads=[3] * 4, group=96)
    row("conv_depthwise_1d", "Conv", (1, 256, 500), weight(256, 1, 31), pads=[15, 15], group=256)
    row("conv_group", "Conv", (1, 128, 28, 28), weight(128, 4, 3, 3), pads=[1] * 4, group=32)
    row("conv_dilated", "Conv", (1, 64, 56, 56), weight(64, 64, 3, 3), pads=[4] * 4, dilations=[4, 4])
    row("conv_weights_open", "Conv", (1, 64, 56, 56), (64, 64, 3, 3), pads=[1] * 4)
    row("conv_to_one", "Conv", IMAGE, weight(1, 64, 3, 3), pads=[1] * 4)
    row("conv_from_one", "Conv", (1, 1, 224, 224), weight(32, 1, 3, 3), pads=[1] * 4)
    row("conv_9x9", "Conv", (1, 32, 112, 112), weight(3, 32, 9, 9), pads=[4] * 4)
    row("conv_patch", "Conv", (1, 3, 224, 224), weight(384, 3, 16, 16), strides=[16, 16])
    row("conv_1d", "Conv", (1, 64, 2000), weight(64, 64, 5), pads=[2, 2])
    row("conv_1d_audio", "Conv", (1, 1, 16000), weight(256, 1, 10), strides=[5])
    row("conv_1d_causal", "Conv", (1, 128, 500), weight(128, 128, 3), pads=[4, 0], dilations=[2])
    row("conv_3d", "Conv", (1, 16, 16, 28, 28), weight(32, 16, 3, 3, 3), pads=[1] * 6)
    row("conv_transpose_2x2", "ConvTranspose", (1, 64, 56, 56), weight(64, 32, 2, 2), strides=[2, 2])
    row("conv_transpose_4x4", "ConvTranspose", (1, 64, 28, 28), weight(64, 64, 4, 4), strides=[2, 2], pads=[1] * 4)
    row("conv_transpose_1d", "ConvTranspose", (1, 128, 200), weight(128, 64, 16), strides=[8], pads=[4, 4])
    row("conv_1d_feature", "Conv", (1, 512, 800), weight(512, 512, 3), strides=[2])
    row("conv_1d_position", "Conv", (1, 768, 50), weight(768, 48, 128), pads=[64, 64], group=16)
    row("conv_1d_vocoder", "Conv", (1, 64, 4000), weight(64, 64, 11), pads=[25, 25], dilations=[5])
    row("conv_1d_to_one", "Conv", (1, 32, 16000), weight(1, 32, 7), pads=[3, 3])
    row("conv_1d_ecg", "Conv", (1, 12, 5000), weight(64, 12, 16), pads=[7, 8], strides=[2])
    row("conv_1d_depthwise_causal", "Conv", (1, 1536, 128), weight(1536, 1, 4), pads=[3, 0], group=1536)
    row("conv_depthwise_s1", "Conv", IMAGE, weight(64, 1, 3, 3), pads=[1] * 4, group=64)
    row("conv_depthwise_5x5", "Conv", (1, 240, 28, 28), weight(240, 1, 5, 5), pads=[2] * 4, group=240)
    row("conv_depthwise_7", "Conv", (1, 960, 7, 7), weight(960, 1, 3, 3), pads=[1] * 4, group=960)
    row("conv_depthwise_dilated", "Conv", (1, 128, 32, 32), weight(128, 1, 3, 3), pads=[2] * 4, dilations=[2, 2],
        group=128)
    row("conv_depthwise_31x31", "Conv", (1, 64, 56, 56), weight(64, 1, 31, 31), pads=[15] * 4, group=64)
    row("conv_depthwise_twice", "Conv", (1, 32, 56, 56), weight(64, 1, 3, 3), pads=[1] * 4, group=32)
    row("conv_depthwise_3d", "Conv", (1, 32, 8, 28, 28), weight(32, 1, 3, 3, 3), pads=[1] * 6, group=32)
    row("conv_depthwise_open", "Conv", (1, 256, 29, 29), (256, 1, 5, 5), group=256)
    row("conv_group_2", "Conv", (1, 96, 27, 27), weight(256, 48, 5, 5), pads=[2] * 4, group=2)
    row("conv_group_open", "Conv", (1, 64, 28, 28), (64, 16, 3, 3), pads=[1] * 4, group=4)
    row("conv_1x1_one", "Conv", (1, 960, 1, 1), weight(240, 960, 1, 1))
    row("conv_1x1_7", "Conv", (1, 512, 7, 7), weight(1024, 512, 1, 1))
    row("conv_1x1_open", "Conv", (1, 128, 28, 28), (64, 128, 1, 1))
    row("conv_stem", "Conv", (1, 3, 224, 224), weight(32, 3, 3, 3), pads=[1] * 4, strides=[2, 2])
    row("conv_few_8", "Conv", (1, 8, 112, 112), weight(8, 8, 3, 3), pads=[1] * 4)
    row("conv_mnist", "Conv", (64, 1, 28, 28), weight(32, 1, 3, 3))
    row("conv_spectrogram", "Conv", (1, 1, 80, 300), weight(64, 1, 3, 3), strides=[2, 2])
    row("conv_unequal", "Conv", (1, 64, 17, 17), weight(64, 64, 7, 1), pads=[3, 0, 3, 0])
    row("conv_3d_patch", "Conv", (1, 3, 8, 112, 112), weight(96, 3, 2, 4, 4), strides=[2, 4, 4])
    row("conv_transpose_3x3", "ConvTranspose", (1, 64, 32, 32), weight(64, 32, 3, 3), strides=[2, 2], pads=[1] * 4,
        output_padding=[1, 1])
    row("conv_transpose_depthwise", "ConvTranspose", (1, 64, 28, 28), weight(64, 1, 4, 4), strides=[2, 2],
        pads=[1] * 4, group=64)
    row("conv_transpose_group", "ConvTranspose", (1, 64, 28, 28), weight(64, 16, 4, 4), strides=[2, 2], pads=[1] * 4,
        group=4)
    row("conv_transpose_gan", "ConvTranspose", (1, 100, 1, 1), weight(100, 512, 4, 4))
    row("conv_transpose_1d_2", "ConvTranspose", (1, 128, 1600), weight(128, 64, 4), strides=[2], pads=[1, 1])



def products():
    row("matmul_heads", "MatMul", (12, 128, 64), (12, 64, 128))
    row("matmul_thin", "MatMul", (1000, 8), (8, 1000))
    row("matmul_long", "MatMul", (4, 5000), (5000, 4))
    row("matmul_heads_1", "MatMul", (32, 1, 128), (32, 128, 512))
    row("gemm_long_nt", "Gemm", (4, 5000), (4, 5000), transB=1)
    row("gemm_tn", "Gemm", (5000, 4), (5000, 4), transA=1)
    row("matmul_small", "MatMul", (16, 16), (16, 16))
    row("matmul_many_small", "MatMul", (1000, 4, 4), (1000, 4, 4))
    row("matmul_odd", "MatMul", (127, 333), (333, 251))
    row("matvec", "MatMul", (2000, 2000), (2000,))
    row("vecmat", "MatMul", (2000,), (2000, 2000))
    row("gemm_tt", "Gemm", (512, 256), (300, 512), transA=1, transB=1)
    row("gemm_nt", "Gemm", (512, 256), (300, 256), (300,), transB=1)
    row("gemm_b1", "Gemm", (1, 512), weight(1000, 512), weight(1000), transB=1)
    row("matmul_f16", "MatMul", f32(256, 256).astype(np.float16), f32(256, 256).astype(np.float16))
    row("matmul_f64", "MatMul", f32(256, 256).astype(np.float64), f32(256, 256).astype(np.float64))
    row("matmul_i32", "MatMul", ints(9, 256, 256, dtype=np.int32), ints(9, 256, 256, dtype=np.int32))
    row("matmul_u8s8", "MatMulInteger", ints(256, 256, 256, dtype=np.uint8), Const(ints(127, 256, 256, dtype=np.int8)))
    row("matmul_u8s8_open", "MatMulInteger", ints(256, 256, 256, dtype=np.uint8), ints(127, 256, 256, dtype=np.int8))
    row("einsum_scores", "Einsum", (1, 128, 12, 64), (1, 128, 12, 64), equation="bqhd,bkhd->bhqk")
    row("einsum_values", "Einsum", (1, 12, 128, 128), (1, 128, 12, 64), equation="bhqk,bkhd->bqhd")
    row("einsum_outer", "Einsum", (512,), (1024,), equation="i,j->ij")
    row("einsum_turned", "Einsum", (256, 512), (512, 300), equation="ij,jk->ki")
    row("einsum_trace", "Einsum", (64, 100, 100), equation="bii->b")
    row("attention", "Attention", *[(1, 8, 256, 64)] * 3, opset=23)
    row("attention_causal", "Attention", *[(1, 8, 256, 64)] * 3, opset=23, is_causal=1)
    row("attention_decode", "Attention", (1, 8, 1, 64), (1, 8, 1024, 64), (1, 8, 1024, 64), opset=23)
    row("det", "Det", (100, 8, 8))
    row("lstm_b1", "LSTM", (100, 1, 128), weight(1, 512, 128), weight(1, 512, 128), hidden_size=128)
    row("lstm_b8", "LSTM", (50, 8, 64), weight(1, 512, 64), weight(1, 512, 128), hidden_size=128)
    row("lstm_bidirectional", "LSTM", (50, 1, 64), weight(2, 256, 64), weight(2, 256, 64), hidden_size=64,
        direction="bidirectional")
    row("gru_b1", "GRU", (50, 1, 64), weight(1, 192, 64), weight(1, 192, 64), hidden_size=64)
    row("rnn_b4", "RNN", (50, 4, 64), weight(1, 64, 64), weight(1, 64, 64), hidden_size=64)
    row("stft", "STFT", (1, 16000, 1), scalar(160), Const(np.hanning(400).astype(np.float32)))
    row("dft_512", "DFT", (1, 64, 512, 1), None, scalar(2), opset=20)
    row("dft_2d", "DFT", (8, 64, 64, 2), None, scalar(1), opset=20)


def losses():
    row("nll_loss", "NegativeLogLikelihoodLoss", (1000, 100), ints(100, 1000))
    row("cross_entropy", "SoftmaxCrossEntropyLoss", (1000, 100), ints(100, 1000))


for family in (elementwise, reductions, normalizations, movement, images, windows, products, losses):
    family()
