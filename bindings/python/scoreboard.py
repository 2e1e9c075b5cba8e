#!/usr/bin/env python3
"""The official runner of the ONNX backend tests (onnx.backend.test.BackendTest) over ingot.backend: its tests, its
tolerances. Prints the score as the public scoreboard counts it: passed of all tests for the CPU.

    build/venv/bin/python bindings/python/scoreboard.py                    all: 2,033 tests of onnx 1.23.2
    ... scoreboard.py --every 40                                           a slice
    ... scoreboard.py --filter 'conv' --verbose                            some, with reasons
    ... scoreboard.py --known tests/conformance/scoreboard.txt             fail where others than these fail

Every test runs in a process of its own: a crash or a hang is its failure. Ends with `N passed, N failed, N skipped`;
with --known, tests that fail as listed are told as skipped.
"""

import argparse
import glob
import json
import os
import pathlib
import re
import select
import signal
import sys
import time
import unittest
import warnings

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
os.environ.setdefault("ONNX_HOME", str(ROOT / "build" / "onnx-home"))  # where the runner keeps what it generates
warnings.simplefilter("ignore")

import onnx.backend.test  # noqa: E402
import onnx.backend.test.loader  # noqa: E402

import ingot.backend  # noqa: E402


def tests_of_cpu(options):
    """Name -> unittest case, as a module that says globals().update(BackendTest(...).test_cases) has them."""
    cases = onnx.backend.test.BackendTest(ingot.backend.IngotBackend, __name__).test_cases
    found = {}
    for case in cases.values():
        for name in unittest.defaultTestLoader.getTestCaseNames(case):
            if name.endswith("_cpu"):
                found[name] = case(name)
    chosen = [n for n in sorted(found) if re.search(options.filter, n)][:: options.every]
    return {n: found[n] for n in chosen}, len(found)


def without_data():
    """Tests whose recordings are missing: the runner would compare nothing and call that passed."""
    data = pathlib.Path(onnx.backend.test.loader.DATA_DIR)
    return [model.parent.name for kind in ("node", "simple", "pytorch-converted", "pytorch-operator")
            for model in (data / kind).glob("*/model.onnx") if not glob.glob(str(model.parent / "test_data_set*"))]


def run_here(case):
    """('passed' | 'failed' | 'skipped', reason)"""
    result = unittest.TestResult()
    case.run(result)
    if result.skipped:
        return "skipped", result.skipped[0][1]
    bad = result.failures + result.errors
    if not bad:
        return "passed", ""
    lines = [line for line in bad[0][1].strip().splitlines() if line.strip()]
    return "failed", next((line for line in lines if re.match(r"[\w.]*(Error|Exception|Mismatch)", line)), lines[-1])


def start(case, seconds):
    out, into = os.pipe()
    sys.stdout.flush()
    pid = os.fork()
    if pid == 0:
        os.close(out)
        signal.alarm(seconds)
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, 1)
        os.dup2(null, 2)
        with os.fdopen(into, "w") as f:
            json.dump(run_here(case), f)
        os._exit(0)
    os.close(into)
    return pid, out


def finish(pid, out, said):
    os.close(out)
    _, state = os.waitpid(pid, 0)
    if os.WIFSIGNALED(state):
        signal_number = os.WTERMSIG(state)
        return "failed", "not done in time" if signal_number == signal.SIGALRM else f"crashed: signal {signal_number}"
    try:
        return tuple(json.loads(said))
    except ValueError:
        return "failed", f"ended with status {os.WEXITSTATUS(state)}"


def run_all(cases, options):
    """Name -> (verdict, reason)."""
    waiting, running, done, began = list(cases), {}, {}, time.monotonic()
    while waiting or running:
        while waiting and len(running) < options.jobs:
            name = waiting.pop(0)
            pid, out = start(cases[name], options.timeout)
            running[out] = (name, pid, [])
        for out in select.select(list(running), [], [])[0]:
            name, pid, said = running[out]
            piece = os.read(out, 65536)
            said.append(piece)
            if not piece:
                del running[out]
                done[name] = finish(pid, out, b"".join(said))
        if sys.stderr.isatty():
            print(f"\r{len(done)} of {len(cases)}, {time.monotonic() - began:.0f} s", end="", file=sys.stderr)
    return done


def judge(done, known):
    """Counts; tells what failed and should not have, and what is listed and passes."""
    count = {"passed": 0, "failed": 0, "skipped": 0}
    for name in sorted(done):
        verdict, reason = done[name]
        if verdict == "failed" and name in known:
            verdict = "skipped"
        elif verdict == "failed":
            print(f"FAIL {name}: {reason[:300]}")
        elif verdict == "passed" and name in known:
            print(f"passes and is still listed: {name}")
        count[verdict] += 1
    return count


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--filter", default="", metavar="REGEX")
    parser.add_argument("--every", type=int, default=1, metavar="N", help="each Nth test alone")
    parser.add_argument("--jobs", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--timeout", type=int, default=300, metavar="SECONDS", help="of one test")
    parser.add_argument("--known", metavar="FILE", help="names of tests that fail, one a line")
    parser.add_argument("--json", metavar="FILE", help="verdict and reason of each test")
    parser.add_argument("--verbose", action="store_true")
    options = parser.parse_args()

    missing = without_data()
    if missing:
        sys.exit(f"{len(missing)} tests of the onnx package have no recordings, such as {missing[0]}: make them with "
                 "python -m onnx.backend.test.cmd_tools generate-data")
    known = set()
    if options.known:
        known = {line.split()[0] for line in open(options.known) if line.strip() and not line.startswith("#")}
    cases, total = tests_of_cpu(options)
    done = run_all(cases, options)
    if options.json:
        pathlib.Path(options.json).write_text(json.dumps(done, indent=1, sort_keys=True))
    if options.verbose:
        for name in sorted(done):
            print(f"{done[name][0]} {name} {done[name][1][:200]}")
    count = judge(done, known)
    passed = sum(verdict == "passed" for verdict, _ in done.values())
    print(f"score: {passed} of {len(done)}" + ("" if len(done) == total else f" (of {total} on the scoreboard)"))
    print(f"{count['passed']} passed, {count['failed']} failed, {count['skipped']} skipped")
    return 1 if count["failed"] else 0


if __name__ == "__main__":
    sys.exit(main())
