#!/usr/bin/env python3
"""ingot against its peers, side by side in one process, turn by turn.

    python bench/compare.py [MODEL...] [--suite core|fast|int8|ops|sweep|corpus] [--models a,b] [--threads 1] [--json OUT]
                            [--ingot build/ingot] [--peers ort,openvino,ncnn] [--rounds 7] [--seconds 0.25]
                            [--cache build/bench] [--corpus DIR] [--dim NAME=N] [--ingot-option=-O3] [--prepare]

Every engine gets the same inputs, and outputs are compared first: an engine whose results are off is told and takes no
part. Then they take turns: in every round each engine runs for --seconds after one run that is not counted, so that a
machine that slows down slows all of them. Told are medians over the rounds, and the best peer's time over ingot's (above
1: ingot is faster). The process keeps to as many cores as threads. MODEL is a file, or a folder in the ONNX layout (its
recorded inputs are taken; open dims are 1 unless --dim says otherwise). --prepare only makes what is kept in the cache:
models, ingot's libraries, conversions.

Exact tables hold f32 to f32: OpenVINO is told so, ncnn runs without Winograd, fp16 and bf16. Needs numpy and onnx, and
of onnxruntime, openvino, ncnn with pnnx those that are there: what is missing is said and skipped.
"""
import argparse
import hashlib
import importlib.metadata
import json
import math
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import time

import ml_dtypes
import numpy as np

import peers
import suites

PAUSE = 0.01  # seconds between turns of several threads: workers of the engine before may still spin


