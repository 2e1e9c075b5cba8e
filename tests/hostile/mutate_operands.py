#!/usr/bin/env python3
"""Write every operator with an operand of another rank, extent or type, as a campaign for hostile_run.c.

    python tests/hostile/mutate_operands.py OUT [--count 3] [--seed 1] [--only OP,OP] [FOLDER...]

The cases of tests/random/operators (and models of one node in FOLDERs: what contrib_ort.py writes), --count of each
operator; in each one, operand after operand changed: left out, a scalar, a list, a dim more or less, ranks 6 and 8, a dim
0, 1, or one too large, dims open, a type that says no shape, another element type, a constant in place of an input, so
that the evaluator meets it. OUT/campaign.txt lists the models. Needs onnx and onnxruntime."""
import argparse
import pathlib
import random
import sys

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

sys.path[:0] = [str(pathlib.Path(__file__).parents[1] / "random"), str(pathlib.Path(__file__).parents[1] / "random" / "operators")]
import random_operators  # noqa: E402,F401
from cases import RECIPES, make_case, model_of  # noqa: E402


def shapes(r, dims):
    """Other shapes than dims."""
    of = {(), (1,), (0,), (3,), (1,) + dims, dims + (1,), (2,) + dims, dims[1:], dims[:-1], (1,) * 6, (1, 2) * 4}
    for k, d in enumerate(dims):
        of |= {dims[:k] + (e,) + dims[k + 1:] for e in (0, 1, d + 1, 2 * d)}
    of.discard(dims)
    return sorted(of)


def constant_of(r, name, code, dims):
    t = TensorProto(name=name, data_type=code, dims=dims)
    count = int(np.prod(dims))
    if code == TensorProto.STRING:
        t.string_data.extend([b"a"] * count)
        return t
    kind = helper.tensor_dtype_to_np_dtype(code)
    return numpy_helper.from_array(np.array([r.choice((0, 1, 1, 2, 3)) for _ in range(count)], np.float32).reshape(dims).astype(kind), name)


def changed(r, model, name, code, dims):
    """Models of which input or constant `name` is another one."""
    for other in shapes(r, dims):
        yield code, other, r.random() < .5
    for other in (TensorProto.FLOAT, TensorProto.INT64, TensorProto.UINT8, TensorProto.STRING, TensorProto.BOOL):
        if other != code:
            yield other, dims, r.random() < .3
    yield code, None, False
    yield code, tuple(f"open{i}" for i in range(len(dims))), False
    yield None, None, False


def set_operand(r, model, name, code, dims, constant):
    g = model.graph
    for field in (g.input, g.initializer):
        for v in [v for v in field if v.name == name]:
            field.remove(v)
    if code is None:
        for n in g.node:
            for k, v in enumerate(n.input):
                if v == name:
                    n.input[k] = ""
    elif constant and int(np.prod(dims)) < 100000:
        g.initializer.append(constant_of(r, name, code, dims))
    else:
        g.input.append(helper.make_tensor_value_info(name, code, dims))


def freeze(r, model):
    """What is left of the inputs becomes constant, by chance."""
    if r.random() < .5:
        return
    for v in list(model.graph.input):
        t = v.type.tensor_type
        dims = [d.dim_value or 2 for d in t.shape.dim] if t.HasField("shape") else None
        if dims is not None and t.elem_type and np.prod(dims) < 10000:
            model.graph.input.remove(v)
            model.graph.initializer.append(constant_of(r, v.name, t.elem_type, dims))


def operands(model):
    for v in model.graph.input:
        if v.type.HasField("tensor_type"):
            yield v.name, v.type.tensor_type.elem_type, tuple(d.dim_value or 2 for d in v.type.tensor_type.shape.dim)
    for t in model.graph.initializer:
        yield t.name, t.data_type, tuple(t.dims)


def bases(o):
    for domain, op in sorted(RECIPES):
        if o.only and op not in o.only.split(","):
            continue
        for seed in range(o.seed, o.seed + o.count):
            case = make_case(domain, op, seed)
            if case:
                yield case.name, model_of([case])
    for folder in o.folders:
        for path in sorted(folder.glob("**/model.onnx")):
            if path.stat().st_size < 65536:
                yield path.parent.name, onnx.load(path)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("folders", nargs="*", type=pathlib.Path)
    parser.add_argument("--count", type=int, default=3)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", default="")
    o = parser.parse_args()
    o.out.mkdir(parents=True, exist_ok=True)
    lines = []
    for name, base in bases(o):
        r = random.Random(f"{o.seed}.{name}")
        for operand in list(operands(base)):
            for code, dims, constant in changed(r, base, *operand):
                model = onnx.ModelProto()
                model.CopyFrom(base)
                set_operand(r, model, operand[0], code, dims, constant)
                freeze(r, model)
                file = f"{len(lines)}_{name[:60]}.onnx"
                (o.out / file).write_bytes(model.SerializeToString())
                lines.append(f"file {file}\n")
    (o.out / "campaign.txt").write_text("".join(lines))
    print(f"{len(lines)} models")


if __name__ == "__main__":
    main()
