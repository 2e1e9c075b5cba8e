#!/usr/bin/env python3
"""Write hostile models, and the list of what is to be done with them, for hostile_run.c and run_binary.py.

    python tests/hostile/make_hostile.py OUT [--base MODEL.onnx ...] [--cuts 2000] [--flips 10000] [--seed 1]

OUT/campaign.txt has one case a line:
    file F       the bytes of OUT/F as they are: any documented end is right, no crash, no hang, bounded memory
    reject F     the same, and it must not be accepted
    base F       from here on cases change the bytes of OUT/F
    cut N        its first N bytes
    flip N X     byte N xor X
Cuts: every boundary of a field at any depth, and --cuts seeded places. Flips: seeded, in bytes that are no weights
(payloads of tensors). Both are shared out evenly over the base models. Needs numpy and onnx.
"""
import argparse
import pathlib
import random

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

F = TensorProto.FLOAT
I64 = TensorProto.INT64
PAYLOAD = {"raw_data", "float_data", "int32_data", "int64_data", "double_data", "uint64_data", "string_data"}


# Raw bytes: what no library writes.

def varint(n):
    out = bytearray()
    while n > 127:
        out.append(n & 127 | 128)
        n >>= 7
    out.append(n)
    return bytes(out)


def field(number, body):
    return varint(number << 3 | 2) + varint(len(body)) + body


def nested(path, core, extra=b"", size=40000):
    """`core` inside the fields of `path`, innermost last, again and again up to `size` bytes."""
    while len(core) < size:
        for number in reversed(path):
            core = field(number, core)
        core += extra
    return core


def as_model(graph):
    """ir_version 10, opset 21, and these bytes as the graph."""
    return b"\x08\x0a" + field(8, b"\x10\x15") + field(7, graph)


def raw_cases():
    deep = nested((1, 5, 6), b"")  # graph.node.attribute.g
    yield "deep_graphs", as_model(deep)
    named = b""
    while len(named) < 40000:  # the same, with operator and names in place
        attribute = field(1, b"then_branch") + b"\xa0\x01\x05" + field(6, named)
        named = field(1, field(4, b"If") + field(1, b"c") + field(2, b"y") + field(5, attribute))
    yield "deep_ifs", as_model(named)
    yield "deep_graph_lists", as_model(nested((1, 5, 11), b""))
    sequence = nested((4, 1), b"")  # type.sequence_type.elem_type
    yield "deep_sequence_type", as_model(field(11, field(1, b"x") + field(2, sequence)))
    optional = nested((9, 1), b"")
    yield "deep_optional_type", as_model(field(11, field(1, b"x") + field(2, optional)))
    yield "deep_map_type", as_model(field(11, field(1, b"x") + field(2, nested((5, 2), b""))))
    yield "deep_attribute_type", as_model(field(1, field(5, field(14, sequence))))
    yield "deep_unknown_groups", as_model(b"\xcb\x3e" * 20000)
    yield "deep_unknown_fields", as_model(nested((1000,), b""))
    yield "deep_function", b"\x08\x0a" + field(25, field(7, field(5, field(6, deep))))
    million = 1000000
    for name, body in (("nodes", field(1, b"")), ("initializers", field(5, b"")), ("inputs", field(11, b"")),
                       ("value_infos", field(13, b"")), ("sparse", field(15, b"")), ("annotations", field(14, b"")),
                       ("metadata", field(16, b""))):
        yield f"million_{name}", as_model(body * million)
    yield "million_attributes", as_model(field(1, field(5, b"") * million))
    yield "million_node_inputs", as_model(field(1, field(1, b"") * million))
    yield "million_strings", as_model(field(1, field(5, field(1, b"a") + field(9, b"") * million)))
    yield "million_functions", b"\x08\x0a" + field(25, b"") * million
    yield "million_opsets", b"\x08\x0a" + field(8, b"") * million
    yield "million_dims", as_model(field(5, field(8, b"x") + b"\x10\x01" + b"\x08\x01" * million))
    yield "million_shape_dims", as_model(field(11, field(1, b"x") + field(2, field(1, b"\x08\x01" + field(
        2, field(1, b"") * million)))))
    yield "empty", b""
    yield "zeros", bytes(4096)
    yield "ones", b"\xff" * 4096
    yield "text", b"this is no model\n" * 100
    yield "length_past_end", as_model(b"")[:-1] + b"\xff\xff\xff\x7f"
    yield "length_negative", b"\x08\x0a\x3a" + b"\xff" * 9 + b"\x01"
    yield "varint_too_long", b"\x08" + b"\xff" * 20
    yield "field_zero", b"\x00\x00" + as_model(b"")
    yield "wire_type_7", b"\x0f\x00" + as_model(b"")
    yield "name_with_nul", as_model(field(1, field(4, b"Re\0lu") + field(1, b"x") + field(2, b"y")))
    yield "name_not_utf8", as_model(field(1, field(4, b"Relu") + field(1, b"\xff\xfe") + field(2, b"y")))


