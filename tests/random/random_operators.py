#!/usr/bin/env python3
"""Every operator of the table in seeded random configurations.

    random_operators.py INGOT OUT [--count N] [--seed S] [--only OP,OP] [--wide] [--slice] [--jobs N] [--verbose]

A recipe (operators/*_recipes.py) makes one valid use of its operator: opset, shapes, element types, attributes,
omitted operands, constants, open dims. The evaluator's results are compared with those of ONNX Runtime and of the onnx
package, where these run the case, and must agree with one of them; then generated code is held against the evaluator,
many cases in one model, with every row of COMBINATIONS (--slice: each model with one row). A model that fails is taken
apart, so that cases are named. Ends with `N passed, N failed, N skipped`; a case is replayed by the command printed."""
import argparse
import concurrent.futures
import collections
import os
import pathlib
import pickle
import re
import shutil
import subprocess
import sys
import warnings

import numpy as np
import onnx
import onnxruntime
from onnx import helper, numpy_helper

sys.path.insert(0, str(pathlib.Path(__file__).parent / "operators"))
import contrib_recipes, cut_recipes, elementwise_recipes, ml_recipes, movement_recipes  # noqa: E402,E401,F401
import language_recipes, more_recipes, nn_recipes, norm_recipes, quant_recipes, region_recipes  # noqa: E402,E401,F401
import wide_nn_recipes, wide_recipes  # noqa: E402,E401,F401
from cases import RECIPES, WIDE, make_case, model_of, tensor  # noqa: E402

onnxruntime.set_default_logger_severity(4)
COMBINATIONS = [f"-O{level} --target x86-64-{target}" for target in ("v4", "v3", "v2") for level in (0, 3)]
ROUND = 20  # seeds at a time: their folders are removed before the next
# Made by passes, and tested with those; what the evaluator leaves to the runtime; and, in contrib_ort.py, what makes sense
# in whole nets only.
ELSEWHERE = {("ingot", "Requantize"), ("ingot", "TreeScores"), ("", "ImageDecoder")}
ELSEWHERE |= {("com.microsoft.nchwc", op) for op in ("Conv", "ReorderInput", "ReorderOutput", "MaxPool", "AveragePool",
                                                     "GlobalMaxPool", "GlobalAveragePool", "Upsample")}


def by_runtime(model, feeds):
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, feeds)


def by_package(model, feeds):
    from onnx.reference import ReferenceEvaluator
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return ReferenceEvaluator(model).run(None, feeds)


def declared(model, results):
    """The onnx package computes some results in another type of floats than the operator's; its optional is a list. ONNX
    Runtime gives floats that numpy does not have as the integers of their bits."""
    inferred = onnx.shape_inference.infer_shapes(model)
    for k, (o, r) in enumerate(zip(inferred.graph.output, results)):
        code = o.type.tensor_type.elem_type
        if code and isinstance(r, list) and len(r) == 1:
            r = results[k] = r[0]
        if code and isinstance(r, (np.ndarray, np.generic)) and np.asarray(r).dtype.kind in "fVu":
            want = helper.tensor_dtype_to_np_dtype(code)
            bits = r.dtype.kind == "u" and r.dtype.itemsize == want.itemsize
            if want.kind in "fV" and want != r.dtype and (bits or r.dtype.kind != "u"):
                results[k] = np.asarray(r).view(want) if bits else np.asarray(r).astype(want)
    return results


def comparable(result):
    """A tensor or a list of tensors: the onnx package has its own forms of optionals and maps."""
    if isinstance(result, list):
        return all(comparable(r) for r in result) and not any(isinstance(r, list) for r in result)
    if not isinstance(result, (np.ndarray, np.generic)):
        return False
    a = np.asarray(result)
    return a.dtype != object or all(isinstance(x, str) for x in a.ravel())


def oracles(case):
    """What others make of a case: names and lists of arrays."""
    found = []
    for name, run in (("ONNX Runtime", by_runtime), ("onnx", by_package)):
        if not case.oracle or name in case.wrong:
            continue
        try:
            model = model_of([case])
            results = declared(model, run(model, dict(case.inputs)))
        except BaseException as e:  # neither has one type of exception
            case.refused = case.refused + [f"{name}: {str(e).strip().splitlines()[:1]}"]
            continue
        if all(comparable(r) for r in results):
            found.append((name, [r if isinstance(r, list) else np.asarray(r) for r in results]))
    return found


def ask_all(all_cases, first, pipe):
    """Answers from case `first` on, one pickle each, into the pipe."""
    with os.fdopen(pipe, "wb") as to:
        for case in all_cases[first:]:
            answers = oracles(case)
            pickle.dump((answers, case.refused), to)
            to.flush()


