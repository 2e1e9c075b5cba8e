#!/usr/bin/env python3
"""Write valid models with a few things changed, as a campaign for hostile_run.c and run_binary.py.

    python tests/hostile/mutate_models.py OUT FOLDER... [--count 2000] [--seed 1] [--most 65536]

FOLDERs hold tests (model.onnx, test_data_set_0), of at most --most bytes each. Unlike flipped bytes, every change leaves
well-formed protobuf, so that inference, folding and lowering see what it means: numbers at their limits, lists that are
too long or too short, other operators, element types, extents, opsets; operands gone, doubled, exchanged; inputs made
constants, so that the evaluator runs on them. OUT/campaign.txt lists the cases. Needs onnx."""
import argparse
import pathlib
import random

import numpy as np
import onnx
from onnx import AttributeProto, TensorProto, numpy_helper

INTS = [0, 1, -1, 2, -2, 3, 7, 64, 255, 1 << 16, 1 << 24, (1 << 31) - 1, -(1 << 31), 1 << 31, 1 << 32, 1 << 40, 1 << 62,
        (1 << 63) - 1, -(1 << 63)]
FLOATS = [0.0, -0.0, 1.0, -1.0, float("nan"), float("inf"), float("-inf"), 1e-45, 3e38, -3e38, .5, 1e9]
WORDS = [b"", b"SAME_UPPER", b"VALID", b"NOTSET", b"linear", b"nearest", b"x" * 300, b"bidirectional", b"\xc3\xbc", b"ij,jk->ik",
         b"...ii->i", b"[", b"(a", b"max", b"none", b"DCR"]


def some(r, values, old):
    return old + r.choice([-1, 1]) if r.random() < .3 and abs(old) < 1 << 60 else r.choice(values)


def change_attribute(r, node):
    if not node.attribute:
        return False
    a = r.choice(node.attribute)
    if r.random() < .12:
        node.attribute.remove(a)
    elif a.type == AttributeProto.INT:
        a.i = some(r, INTS, a.i)
    elif a.type == AttributeProto.FLOAT:
        a.f = r.choice(FLOATS)
    elif a.type == AttributeProto.STRING:
        a.s = r.choice(WORDS)
    elif a.type == AttributeProto.INTS:
        change_list(r, a.ints, INTS)
    elif a.type == AttributeProto.FLOATS:
        change_list(r, a.floats, FLOATS)
    elif a.type == AttributeProto.STRINGS:
        change_list(r, a.strings, WORDS)
    elif a.type == AttributeProto.TENSOR:
        change_tensor(r, a.t)
    elif a.type == AttributeProto.GRAPH:
        change_graph(r, a.g)
    return True


def change_list(r, values, extremes):
    how = r.random()
    if how < .6 and values:
        k = r.randrange(len(values))
        values[k] = some(r, extremes, values[k]) if extremes is INTS else r.choice(extremes)
    elif how < .75 and values:
        del values[r.randrange(len(values)):]
    elif how < .9:
        values.append(r.choice(extremes))
    else:
        values.extend([r.choice(extremes)] * r.choice([1, 9, 70]))


def change_tensor(r, t):
    how = r.random()
    if how < .35:
        change_list(r, t.dims, [0, 1, 2, 3, 1 << 20, 1 << 40, -1])
    elif how < .5:
        t.data_type = r.randrange(27)
    elif how < .9:
        try:
            a = np.array(numpy_helper.to_array(t))
            if a.size and a.dtype.kind in "iuf":
                flat = a.reshape(-1)
                for _ in range(r.choice([1, 1, 4])):
                    v = r.choice(FLOATS if a.dtype.kind == "f" else INTS)
                    with np.errstate(all="ignore"):
                        flat[r.randrange(a.size)] = np.array(v).astype(a.dtype)
                name = t.name
                t.CopyFrom(numpy_helper.from_array(a, name))
        except Exception:
            t.data_type = r.randrange(27)
    else:
        del t.dims[:]