# Well-formed protobuf, wrong models.

def info(name, dtype, dims):
    return helper.make_tensor_value_info(name, dtype, dims)


def build(nodes, inputs, outputs, weights=(), functions=(), opset=21):
    graph = helper.make_graph(list(nodes), "g", inputs, outputs, list(weights))
    model = helper.make_model(graph, functions=list(functions), opset_imports=[
        helper.make_opsetid("", opset), helper.make_opsetid("local", 1)])
    model.ir_version = 10
    return model


def unary(op, dims=(2, 3), outputs=("y",), weights=(), more=(), out_dims=None, dtype=F, opset=21, **attributes):
    node = helper.make_node(op, ["x", *more], list(outputs), **attributes)
    return build([node], [info("x", dtype, dims)], [info(o, dtype, out_dims) for o in outputs], weights, opset=opset)


def ints(name, *values):
    return numpy_helper.from_array(np.array(values, np.int64), name)


def tensor(name="w", dtype=F, dims=(4,), raw=None, **fields):
    t = TensorProto(name=name, data_type=dtype, dims=dims)
    if raw is not None:
        t.raw_data = raw
    for key, values in fields.items():
        getattr(t, key).extend(values)
    return t


def with_weight(w, dims=None):
    return build([helper.make_node("Add", ["x", "w"], ["y"])], [info("x", F, dims or [4])],
                 [info("y", F, None)], [w])


def external(location, offset=None, length=None, **more):
    w = tensor()
    w.data_location = TensorProto.EXTERNAL
    pairs = {"location": location, "offset": offset, "length": length, **more}
    for key, value in pairs.items():
        if value is not None:
            w.external_data.add(key=key, value=str(value))
    return with_weight(w)


def function(name, nodes, inputs=("a",), outputs=("b",)):
    return helper.make_function("local", name, list(inputs), list(outputs), list(nodes),
                                [helper.make_opsetid("", 21), helper.make_opsetid("local", 1)])


def call(name, x="a", y="b"):
    return helper.make_node(name, [x], [y], domain="local")


def bombs():
    """Twenty functions, each calling the next one twice: a million nodes after inlining."""
    functions = [function(f"f{i}", [call(f"f{i + 1}", "a", "t"), call(f"f{i + 1}", "t", "b")]) for i in range(22)]
    functions.append(function("f22", [helper.make_node("Relu", ["a"], ["b"])]))
    return build([call("f0", "x", "y")], [info("x", F, [2])], [info("y", F, [2])], functions=functions)


def cycle_through_branch():
    branch = helper.make_graph([call("loop", "a", "z")], "then", [], [info("z", F, None)])
    body = [helper.make_node("Constant", [], ["c"], value=numpy_helper.from_array(np.array(True))),
            helper.make_node("If", ["c"], ["b"], then_branch=branch, else_branch=branch)]
    return build([call("loop", "x", "y")], [info("x", F, [2])], [info("y", F, [2])], functions=[function("loop", body)])


