"""Single operators of the ops suite, each a model with one node that works, and its inputs."""
import numpy as np
from onnx import TensorProto

from net import Net

OPS = {}


def operator(name, *inputs, **about):
    """A row: the decorated function gets a Net and the names of the inputs, and gives the result's name."""
    def add(function):
        def build():
            net = Net(name, 5)
            arrays = [x(net) if callable(x) else net.random(*x) for x in inputs]
            kinds = {"float32": TensorProto.FLOAT, "uint8": TensorProto.UINT8, "int8": TensorProto.INT8}
            names = [net.input(f"x{k}", list(x.shape), kinds[str(x.dtype)]) for k, x in enumerate(arrays)]
            shape = about.get("shape", list(arrays[0].shape))
            net.output(function(net, *names), "y", shape, about.get("dtype", TensorProto.FLOAT))
            return net.model(), arrays
        OPS[name] = build
        return function
    return add


def product(name, m, n, k):
    @operator(name, (m, k), shape=[m, n])
    def _(net, x):
        return net.op("MatMul", x, net.weight(net.random(k, n, std=k ** -0.5)))


def convolution(name, c, n, size, k=1, stride=1, group=1):
    @operator(name, (1, c, size, size), shape=[1, n, size // stride, size // stride])
    def _(net, x):
        return net.op("Relu", net.conv(x, c, n, k, stride, group=group))


def unary(name, op, *dims, **about):
    @operator(name, dims)
    def _(net, x):
        return net.op(op, x, **about)


def integer_product(name, dtype):
    def draw(net):
        return net.rng.integers(0 if dtype == np.uint8 else -127, 128, (1024, 1024)).astype(dtype)

    @operator(name, draw, shape=[1024, 1024], dtype=TensorProto.INT32)
    def _(net, x):
        return net.op("MatMulInteger", x, net.weight(net.rng.integers(-127, 128, (1024, 1024)).astype(np.int8)))


product("matmul_1024", 1024, 1024, 1024)
product("matmul_128x768x3072", 128, 3072, 768)
product("gemv_4096", 1, 4096, 4096)


@operator("matmul_1024_inputs", (1024, 1024), (1024, 1024))
def matmul_of_inputs(net, x, y):
    return net.op("MatMul", x, y)


convolution("conv3x3_56x56x64", 64, 64, 56, 3)
convolution("conv3x3_14x14x256", 256, 256, 14, 3)
convolution("conv3x3_7x7x512", 512, 512, 7, 3)
convolution("conv1x1_56x56_64_256", 64, 256, 56)
convolution("conv1x1_14x14_1024_256", 1024, 256, 14)
convolution("stem7x7", 3, 64, 224, 7, 2)
convolution("depthwise_56x56x144", 144, 144, 56, 3, group=144)


@operator("layernorm_128x768", (128, 768))
def layer_norm(net, x):
    return net.op("LayerNormalization", x, net.weight(net.random(768, std=0.1, mean=1)),
                  net.weight(net.random(768, std=0.1)), axis=-1, epsilon=1e-5)


unary("softmax_12x128x128", "Softmax", 12, 128, 128, axis=-1)
unary("gelu_128x3072", "Gelu", 128, 3072)
unary("exp_128x3072", "Exp", 128, 3072)
unary("tanh_128x3072", "Tanh", 128, 3072)


@operator("add_1m", (1024, 1024), (1024, 1024))
def add(net, x, y):
    return net.op("Add", x, y)


@operator("maxpool_112", (1, 64, 112, 112), shape=[1, 64, 56, 56])
def max_pool(net, x):
    return net.op("MaxPool", x, kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])


unary("transpose_1024", "Transpose", 1024, 1024, perm=[1, 0])
integer_product("matmulinteger_u8s8", np.uint8)
integer_product("matmulinteger_s8s8", np.int8)
