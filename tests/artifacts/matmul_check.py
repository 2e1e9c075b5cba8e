#!/usr/bin/env python3
"""f32 matrix product 1024^3, one thread: 70 % of the measured ceiling, and a hot loop that never touches the stack, and
that fetches weights ahead, each of its turns one line, when they are larger than a cache and there are rows to share it.

    python tests/artifacts/matmul_check.py INGOT OUT

The hot loop is found in the disassembly of the object file: of all innermost loops (a backward jump without another one
inside) the one with the most multiply-adds. It must hold at least 8 of them and no operand on the stack. The fraction is
what `ingot bench --json` says, tried again for some seconds, since other work on the machine only takes away from it.
"""
import json
import pathlib
import re
import subprocess
import sys
import time

import onnx

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "bench"))

from artifact import Counter, Failed, call  # noqa: E402
from hot_loops import functions, innermost_loops  # noqa: E402
from matmul import matmul  # noqa: E402

FMA = re.compile(r"^vfn?madd\d*ps$")
TRIES = 10


def hot_loop(ingot, model, out):
    target = out / "matmul.o"
    call([ingot, "compile", model, "--emit", "obj", "-o", target])
    text = subprocess.run(["objdump", "-d", "--no-show-raw-insn", target], check=True, capture_output=True, text=True)
    loops = [loop for _, code in functions(text.stdout) for loop in innermost_loops(code)]
    if not loops:
        raise Failed("no loop in the object file")
    hot = max(loops, key=lambda loop: sum(bool(FMA.match(m)) for _, m, _ in loop))
    count = sum(bool(FMA.match(m)) for _, m, _ in hot)
    print(f"hot loop: {len(hot)} instructions, {count} multiply-adds")
    if count < 8:
        raise Failed(f"the loop with the most multiply-adds has {count}")
    for address, mnemonic, operands in hot:
        if "%rsp" in operands or re.search(r"-0x[0-9a-f]+\(%rbp\)", operands):
            raise Failed(f"{address:x}: {mnemonic} {operands}")
    return sum(mnemonic.startswith("prefetch") for _, mnemonic, _ in hot)


def fetches_ahead(ingot, out):
    for m, n, k, want in ((64, 512, 512, 1), ("symbolic", 512, 512, 1), (64, 64, 64, 0), (4, 512, 512, 0)):
        model = out / "fetches.onnx"
        onnx.save(matmul(m, n, k), model)
        found = hot_loop(ingot, model, out)
        if found != want:
            raise Failed(f"{m} x {n} x {k}: {found} lines fetched ahead in the hot loop, expected {want}")


def fraction(ingot, model):
    best, tries = 0.0, 0
    while best < 0.7 and tries < TRIES:
        time.sleep(1 if tries else 0)
        tries += 1
        _, said = call([ingot, "bench", model, "--threads", "1", "--json"])
        best = max(best, json.loads(said[said.index("{"):])["fraction_of_ceiling"])
    print(f"matmul 1024^3, 1 thread: {best:.1%} of the ceiling")
    if best < 0.7:
        raise Failed(f"{best:.1%} of the ceiling, at least 70 %")


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    ingot, out, counter = sys.argv[1], pathlib.Path(sys.argv[2]), Counter()
    out.mkdir(parents=True, exist_ok=True)
    model = out / "matmul.onnx"
    onnx.save(matmul(), model)
    counter.test("hot loop", hot_loop, ingot, model, out)
    counter.test("weights are fetched ahead", fetches_ahead, ingot, out)
    counter.test("fraction of the ceiling", fraction, ingot, model)
    sys.exit(counter.end())


if __name__ == "__main__":
    main()