def rejects():
    """Each must end with an error: (name, model)."""
    one = np.ones(4, np.float32).tobytes()
    yield "raw_not_a_multiple", with_weight(tensor(raw=one[:-1]))
    yield "raw_too_short", with_weight(tensor(raw=one[:-4]))
    yield "raw_too_long", with_weight(tensor(raw=one + one))
    yield "float_data_too_short", with_weight(tensor(float_data=[1, 2]))
    yield "dims_negative", with_weight(tensor(dims=[-4], raw=one))
    yield "dims_overflow", with_weight(tensor(dims=[1 << 40, 1 << 40], raw=one))
    yield "dims_wrap_to_4", with_weight(tensor(dims=[1 << 62, 4, 4], raw=one))
    yield "dtype_unknown", with_weight(tensor(dtype=99, raw=one))
    yield "int4_too_short", with_weight(tensor(dtype=TensorProto.INT4, dims=[5], raw=b"\x11\x11"))
    yield "external_absolute", external("/etc/passwd")
    yield "external_parent", external("../secret")
    yield "external_parent_inside", external("a/../../secret")
    yield "external_missing", external("no_such_file")
    yield "external_offset_negative", external("self.bin", -8, 16)
    yield "external_petabyte", external("self.bin", 0, 1 << 50)
    yield "external_device", external("/dev/zero", 0, 16)
    yield "external_memory_marker", external("*/_ORT_MEM_ADDR_/*", 4096, 16)
    yield "value_undefined", build([helper.make_node("Relu", ["nobody"], ["y"])], [], [info("y", F, None)])
    yield "output_undefined", build([helper.make_node("Relu", ["x"], ["z"])], [info("x", F, [2])], [info("y", F, [2])])
    yield "cycle", build([helper.make_node("Add", ["x", "b"], ["a"]), helper.make_node("Relu", ["a"], ["b"])],
                         [info("x", F, [2])], [info("b", F, [2])])
    yield "defined_twice", build([helper.make_node("Relu", ["x"], ["y"]), helper.make_node("Abs", ["x"], ["y"])],
                                 [info("x", F, [2])], [info("y", F, [2])])
    yield "operator_unknown", unary("NoSuchOperator")
    yield "opset_future", unary("Relu", opset=999)
    yield "too_many_inputs", build([helper.make_node("Relu", ["x", "x", "x"], ["y"])], [info("x", F, [2])],
                                   [info("y", F, [2])])
    yield "required_input_absent", build([helper.make_node("MatMul", ["x", ""], ["y"])], [info("x", F, [2, 2])],
                                         [info("y", F, None)])
    yield "dtype_not_allowed", unary("Sin", dtype=I64)
    yield "axis_out_of_range", unary("Softmax", axis=7)
    yield "perm_repeats", unary("Transpose", perm=[0, 0])
    yield "perm_too_long", unary("Transpose", perm=list(range(5000)))
    for op in ("Loop", "Scan", "If", "SequenceMap"):
        yield f"{op.lower()}_without_graph", unary(op)
        yield f"{op.lower()}_graph_of_wrong_kind", unary(op, body="graph", then_branch="graph", else_branch=1)
    yield "attribute_wrong_kind", unary("Softmax", axis="one")
    yield "reshape_impossible", unary("Reshape", more=["s"], weights=[ints("s", 7, 7)])
    yield "reshape_two_unknown", unary("Reshape", more=["s"], weights=[ints("s", -1, -1)])
    yield "reshape_negative", unary("Reshape", more=["s"], weights=[ints("s", -5, 1)])
    yield "split_zero", unary("Split", outputs=("y", "z"), more=["s"], weights=[ints("s", 0, 9)])
    yield "split_negative", unary("Split", outputs=("y", "z"), more=["s"], weights=[ints("s", -1, 3)])
    yield "broadcast_impossible", with_weight(tensor(raw=one), [3])
    yield "matmul_mismatch", build([helper.make_node("MatMul", ["x", "x"], ["y"])], [info("x", F, [2, 3])],
                                   [info("y", F, None)])
    yield "concat_mismatch", build([helper.make_node("Concat", ["x", "z"], ["y"], axis=0)],
                                   [info("x", F, [2, 3]), info("z", F, [2, 4])], [info("y", F, None)])
    image = dict(dims=(1, 3, 8, 8), more=["w"], weights=[tensor(dims=[4, 3, 3, 3], raw=one * 27)])
    yield "conv_stride_zero", unary("Conv", strides=[0, 0], **image)
    yield "conv_stride_negative", unary("Conv", strides=[-1, 1], **image)
    yield "conv_pads_short", unary("Conv", pads=[1], **image)
    yield "conv_pads_wrap", unary("Conv", pads=[-(1 << 62), 0, 1 << 62, 0], **image)
    yield "conv_group_zero", unary("Conv", group=0, **image)
    yield "conv_group_wrong", unary("Conv", group=2, **image)
    yield "conv_kernel_lies", unary("Conv", kernel_shape=[5, 5], **image)
    yield "pool_kernel_zero", unary("MaxPool", dims=(1, 3, 8, 8), kernel_shape=[0, 0])
    yield "pool_kernel_huge", unary("MaxPool", dims=(1, 3, 8, 8), kernel_shape=[1 << 62, 1 << 62])
    yield "einsum_open", unary("Einsum", equation="i->ij")
    yield "einsum_wrong_rank", unary("Einsum", equation="ijkl->l")
    yield "einsum_no_text", unary("Einsum", equation="")
    yield "scan_count_negative", unary("Scan", num_scan_inputs=-1, body=helper.make_graph([], "b", [], []))
    yield "loop_body_short", unary("Loop", body=helper.make_graph([], "b", [], []))
    yield "if_without_branches", unary("If", dims=(), dtype=TensorProto.BOOL)
    yield "function_recursive", build([call("f", "x", "y")], [info("x", F, [2])], [info("y", F, [2])],
                                      functions=[function("f", [call("f")])])
    yield "function_cycle_through_branch", cycle_through_branch()
    yield "function_bomb", bombs()
    yield "rank_unbounded", unary("Relu", dims=(1,) * 5000)
    yield "topk_negative", unary("TopK", outputs=("y", "z"), more=["k"], weights=[ints("k", -3)])