def compile_case(args, case):
    """The case's shared object: from the cache when the same ingot made it with the same options."""
    ingot = pathlib.Path(args.ingot)
    options = [*args.ingot_option, *case.options]
    stat = ingot.stat()
    text = f"{ingot.resolve()} {stat.st_mtime_ns} {stat.st_size} {options}"
    digest = hashlib.sha256(text.encode()).hexdigest()[:8]
    case.symbol = "compared"
    case.library = case.cache / f"{case.key}.lib.{digest}" / "compared.so"
    if case.library.exists():
        return
    for old in case.cache.glob(f"{case.key.rsplit('-')[0]}-????????.lib.????????"):
        shutil.rmtree(old)
    case.library.parent.mkdir(parents=True, exist_ok=True)
    command = [args.ingot, "compile", str(case.path), "--emit", "shared", "-o", str(case.library), *options]
    said = subprocess.run(command, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    if said.returncode:
        case.library.parent.rmdir()
        raise RuntimeError(f"ingot does not compile it: {peers.first_line(said.stderr)}")


def timed(run, seconds):
    """Milliseconds of one run, the mean over about `seconds`; one run before that is not counted if it is short."""
    began = time.perf_counter()
    run()
    first = time.perf_counter() - began
    if first < seconds:
        began, n = time.perf_counter(), 0
        while (passed := time.perf_counter() - began) < seconds:
            run()
            n += 1
        return passed / n * 1000
    began = time.perf_counter()
    run()
    return (time.perf_counter() - began) * 1000


def farthest(ours, theirs):
    """The largest difference of any output, relative to the largest magnitude in it."""
    worst = 0.0
    for a, b in zip(ours, theirs, strict=True):
        a, b = np.asarray(a), np.asarray(b)
        if a.shape != b.shape:
            raise peers.Missing(f"its result has the shape {a.shape}, not {b.shape}")
        if a.size and (b.dtype.kind in "fiub" or b.dtype == ml_dtypes.bfloat16):
            a, b = a.astype(np.float64), b.astype(np.float64)
            scale = np.max(np.abs(b), where=np.isfinite(b), initial=0) or 1.0
            with np.errstate(invalid="ignore"):
                apart = np.where((a == b) | (np.isnan(a) & np.isnan(b)), 0, np.abs(a - b))
            worst = max(worst, float(np.max(np.nan_to_num(apart, nan=np.inf))) / scale)
    return worst


def engines_of(args, case):
    """ingot and the peers that take this model and agree with the first of them, with how far ingot is from it."""
    engines, reference, notes = {}, None, []
    for name in [*args.peers, "ingot"]:
        try:
            engine = peers.Ingot(case, args.threads) if name == "ingot" else peers.PEERS[name](case, args.threads)
            engine.run()
            found = [np.array(a) for a in engine.results()]
            reference = found if reference is None else reference
            differs = farthest(found, reference)
            if not differs <= case.tolerance:
                raise peers.Missing(f"its results are off by {differs:.2g}")
        except (peers.Missing, RuntimeError) as reason:
            if name == "ingot":
                raise RuntimeError(f"ingot: {reason}") from reason
            notes.append(f"{name} is left out: {reason}")
            continue
        engines[name] = engine
    return engines, differs, notes


def ceiling_of(args, case):
    """What `ingot bench` says of work and ceiling, in this same minute; nothing where it says nothing."""
    command = [args.ingot, "bench", str(case.path), "--threads", str(args.threads), "--json", *case.options]
    command += [f"--dim={name}={n}" for name, n in case.dims.items()]
    said = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    return json.loads(said.stdout) if said.returncode == 0 else {}


def compare(args, case):
    compile_case(args, case)
    engines, differs, notes = engines_of(args, case)
    times = {name: [] for name in engines}
    for _ in range(args.rounds):
        for name, engine in engines.items():
            if args.threads > 1:
                time.sleep(PAUSE)
            times[name].append(timed(engine.run, args.seconds))
    ms = {name: statistics.median(t) for name, t in times.items()}
    ours = ms.pop("ingot")
    bench = {} if args.no_ceiling else ceiling_of(args, case)
    work = bench.get("flops", 0) if bench.get("flops_exact") else 0
    ceiling = bench.get("ceiling_gflops")
    fraction = work / (ours * 1e6) / ceiling if work and ceiling else None
    return {"name": case.name, "ingot_ms": ours, "peers": ms, "best_peer_ms": min(ms.values(), default=None),
            "fraction_of_ceiling": fraction, "differs_by": differs, "notes": notes, "flops": work or None,
            "ceiling_gflops": ceiling}


def ratio(result, peer=None):
    """How many times faster ingot is than a peer, or than the best one; None without that peer."""
    other = result["peers"].get(peer) if peer else result["best_peer_ms"]
    return other / result["ingot_ms"] if other else None


def surroundings(args):
    """What the figures hold for: processor, versions of the peers, commit of this tree."""
    lines = pathlib.Path("/proc/cpuinfo").read_text().split("\n")
    cpu = {key.strip(): value.strip() for key, _, value in (x.partition(":") for x in lines)}
    wanted = ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_int8", "amx_bf16")
    versions = {}
    for name in args.peers:
        try:
            versions[name] = importlib.metadata.version({"ort": "onnxruntime"}.get(name, name))
        except importlib.metadata.PackageNotFoundError:
            continue
    git = subprocess.run(["git", "-C", str(suites.HERE), "rev-parse", "--short", "HEAD"], capture_output=True,
                         text=True)
    return {"tree": git.stdout.strip() or None,
            "processor": f"{cpu.get('model name')}, family {cpu.get('cpu family')} model {cpu.get('model')}",
            "features": [f for f in wanted if f in cpu.get("flags", "").split()], "versions": versions}


def mean_of(ratios):
    ratios = [r for r in ratios if r]
    return math.exp(sum(map(math.log, ratios)) / len(ratios)) if ratios else None


def cell(value, form):
    return format(value, form) if value is not None else "-"


def milliseconds(value):
    return "-" if value is None else f"{value:.3f}" if value >= 1 else f"{value:.4f}"


def head(args):
    columns = "".join(f"{p:>10}" for p in args.peers) + "".join(f"{'x ' + p:>11}" for p in args.peers)
    print(f"{'ms, ' + str(args.threads) + ' thread' + 's' * (args.threads > 1):<22}{'ingot':>10}{columns}"
          f"{'x best':>8}{'ceiling':>9}", flush=True)


def line(args, name, result):
    text = f"{name:<22}{milliseconds(result['ingot_ms']):>10}"
    text += "".join(f"{milliseconds(result['peers'].get(p)):>10}" for p in args.peers)
    text += "".join(f"{cell(ratio(result, p), '.2f'):>11}" for p in args.peers)
    fraction = result["fraction_of_ceiling"]
    print(f"{text}{cell(ratio(result), '.2f'):>8}{f'{100 * fraction:.0f} %' if fraction else '-':>9}", flush=True)
    for note in result["notes"]:
        print(f"    {note}", flush=True)


def summary(args, results):
    means = [mean_of(ratio(r, p) for r in results) for p in args.peers]
    best = mean_of(ratio(r) for r in results)
    print(f"{'geometric mean':<32}" + " " * 10 * len(args.peers) + "".join(f"{cell(m, '.2f'):>11}" for m in means) +
          f"{cell(best, '.2f'):>8}")


def cases_of(args):
    """Name and a function that makes the case, for everything that was asked for."""
    dims = [(name, int(n)) for name, n in (d.split("=") for d in args.dim)]
    if args.models_given:
        for path in args.models_given:
            path = path / "model.onnx" if path.is_dir() else path
            yield path.parent.name if path.name == "model.onnx" else path.stem, lambda path=path: suites.Case(
                path.stem, path, args.cache, dims)
        return
    rows = suites.rows_of(args.suite, args.corpus)
    chosen = args.models.split(",") if args.models else list(rows)
    unknown = [name for name in chosen if name not in rows]
    if unknown:
        raise SystemExit(f"compare: suite {args.suite} has no {', '.join(unknown)}; it has {', '.join(rows)}")
    for name in chosen:
        yield name, lambda row=rows[name]: row.case(args.cache, dims)


def prepare(args, case):
    compile_case(args, case)
    if "ncnn" in args.peers:
        try:
            peers.Ncnn.converted(case)
        except peers.Missing as reason:
            print(f"    ncnn: {reason}", file=sys.stderr)


def parsed():
    args = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    args.add_argument("models_given", nargs="*", type=pathlib.Path, metavar="MODEL")
    args.add_argument("--suite", default="core", choices=suites.NAMES)
    args.add_argument("--models", help="of the suite, separated by commas")
    args.add_argument("--ingot", default=str(suites.HERE.parent / "build" / "ingot"))
    args.add_argument("--peers", default=",".join(peers.PEERS), type=lambda text: [p for p in text.split(",") if p])
    args.add_argument("--threads", type=int, default=1)
    args.add_argument("--rounds", type=int, default=7)
    args.add_argument("--seconds", type=float, default=0.25)
    args.add_argument("--cache", type=pathlib.Path, default=suites.HERE.parent / "build" / "bench")
    args.add_argument("--corpus", type=pathlib.Path, default=suites.HERE.parent.parent / "shared" / "corpus" / "dev")
    args.add_argument("--dim", action="append", default=[])
    args.add_argument("--ingot-option", action="append", default=[])
    args.add_argument("--json", type=pathlib.Path, metavar="OUT")
    args.add_argument("--no-ceiling", action="store_true", help="leave out the share of the ceiling")
    args.add_argument("--prepare", action="store_true")
    args = args.parse_args()
    unknown = [p for p in args.peers if p not in peers.PEERS]
    if unknown:
        raise SystemExit(f"compare: no peer named {', '.join(unknown)}; there are {', '.join(peers.PEERS)}")
    args.cache.mkdir(parents=True, exist_ok=True)
    return args


def main():
    args = parsed()
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:args.threads])
    results, failed = [], []
    if not args.prepare:
        head(args)
    for name, make in cases_of(args):
        try:
            case = make()
            if args.prepare:
                prepare(args, case)
                continue
            results.append(compare(args, case))
            line(args, name, results[-1])
        except (RuntimeError, OSError) as error:
            failed.append({"name": name, "error": str(error)})
            print(f"{name:<22}FAILED: {error}", flush=True)
    if len(results) > 1:
        summary(args, results)
    if args.json:
        told = {"suite": args.suite, "threads": args.threads, **surroundings(args), "models": results,
                "failed": failed}
        args.json.write_text(json.dumps(told, indent=1) + "\n")
    sys.exit(bool(failed))


if __name__ == "__main__":
    main()
