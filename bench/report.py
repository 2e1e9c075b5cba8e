#!/usr/bin/env python3
"""Write docs/PERFORMANCE.md from what compare.py measured.

    python bench/report.py FILE.json... [-o docs/PERFORMANCE.md] [--why bench/why.txt]

Files of the same suite and number of threads are brought together; of a model measured twice the last counts. Losses
come first, with the reason from --why (lines `NAME: reason`; NAME of a model, in any suite).
docs/PERFORMANCE-AMX.md is made with --why bench/why_amx.txt.
"""
import argparse
import json
import pathlib

from compare import mean_of, milliseconds, ratio

HERE = pathlib.Path(__file__).parent
TITLES = {
    "core": "Exact f32",
    "fast": "Less exact arithmetic, asked for by name",
    "int8": "Quantised",
    "ops": "Single operators",
    "sweep": "Every kind of operator once",
    "corpus": "Real models with recorded inputs",
}
HEAD = """# Performance

ingot beside other engines, turn by turn in one process on the same cores, medians; outputs are compared first. Written
by `bench/report.py` from the measurements of `bench/compare.py`, which README says how to repeat; not edited by hand.

Processor: {processor} ({features}), a virtual machine whose neighbours
are heard: ratios within one run mean something, milliseconds from two runs less.
Peers: {versions}. Where f32 is exact all of them compute in f32; ncnn runs without
Winograd there. `x best` is the time of the best peer over ingot's: above 1, ingot is faster. `ceiling` is the share of
what multiply-adds alone reach on the same cores in the same minute.
"""


def gathered(files):
    """{(suite, threads): {name: result}}, failures, and the surroundings of the last file; results know their tree."""
    tables, failed, told = {}, [], {}
    for file in files:
        told = json.loads(file.read_text())
        table = tables.setdefault((told["suite"], told["threads"]), {})
        for result in told["models"]:
            table.pop(result["name"], None)
            table[result["name"]] = {**result, "tree": told.get("tree")}
        failed += [(told["suite"], f["name"], f["error"]) for f in told["failed"]]
    return tables, failed, told


def reasons(path):
    lines = [line for line in path.read_text().split("\n") if line.strip() and not line.startswith("#")]
    return {name.strip(): reason.strip() for name, _, reason in (line.partition(":") for line in lines)}


def row(cells):
    return "| " + " | ".join(cells) + " |"


def table_of(results, peers, why):
    """Lines of a table; `why` None leaves that column out."""
    yield row(["", "ingot ms", *[f"{p} ms" for p in peers], "x best", "ceiling", *(["why"] if why is not None else [])])
    yield row(["---"] + ["---:"] * (len(peers) + 3) + (["---"] if why is not None else []))
    for r in results:
        fraction = r["fraction_of_ceiling"]
        cells = [r["name"], milliseconds(r["ingot_ms"]), *[milliseconds(r["peers"].get(p)) for p in peers],
                 f"{ratio(r):.2f}", f"{100 * fraction:.0f} %" if fraction else ""]
        yield row(cells + ([why.get(r["name"], "not looked into yet")] if why is not None else []))


def section(suite, threads, results, why):
    yield f"\n## {TITLES[suite]}, {threads} thread{'s' * (threads > 1)}\n"
    known = [r for r in results if ratio(r)]
    peers = [p for p in ("ort", "openvino", "ncnn") if any(p in r["peers"] for r in known)]
    means = ", ".join(f"{mean_of(ratio(r, p) for r in known):.2f} x {p}" for p in peers)
    trees = ", ".join(sorted({r["tree"] for r in known if r["tree"]}))
    yield (f"Measured at {trees or 'a tree without commit'}. Geometric mean {mean_of(map(ratio, known)):.2f} x the best "
           f"peer of each model ({means}).\n")
    known.sort(key=ratio)
    lost, won = ([r for r in known if (ratio(r) < 1) == losing] for losing in (True, False))
    if lost:
        yield f"Slower than the best peer: {len(lost)} of {len(known)}.\n"
        yield from table_of(lost, peers, why)
    if won:
        yield f"\nAs fast or faster: {len(won)} of {len(known)}.\n"
        yield from table_of(won, peers, None)


def written(files, why):
    tables, failed, told = gathered(files)
    versions = ", ".join(f"{name} {version}" for name, version in told["versions"].items())
    yield HEAD.format(processor=told["processor"], features=", ".join(told["features"]), versions=versions)
    order = list(TITLES)
    for suite, threads in sorted(tables, key=lambda key: (order.index(key[0]), key[1])):
        yield from section(suite, threads, list(tables[suite, threads].values()), why)
    if failed:
        yield "\n## Failed\n"
        yield from (f"- {suite}, {name}: {error}" for suite, name, error in failed)


def main():
    args = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    args.add_argument("files", nargs="+", type=pathlib.Path)
    args.add_argument("-o", "--out", type=pathlib.Path, default=HERE.parent / "docs" / "PERFORMANCE.md")
    args.add_argument("--why", type=pathlib.Path, default=HERE / "why.txt")
    args = args.parse_args()
    args.out.write_text("\n".join(written(args.files, reasons(args.why))) + "\n")


if __name__ == "__main__":
    main()