def odds():
    """May be accepted or not, but must end: sizes made by folding, wild numbers in attributes."""
    yield "expand_huge", unary("Expand", more=["s"], weights=[ints("s", 1 << 20, 1 << 20, 2, 3)])
    yield "constant_of_shape_huge", build([helper.make_node("ConstantOfShape", ["s"], ["y"])], [],
                                          [info("y", F, None)], [ints("s", 1 << 30, 1 << 30)])
    yield "tile_huge", unary("Tile", more=["r"], weights=[ints("r", 1 << 31, 1 << 31)])
    yield "range_huge", build([helper.make_node("Range", ["a", "b", "c"], ["y"])], [], [info("y", I64, None)],
                              [numpy_helper.from_array(np.array(v, np.int64), n)
                               for n, v in (("a", 0), ("b", 1 << 62), ("c", 1))])
    yield "range_step_zero", build([helper.make_node("Range", ["a", "b", "c"], ["y"])], [], [info("y", I64, None)],
                                   [numpy_helper.from_array(np.array(v, np.int64), n)
                                    for n, v in (("a", 0), ("b", 5), ("c", 0))])
    yield "pad_huge", unary("Pad", more=["p"], weights=[ints("p", 1 << 60, 0, 1 << 60, 0)])
    yield "resize_nan", unary("Resize", dims=(1, 1, 4, 4), more=["", "s"], weights=[
        numpy_helper.from_array(np.array([1, 1, np.nan, np.inf], np.float32), "s")])
    yield "gather_far", unary("Gather", more=["i"], weights=[ints("i", 1 << 40)])
    yield "one_hot_negative", build([helper.make_node("OneHot", ["x", "d", "v"], ["y"])], [info("x", I64, [2])],
                                    [info("y", F, None)], [ints("d", -5), numpy_helper.from_array(
                                        np.array([0, 1], np.float32), "v")])
    yield "loop_forever_constant", build(
        [helper.make_node("Loop", ["m", "c", "s"], ["y"], body=helper.make_graph(
            [helper.make_node("Identity", ["cond"], ["go"]), helper.make_node("Add", ["v", "v"], ["w"])], "b",
            [info("i", I64, []), info("cond", TensorProto.BOOL, []), info("v", F, [1])],
            [info("go", TensorProto.BOOL, []), info("w", F, [1])]))], [], [info("y", F, [1])],
        [numpy_helper.from_array(np.array((1 << 63) - 1, np.int64), "m"),
         numpy_helper.from_array(np.array(True), "c"), numpy_helper.from_array(np.ones(1, np.float32), "s")])
    yield "long_chain", build([helper.make_node("Relu", [f"v{i}" if i else "x"], [f"v{i + 1}"]) for i in range(50000)],
                              [info("x", F, [2])], [info("v50000", F, [2])])
    yield "wide_node", build([helper.make_node("Sum", ["x"] * 50000, ["y"])], [info("x", F, [2])], [info("y", F, [2])])
    yield "shape_doubling", build(
        [helper.make_node("Concat", [f"v{i}" if i else "x"] * 2, [f"v{i + 1}"], axis=0) for i in range(80)],
        [info("x", F, [2])], [info("v80", F, None)])
    yield "open_dim_doubling", build(
        [helper.make_node("Concat", [f"v{i}" if i else "x"] * 2, [f"v{i + 1}"], axis=0) for i in range(200)],
        [info("x", F, ["n"])], [info("v200", F, None)])


