"""A small builder of ONNX models with seeded random weights, for benchmarks and tests. Needs numpy and onnx.

Weights are drawn so that activations stay near unit size through any depth (He for what a relu follows), and every
BatchNormalization has the statistics that its input will have, so that folding it is neither trivial nor wild.
"""
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

OPSET = 21
IR_VERSION = 10


class Net:
    def __init__(self, name, seed=1):
        self.name = name
        self.rng = np.random.default_rng(seed)
        self.nodes, self.weights, self.inputs, self.outputs = [], [], [], []
        self.count = 0

    def input(self, name, dims, dtype=TensorProto.FLOAT):
        self.inputs.append(helper.make_tensor_value_info(name, dtype, dims))
        return name

    def output(self, value, name, dims, dtype=TensorProto.FLOAT):
        self.nodes.append(helper.make_node("Identity", [value], [name], f"{name}/Identity"))
        self.outputs.append(helper.make_tensor_value_info(name, dtype, dims))

    def weight(self, array, name=None):
        self.count += 1
        name = name or f"const_{self.count}"
        self.weights.append(numpy_helper.from_array(np.asarray(array, order="C"), name))
        return name

    def ints(self, *values):
        return self.weight(np.array(values, np.int64))

    def f32(self, value):
        return self.weight(np.array(value, np.float32))

    def op(self, op_type, *inputs, outputs=1, **attributes):
        self.count += 1
        base = f"/{op_type}_{self.count}"
        names = [base + (f".{i}" if i else "") for i in range(outputs)]
        self.nodes.append(helper.make_node(op_type, inputs, names, base, **attributes))
        return names[0] if outputs == 1 else names

    def random(self, *dims, std=1.0, mean=0.0):
        return (self.rng.standard_normal(dims, np.float32) * np.float32(std) + np.float32(mean))

    def conv(self, x, c_in, c_out, k=3, stride=1, pad=None, group=1, bias=True, gain=2.0, name=None):
        name = name or f"conv_{self.count}"
        fan_in = c_in // group * k * k
        inputs = [x, self.weight(self.random(c_out, c_in // group, k, k, std=(gain / fan_in) ** 0.5),
                                 f"{name}.weight")]
        if bias:
            inputs.append(self.weight(self.random(c_out, std=0.1), f"{name}.bias"))
        pad = k // 2 if pad is None else pad
        return self.op("Conv", *inputs, kernel_shape=[k, k], strides=[stride] * 2, pads=[pad] * 4,
                       dilations=[1, 1], group=group)

    def batch_norm(self, x, c, gain=1.0, var=1.0, name=None):
        name = name or f"bn_{self.count}"
        rng = self.rng
        parts = {"weight": gain * rng.uniform(0.8, 1.2, c), "bias": rng.normal(0, 0.1, c),
                 "running_mean": rng.normal(0, 0.1 * var ** 0.5, c),
                 "running_var": var * rng.uniform(0.7, 1.4, c)}
        names = [self.weight(v.astype(np.float32), f"{name}.{k}") for k, v in parts.items()]
        return self.op("BatchNormalization", x, *names, epsilon=1e-5, momentum=0.9)

    def dense(self, x, c_in, c_out, gain=1.0, name=None):
        """x [..., c_in] times a constant [c_in, c_out], plus a bias: MatMul and Add, as transformers export it."""
        w = self.weight(self.random(c_in, c_out, std=(gain / c_in) ** 0.5), name and f"{name}.weight")
        y = self.op("MatMul", x, w)
        return self.op("Add", self.weight(self.random(c_out, std=0.1), name and f"{name}.bias"), y)

    def gemm(self, x, c_in, c_out, gain=1.0, name="fc"):
        return self.op("Gemm", x, self.weight(self.random(c_out, c_in, std=(gain / c_in) ** 0.5),
                                              f"{name}.weight"),
                       self.weight(self.random(c_out, std=0.1), f"{name}.bias"), transB=1)

    def model(self, check=True):
        graph = helper.make_graph(self.nodes, self.name, self.inputs, self.outputs, self.weights)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)],
                                  producer_name="bench")
        model.ir_version = IR_VERSION
        if check:
            onnx.checker.check_model(model)
        return model


def batch_of(text):
    """What --batch takes: a number, or `symbolic` for the open dim `batch`."""
    return "batch" if text == "symbolic" else int(text)