def ask_apart(all_cases):
    """oracles() of each case, in a process of its own: what kills that has no answer, and another one goes on."""
    answers = []
    while len(answers) < len(all_cases):
        sys.stdout.flush()
        here, there = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                os.close(here)
                ask_all(all_cases, len(answers), there)
            finally:
                os._exit(0)
        os.close(there)
        with os.fdopen(here, "rb") as source:
            try:
                while len(answers) < len(all_cases):
                    found, all_cases[len(answers)].refused = pickle.load(source)
                    answers.append(found)
            except (EOFError, pickle.UnpicklingError):
                all_cases[len(answers)].refused = ["a judge died of it"]
                answers.append([])
        os.waitpid(child, 0)
    return answers


def write_set(folder, case, results):
    where = folder / "test_data_set_0"
    where.mkdir(parents=True)
    for k, (n, a) in enumerate(case.inputs.items()):
        (where / f"input_{k}.pb").write_bytes(tensor(a, n).SerializeToString())
    for k, r in enumerate(results):
        if isinstance(r, list):
            proto = numpy_helper.from_list([np.asarray(x) for x in r], case.outputs[k])
        else:
            if r.dtype.kind in "US":
                r = r.astype(object)
            proto = tensor(r, case.outputs[k])
        (where / f"output_{k}.pb").write_bytes(proto.SerializeToString())


def types_of(case, results):
    types = {}
    for o, r in zip(case.outputs, results):
        if isinstance(r, list):
            elem = helper.np_dtype_to_tensor_dtype(np.asarray(r[0]).dtype) if r else 1
            types[case.name, o] = helper.make_tensor_sequence_value_info(o, elem, None)
        else:
            t = onnx.TensorProto.STRING if r.dtype.kind in "USO" else helper.np_dtype_to_tensor_dtype(r.dtype)
            types[case.name, o] = helper.make_tensor_value_info(o, t, None)
    return types


def compare_text(case):
    return f"rtol {max(case.tolerance, 1e-3)} atol {max(case.tolerance * .5, 1e-5)}\n"


def ingot(o, *words, timeout=600):
    try:
        run = subprocess.run([o.ingot, *map(str, words)], capture_output=True, text=True, timeout=timeout)
        return run.returncode, run.stdout, run.stderr
    except subprocess.TimeoutExpired:
        return 124, "", "stopped after a time"


def prepare(o, operators, seeds):
    """The cases of these seeds."""
    all_cases, missing = [], []
    for domain, op in operators:
        for seed in seeds:
            case = make_case(domain, op, seed, o.wide)
            if case is None:
                missing.append(f"{domain}.{op} {seed}")
                continue
            case.refused = []
            all_cases.append(case)
    if missing:
        print(f"note: {len(missing)} without a valid choice: {' '.join(missing[:20])}")
    return all_cases


def write_case(o, case, answers):
    case.judges = []
    for name, results in answers + [("none", [])]:
        if name == "none" and case.judges:
            break
        folder = o.out / name.replace(" ", "") / case.name
        folder.mkdir(parents=True)
        try:
            model = model_of([case], types_of(case, results) if results else None)
            write_set(folder, case, results)
        except Exception as e:  # an oracle gave what has no type in ONNX
            case.refused.append(f"{name}: {e}")
            shutil.rmtree(folder)
            continue
        onnx.save(model, folder / "model.onnx")
        (folder / "compare.txt").write_text(compare_text(case))
        if results:
            case.judges.append(name)
        case.folder = folder
    return case


def judge(o, all_cases):
    """The evaluator against the others: failing names with their messages."""
    said = collections.defaultdict(dict)
    for name in ("ONNXRuntime", "onnx"):
        if not (o.out / name).is_dir():
            continue
        rc, out, err = ingot(o, "test", o.out / name, "--eval")
        for line in (out + err).splitlines():
            m = re.match(r"FAIL +(\S+)(.*)", line)
            if m:
                said[pathlib.Path(m[1].rstrip(":")).name][name] = line
        if rc not in (0, 1):
            print(f"FAIL ingot test {o.out / name} --eval: exit status {rc}: {err[-300:]}")
    wrong = {}
    for c in all_cases:
        against = said.get(c.name, {})
        if c.judges and len(against) >= len(c.judges):
            wrong[c.name] = [f"{k}: {v}" for k, v in against.items()]
        elif against and o.verbose:
            print(f"note: {c.name}: of {' '.join(c.judges)} not {' '.join(against)}: {list(against.values())[0]}")
    return wrong


def groups(all_cases, size):
    """Cases that can stand in one model: one opset for all domains, one tolerance."""
    by_key = collections.defaultdict(list)
    for c in all_cases:
        by_key[c.domain, c.opset, c.base_opset(), c.tolerance].append(c)
    for key in sorted(by_key):
        same = by_key[key]
        for k in range(0, len(same), size):
            yield same[k:k + size]