# Changes of whole models.

def walk(descriptor, data, begin, end, boundaries, weights):
    """Boundaries of all fields below, and the places of tensor payloads. Trusts the bytes: they are a good model."""
    at = begin
    while at < end:
        boundaries.append(at)
        key, at = read_varint(data, at)
        wire = key & 7
        known = descriptor.fields_by_number.get(key >> 3) if descriptor else None
        if wire == 0:
            _, at = read_varint(data, at)
        elif wire == 2:
            size, at = read_varint(data, at)
            if known is not None and known.name in PAYLOAD and descriptor.name == "TensorProto":
                weights.append((at, at + size))
            elif known is not None and known.message_type is not None:
                walk(known.message_type, data, at, at + size, boundaries, weights)
            at += size
        else:
            at += 8 if wire == 1 else 4
    boundaries.append(end)


def read_varint(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return value, at


def changes(data, cuts, flips, rng):
    boundaries, weights = [], []
    walk(onnx.ModelProto.DESCRIPTOR, data, 0, len(data), boundaries, weights)
    for at in sorted(set(boundaries)):
        yield f"cut {at}"
    for _ in range(cuts):
        yield f"cut {rng.randrange(len(data))}"
    plain, at = [], 0  # what is no weight
    for begin, end in [*sorted(weights), (len(data), len(data))]:
        plain.extend(range(at, begin))
        at = max(at, end)
    for _ in range(flips):
        yield f"flip {rng.choice(plain)} {rng.randrange(1, 256)}"


def main():
    args = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    args.add_argument("out", type=pathlib.Path)
    args.add_argument("--base", type=pathlib.Path, action="append", default=[])
    args.add_argument("--cuts", type=int, default=2000)
    args.add_argument("--flips", type=int, default=10000)
    args.add_argument("--seed", type=int, default=1)
    args = args.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    lines = []

    def write(name, data, verb):
        (args.out / f"{name}.onnx").write_bytes(data)
        lines.append(f"{verb} {name}.onnx")
    for name, data in raw_cases():
        write(name, data, "file")
    for name, model in rejects():
        write(name, model.SerializeToString(), "reject")
    for name, model in odds():
        write(name, model.SerializeToString(), "file")
    rng = random.Random(args.seed)
    for k, path in enumerate(args.base):
        data = path.read_bytes()
        (args.out / f"base_{k}.onnx").write_bytes(data)
        lines.append(f"base base_{k}.onnx")
        share = [(k + 1) * n // len(args.base) - k * n // len(args.base) for n in (args.cuts, args.flips)]
        lines.extend(changes(data, *share, rng))
    (args.out / "campaign.txt").write_text("\n".join(lines) + "\n")
    print(f"{sum(not line.startswith('base') for line in lines)} cases in {args.out}/campaign.txt")


if __name__ == "__main__":
    main()
