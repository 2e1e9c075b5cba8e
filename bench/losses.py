#!/usr/bin/env python3
"""Where ingot loses time to ONNX Runtime, contraction by contraction, and what each spends on everything else.

    python bench/losses.py [MODEL...] [--suite core] [--models a,b] [--threads 1] [--turns 3] [--ingot build/ingot] [--all]
                           [--json OUT]

`ingot bench` tells the time of each kernel, ONNX Runtime's profile that of each node; both are brought back to the node
of the ONNX file that multiplies: a kernel is named after its last node, and the contraction is the one before it. Told
are the lines where ingot is slower, the largest loss first, with shapes; --all tells every line.
"""
import argparse
import collections
import json
import os
import pathlib
import subprocess
import sys
import tempfile

import onnx

import suites

CONTRACTIONS = {"Conv", "MatMul", "Gemm", "ConvTranspose", "LSTM", "GRU", "ConvInteger", "MatMulInteger",
                "QLinearConv", "QLinearMatMul"}


class Nodes:
    """The ONNX file's nodes by name, who reads what, and shapes as far as inference knows them."""

    def __init__(self, path):
        model = onnx.load(path)
        try:
            inferred = onnx.shape_inference.infer_shapes(model)
        except ValueError:  # above 2 GiB
            inferred = model
        graph = inferred.graph
        self.by_name = {n.name: n for n in graph.node}
        self.readers = collections.defaultdict(list)
        self.maker = {}
        for n in graph.node:
            for x in n.input:
                self.readers[x].append(n)
            for y in n.output:
                self.maker[y] = n
        self.shape = {w.name: list(w.dims) for w in graph.initializer}
        for v in (*graph.value_info, *graph.input, *graph.output):
            self.shape[v.name] = [d.dim_value or d.dim_param for d in v.type.tensor_type.shape.dim]

    def describe(self, node):
        """`Conv 1x64x56x56 * 64x64x3x3 /2`."""
        shapes = [" ".join(["x".join(map(str, self.shape.get(i, "?")))]) for i in node.input[:2]]
        about = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
        stride = f" /{about['strides'][0]}" if about.get("strides", [1])[0] != 1 else ""
        group = f" group {about['group']}" if about.get("group", 1) != 1 else ""
        return f"{node.op_type} {' * '.join(shapes)}{stride}{group}"

    def contractions_before(self, name):
        """[(distance, node)]: the contractions from which elementwise nodes lead to the node of this name."""
        node, seen, found = self.by_name.get(name), {name}, []
        queue = collections.deque([(0, node)] if node else [])
        while queue:
            far, node = queue.popleft()
            if node.op_type in CONTRACTIONS:
                found.append((far, node.name))
                continue
            for x in node.input:
                made = self.maker.get(x)
                if made is not None and made.name not in seen and len(seen) < 16:
                    seen.add(made.name)
                    queue.append((far + 1, made))
        return found

    def assigned(self, kernels):
        """{contraction: label, ms} for kernels [(label, last node, ms)], nearest pairs first; and those left over."""
        pairs = sorted((far, name, k) for k, (_, last, _) in enumerate(kernels)
                       for far, name in self.contractions_before(last))
        taken, used = {}, set()
        for _, name, k in pairs:
            if name not in taken and k not in used:
                taken[name] = (kernels[k][0], kernels[k][2])
                used.add(k)
        return taken, [kernel for k, kernel in enumerate(kernels) if k not in used]


def ingot_kernels(args, path):
    command = [args.ingot, "bench", str(path), "--threads", str(args.threads), "--json", *args.ingot_option]
    said = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if said.returncode:
        raise SystemExit(f"losses: {said.stderr.strip()}")
    return json.loads(said.stdout)["kernels"]