def write_group(o, k, group):
    folder = o.out / "group" / f"g{k}"
    where = folder / "test_data_set_0"
    where.mkdir(parents=True)
    model = model_of(group)
    onnx.save(model, folder / "model.onnx")
    (folder / "compare.txt").write_text(compare_text(group[0]))
    at = 0
    for i, c in enumerate(group):
        prefix = f"c{i}_" if len(group) > 1 else ""
        for n, a in c.inputs.items():
            (where / f"input_{at}.pb").write_bytes(tensor(a, prefix + n).SerializeToString())
            at += 1
    return folder


def check(o, folder, how):
    rc, out, err = ingot(o, "check", folder, *how.split(), "-j", "1")
    if rc == 0:
        return None
    text = [l for l in (out + err).splitlines() if l.strip() and not re.match(r"\d+ passed", l)]
    return " | ".join(t[:400] for t in text[:3]) or f"exit status {rc}"


def run_group(o, item):
    k, group = item
    folder = write_group(o, k, group)
    failures = []
    rows = [COMBINATIONS[k % len(COMBINATIONS)]] if o.slice else COMBINATIONS
    for how in rows:
        if check(o, folder, how) is None:
            continue
        hit = False
        for c in group:
            why = check(o, c.folder, how)
            if why:
                failures.append((c.name, how, why, c.folder))
                hit = True
        if not hit:
            failures.append((f"group {k}", how, check(o, folder, how) or "once, not again", folder))
    return failures


def operators_of(o):
    """Rows of the table with a recipe that were asked for, and those that nobody tests at random."""
    lines = subprocess.run([o.ingot, "inspect", "--ops"], capture_output=True, text=True, check=True).stdout
    table = [(w[0] if w[0] != "ai.onnx" else "", w[1]) for w in map(str.split, lines.splitlines())]
    contrib = [op for f in ("contrib_ort.py", "contrib_numpy.py")
               for op in re.findall(r'c\.add\("(\w+)"', (pathlib.Path(__file__).parent / f).read_text())]
    absent = [f"{d}.{n}" for d, n in table if (d, n) not in RECIPES and (d, n) not in ELSEWHERE
              and not (d == "com.microsoft" and n in contrib)]
    chosen = [t for t in table if t in (WIDE if o.wide else RECIPES)]
    if o.only:
        chosen = [t for t in chosen if t[1] in o.only.split(",") or f"{t[0]}.{t[1]}" in o.only.split(",")]
    return chosen, absent


def run_round(o, operators, seeds):
    """(cases, failed names, cases that only the evaluator judges); folders of what passed are removed."""
    shutil.rmtree(o.out, ignore_errors=True)
    all_cases = prepare(o, operators, seeds)
    for case, answers in zip(all_cases, ask_apart(all_cases)):
        write_case(o, case, answers)
    failed = judge(o, all_cases)
    for name, lines in failed.items():
        print("\n".join([f"FAIL {name}: the evaluator agrees with none:"] + ["    " + line for line in lines]))
    with concurrent.futures.ThreadPoolExecutor(o.jobs) as pool:
        for failures in pool.map(lambda g: run_group(o, g), enumerate(groups(all_cases, o.size))):
            for name, how, why, folder in failures:
                if name not in failed:
                    print(f"FAIL {name}: {why}\n    {o.ingot} check {folder} {how}")
                failed.setdefault(name, why)
    for case in all_cases:
        if o.verbose and case.oracle and not case.judges:
            print(f"note: {case.name}: {case.refused}")
        for name in ("ONNXRuntime", "onnx", "none"):
            if case.name not in failed:
                shutil.rmtree(o.out / name / case.name, ignore_errors=True)
    return len(all_cases), set(failed), sum(not c.judges for c in all_cases)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("ingot")
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--count", type=int, default=5, help="cases of each operator")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--size", type=int, default=40, help="cases of a model, at most")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--only", default="", help="OP,OP or DOMAIN.OP")
    parser.add_argument("--wide", action="store_true", help="only the recipes of rare forms (wide_*.py)")
    parser.add_argument("--slice", action="store_true", help="one combination of level and target for each model")
    parser.add_argument("--verbose", action="store_true", help="tell of judges that refuse or disagree")
    o = parser.parse_args()
    operators, absent = operators_of(o)
    if absent:
        print(f"FAIL operators that no random test knows: {' '.join(absent)}")
    total, alone, failed, base = 0, 0, set(absent), o.out
    for first in range(o.seed, o.seed + o.count, ROUND):
        o.out = base / f"from_{first}"
        n, bad, unheld = run_round(o, operators, range(first, min(first + ROUND, o.seed + o.count)))
        total, alone, failed = total + n, alone + unheld, failed | bad
        if not bad:
            shutil.rmtree(o.out, ignore_errors=True)
    print(f"{total} cases of {len(operators)} operators; {alone} held against the evaluator alone")
    print(f"{total + len(absent) - len(failed)} passed, {len(failed)} failed, 0 skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
