#!/usr/bin/env python3
"""Hostile models through the command: `ingot compile` to an executable, a process for each case.

    python tests/hostile/run_binary.py INGOT FOLDER [--each 100] [--seed 1]

FOLDER is what make_hostile.py wrote; --each cases of each kind (file, reject, cut, flip) are taken, seeded, all where
there are fewer. Of every case is asked: no signal; under 10 seconds; under 256 MiB + 3 x the file (a file that is
accepted may cost LLVM's memory besides: 1 GiB); an exit status of the documented ones and a message when it is not 0; the
output is there exactly when the status is 0, and nothing else is left behind. Ends with
`N passed, N failed, 0 skipped`.
"""
import argparse
import concurrent.futures
import os
import pathlib
import random
import resource
import shutil
import subprocess
import sys
import tempfile

DOCUMENTED = {0, 3, 4, 5, 6}


def chosen(folder, each, seed):
    """(what it is called, bytes, must fail)"""
    base, kinds = None, {"file": [], "reject": [], "cut": [], "flip": []}
    for line in (folder / "campaign.txt").read_text().splitlines():
        verb, *rest = line.split()
        if verb == "base":
            base = rest[0]
        else:
            kinds[verb].append((verb, base, rest))
    rng = random.Random(seed)
    for verb, cases in kinds.items():
        for verb, base, rest in rng.sample(cases, min(each, len(cases))):
            if verb in ("file", "reject"):
                yield rest[0], (folder / rest[0]).read_bytes(), verb == "reject"
                continue
            data = bytearray((folder / base).read_bytes())
            if verb == "cut":
                del data[int(rest[0]):]
            else:
                data[int(rest[0])] ^= int(rest[1])
            yield f"{verb} {' '.join(rest)} of {base}", bytes(data), False


def limit():
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def check(ingot, case):
    """None when all is well, else what is wrong."""
    name, data, must_fail = case
    with tempfile.TemporaryDirectory(prefix="hostile-") as folder:
        pathlib.Path(folder, "model.onnx").write_bytes(data)
        command = [ingot, "compile", "model.onnx", "-o", "out"]
        with open(pathlib.Path(folder).with_suffix(".said"), "w+b") as said:
            os.unlink(said.name)
            process = subprocess.Popen(command, cwd=folder, stdin=subprocess.DEVNULL, stdout=said, stderr=said,
                                       preexec_fn=limit)
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                return f"{name}: not within 10 seconds"
            said.seek(0)
            text = said.read(4000).decode(errors="replace").strip()
        status = process.returncode
        left = sorted(os.listdir(folder))
        if status not in DOCUMENTED:
            return f"{name}: status {status}: {text[:300]}"
        if status and not text:
            return f"{name}: status {status} without a word"
        if status == 0 and must_fail:
            return f"{name}: accepted"
        if left != (["model.onnx"] if status else ["model.onnx", "out"]):
            return f"{name}: status {status}, left behind: {left}"
    return None


# Started by a small interpreter: a process's peak counts that of the one that it was forked from, and this one holds
# all cases.
MEASURE = """
import os, subprocess, sys
process = subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
_, status, usage = os.wait4(process.pid, 0)
print(os.waitstatus_to_exitcode(status), usage.ru_maxrss)
"""


def memory(ingot, case):
    """Peak resident bytes of one case, measured alone."""
    with tempfile.TemporaryDirectory(prefix="hostile-") as folder:
        pathlib.Path(folder, "model.onnx").write_bytes(case[1])
        command = [ingot, "compile", f"{folder}/model.onnx", "-o", f"{folder}/out"]
        said = subprocess.run([sys.executable, "-S", "-c", MEASURE, *command], capture_output=True, text=True, check=True)
    status, peak = said.stdout.split()
    return int(status), int(peak) * 1024


def main():
    args = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    args.add_argument("ingot")
    args.add_argument("folder", type=pathlib.Path)
    args.add_argument("--each", type=int, default=100)
    args.add_argument("--seed", type=int, default=1)
    args = args.parse_args()
    ingot = shutil.which(args.ingot) or sys.exit(f"no {args.ingot}")
    ingot = os.path.abspath(ingot)
    cases = list(chosen(args.folder, args.each, args.seed))
    failed = 0
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for wrong in pool.map(lambda c: check(ingot, c), cases):
            if wrong:
                failed += 1
                print(f"FAIL {wrong}", flush=True)
    for case in cases:
        if case[0].startswith(("cut", "flip")):
            continue
        status, peak = memory(ingot, case)
        bound = (256 << 20) + 3 * len(case[1]) if status else 1 << 30
        if peak > bound:
            failed += 1
            print(f"FAIL {case[0]}: status {status}, {peak >> 20} MiB resident", flush=True)
    print(f"{len(cases) - failed} passed, {failed} failed, 0 skipped")
    sys.exit(failed != 0)


if __name__ == "__main__":
    main()