def ort_nodes(args, case):
    """{node name: (op, ms)} and how many runs, from ONNX Runtime's own profile."""
    import onnxruntime
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = args.threads, 1
    options.log_severity_level = 3
    options.enable_profiling = True
    with tempfile.TemporaryDirectory() as folder:
        options.profile_file_prefix = f"{folder}/ort"
        session = onnxruntime.InferenceSession(str(case.path), options, ["CPUExecutionProvider"])
        for _ in range(args.runs + 2):
            session.run(None, case.feeds)
        events = json.loads(pathlib.Path(session.end_profiling()).read_text())
    times = collections.defaultdict(list)
    for e in events:
        if e.get("cat") == "Node" and e["name"].endswith("_kernel_time"):
            times[e["name"][:-len("_kernel_time")], e["args"]["op_name"]].append(e["dur"] / 1000)
    return {key: sorted(t)[len(t) // 2] * max(1, round(len(t) / (args.runs + 2))) for key, t in times.items()}


def original(nodes, name):
    """ONNX Runtime renames what it fuses after its last node, with something before or behind."""
    found = [n for n in nodes.by_name if n and n in name]
    return max(found, key=len, default=name)


def multiplies(kind):
    return any(word in kind.lower() for word in ("conv", "matmul", "gemm", "dot", "lstm", "gru", "attention"))


def losses(args, case):
    nodes = Nodes(case.path)
    kernels, profiled = {}, {}
    for _ in range(args.turns):  # turn by turn, and the least of each: a neighbour slows one of them at times
        for k in ingot_kernels(args, case.path):
            kernels[k["name"]] = min(k["ms"], kernels.get(k["name"], k["ms"]))
        for key, ms in ort_nodes(args, case).items():
            profiled[key] = min(ms, profiled.get(key, ms))
    mine = [(kind, name, ms) for key, ms in kernels.items() for kind, _, name in [key.partition(" ")]]
    other = [(op, original(nodes, name), ms) for (name, op), ms in profiled.items()]
    ours, left = nodes.assigned([k for k in mine if multiplies(k[0])])
    theirs, left_theirs = nodes.assigned([k for k in other if multiplies(k[0])])
    left += [k for k in mine if not multiplies(k[0])]
    left_theirs += [k for k in other if not multiplies(k[0])]
    rows = []
    for name in {*ours, *theirs}:
        kernel, mine = ours.get(name, ("(in another)", 0.0))
        other = theirs.get(name, ("", 0.0))[1]
        rows.append((mine - other, kernel, nodes.describe(nodes.by_name[name]), mine, other))
    rows += [(ms, f"ingot {kind}", "", ms, 0.0) for kind, _, ms in left]
    rows += [(-ms, f"ort {op}", "", 0.0, ms) for op, _, ms in left_theirs]
    return rows


def merged(rows):
    """Kernels of the same kind and shape as one line, with how many there are."""
    lines = {}
    for loss, kernel, shape, mine, other in rows:
        key = (kernel.split(" ")[0], shape) if shape else (kernel, "")
        at = lines.setdefault(key, [0.0, 0, 0.0, 0.0])
        for i, x in enumerate((loss, 1, mine, other)):
            at[i] += x
    return sorted(((v[0], k[0], k[1], v[1], v[2], v[3]) for k, v in lines.items()), reverse=True)


def main():
    args = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    args.add_argument("models_given", nargs="*", type=pathlib.Path, metavar="MODEL")
    args.add_argument("--suite", default="core", choices=suites.NAMES)
    args.add_argument("--models", default="")
    args.add_argument("--threads", type=int, default=1)
    args.add_argument("--turns", type=int, default=3)
    args.add_argument("--runs", type=int, default=7, help="of ONNX Runtime in a turn")
    args.add_argument("--ingot", default=str(suites.HERE.parent / "build" / "ingot"))
    args.add_argument("--ingot-option", action="append", default=[])
    args.add_argument("--cache", type=pathlib.Path, default=suites.HERE.parent / "build" / "bench")
    args.add_argument("--corpus", type=pathlib.Path, default=suites.HERE.parent.parent / "shared" / "corpus" / "dev")
    args.add_argument("--all", action="store_true")
    args.add_argument("--json", type=pathlib.Path)
    args = args.parse_args()
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:args.threads])
    args.cache.mkdir(parents=True, exist_ok=True)
    cases = [suites.Case(p.stem, p / "model.onnx" if p.is_dir() else p, args.cache) for p in args.models_given]
    rows = suites.rows_of(args.suite, args.corpus) if args.models else {}
    cases += [rows[name].case(args.cache, []) for name in args.models.split(",") if name]
    told = {}
    for case in cases:
        found = merged(losses(args, case))
        told[case.name] = found
        mine, other = (sum(r[i] for r in found) for i in (4, 5))
        print(f"{case.name}: kernels {mine:.3f} ms, ort's nodes {other:.3f} ms, {other / mine:.2f} times faster")
        print(f"{'loss':>9}{'ingot ms':>10}{'ort ms':>10}  x  kernel, shape")
        for loss, kernel, shape, count, a, b in found:
            if args.all or loss > 0.005 * mine:
                print(f"{loss:9.3f}{a:10.3f}{b:10.3f} {count:2}  {kernel} {shape}")
    if args.json:
        args.json.write_text(json.dumps(told, indent=1) + "\n")


if __name__ == "__main__":
    sys.exit(main())