def change_type(r, value):
    if not value.type.HasField("tensor_type"):
        return
    tensor = value.type.tensor_type
    how = r.random()
    if how < .25:
        tensor.elem_type = r.randrange(27)
    elif how < .35:
        tensor.ClearField("shape")
    elif how < .5:
        tensor.shape.dim.add().dim_value = r.choice([0, 1, 2, 5])
    elif how < .6 and tensor.shape.dim:
        del tensor.shape.dim[r.randrange(len(tensor.shape.dim))]
    elif tensor.shape.dim:
        d = r.choice(tensor.shape.dim)
        if r.random() < .4:
            d.dim_param = r.choice(["n", "m", "batch"])
        else:
            d.dim_value = r.choice([0, 1, 2, 3, 1 << 16, 1 << 31, 1 << 40, (1 << 62)])


def change_operands(r, node):
    how, names = r.random(), node.input
    if how < .3 and names:
        names[r.randrange(len(names))] = r.choice([""] + list(names))
    elif how < .5 and names:
        del names[r.randrange(len(names)):]
    elif how < .7 and names:
        names.extend([r.choice(names)] * r.choice([1, 1, 3, 40]))
    elif how < .85:
        node.output.append(f"more{len(node.output)}")
    elif len(node.output) > 1:
        del node.output[-1]


def change_graph(r, g, pool=()):
    how = r.random()
    node = r.choice(g.node) if g.node else None
    if node and how < .45 and change_attribute(r, node):
        return
    if node and how < .6:
        change_operands(r, node)
    elif node and how < .68 and pool:
        other = r.choice(pool)
        node.op_type, node.domain = other
    elif how < .9 and g.input:
        change_type(r, r.choice(g.input))
    elif g.initializer:
        change_tensor(r, r.choice(g.initializer))
    elif g.output:
        change_type(r, r.choice(g.output))


def freeze(r, model, data):
    """Some inputs as constants, with the values of the test: what reads them is folded."""
    for k, v in list(enumerate(model.graph.input)):
        name = data / f"input_{k}.pb"
        if not v.type.HasField("tensor_type") or not name.is_file() or name.stat().st_size > 1 << 16 or r.random() < .3:
            continue
        t = TensorProto()
        try:
            t.ParseFromString(name.read_bytes())
        except Exception:
            continue
        t.name = v.name
        if r.random() < .5:
            change_tensor(r, t)
            t.name = v.name
        model.graph.initializer.append(t)
    constant = {t.name for t in model.graph.initializer}
    for v in [v for v in model.graph.input if v.name in constant]:
        model.graph.input.remove(v)


def mutate(r, folder, pool):
    model = onnx.load(folder / "model.onnx", load_external_data=False)
    if r.random() < .5:
        freeze(r, model, folder / "test_data_set_0")
    for _ in range(r.choice([1, 1, 1, 2, 3])):
        if r.random() < .06 and model.opset_import:
            r.choice(model.opset_import).version = r.choice([1, 2, 5, 6, 7, 8, 9, 10, 11, 12, 13, 17, 18, 21, 23, 27, 99, -1])
        else:
            change_graph(r, model.graph, pool)
    return model.SerializeToString()


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("folders", nargs="+", type=pathlib.Path)
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--most", type=int, default=65536)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    tests = sorted(p.parent for f in args.folders for p in f.glob("**/model.onnx") if p.stat().st_size <= args.most)
    pool = set()
    for t in tests:
        pool |= {(n.op_type, n.domain) for n in onnx.load(t / "model.onnx", load_external_data=False).graph.node}
    pool, lines = sorted(pool), []
    for k in range(args.count):
        r = random.Random(f"{args.seed}.{k}")
        folder = r.choice(tests)
        try:
            data = mutate(r, folder, pool)
        except (ValueError, TypeError):  # a number that its field does not hold
            continue
        name = f"{k}_{folder.name[:80]}.onnx"
        (args.out / name).write_bytes(data)
        lines.append(f"file {name}\n")
    (args.out / "campaign.txt").write_text("".join(lines))
    print(f"{len(lines)} models")


if __name__ == "__main__":
    main()
