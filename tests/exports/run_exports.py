#!/usr/bin/env python3
"""Exports of well-known architectures with random weights: generated code against ONNX Runtime.

    run_exports.py INGOT FOLDER [--group GROUP] [--only GLOB] [--forms GLOB] [--keep] [--json FILE]

Each row of a group is made in its forms (exporter, static or open dims): FOLDER/GROUP/ROW/FORM holds model.onnx and test
sets with what ONNX Runtime gives, and `ingot test` runs them. A form that its exporter or ONNX Runtime refuses is a skip,
with the reason. Prints a table: "ok", "ok1" where the export has fixed the size in spite of open dims, "FAIL", "-"; and
what each took, in seconds of a processor."""
import argparse
import collections
import fnmatch
import importlib
import json
import os
import pathlib
import shutil
import subprocess
import sys
import time

# Name: the module of its rows, and the one that makes their forms.
GROUPS = {"operations": ("torch_ops", "torch_nets"), "transformers": ("transformers_nets", "torch_nets"),
          "text": ("text_nets", "torch_nets"), "media": ("media_nets", "torch_nets"),
          "newer": ("newer_nets", "torch_nets"), "users": ("nets_of_users", "torch_nets"),
          "timm": ("timm_nets", "torch_nets"), "diffusers": ("diffusers_nets", "torch_nets"),
          "packages": ("packages_nets", "torch_nets"),
          "keras": ("keras_nets", "keras_nets"), "ultralytics": ("ultralytics_nets", "ultralytics_nets"),
          "torchvision": ("torchvision_nets", "torch_nets"), "pipelines": ("pipelines", "pipelines"),
          "estimators": ("pipelines_more", "pipelines"),
          "optimised": ("optimised", "optimised"), "language": ("language_nets", "language_nets")}
TIMEOUT = 600
LONG, LARGE = 20, 3  # a form that takes more seconds of a processor or GB than this is named
# Run by a small process: what is started by one counts the memory of that as its own, and torch has gigabytes.
MEASURED = """
import resource, subprocess, sys
status = subprocess.call(sys.argv[1:])
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(used.ru_utime + used.ru_stime, used.ru_maxrss)
sys.exit(status)
"""
Took = collections.namedtuple("Took", "seconds gigabytes")


class Group:
    def __init__(self, name, only, forms="*"):
        nets, maker = (importlib.import_module(m) for m in GROUPS[name])
        self.name, self.make = name, maker.make
        self.forms = [f for f in maker.FORMS if fnmatch.fnmatch(f, forms)]
        self.rows = {n: r for n, r in nets.NETS.items() if any(fnmatch.fnmatch(n, o) for o in only.split(","))}


def made(group, name, form, folder):
    """Makes the folder unless it is there. True when there is something to test."""
    done = folder / "made"
    if not done.exists():
        began = time.monotonic()
        try:
            group.make(group.rows[name], form, folder)
        except Exception as e:  # of a library that the row is made with: told, and the other rows go on
            (folder / "refused.txt").write_text(f"{type(e).__name__}: {e}"[:200].replace("\n", " ") + "\n")
        done.write_text(f"{time.monotonic() - began:.1f}\n")
    return not (folder / "refused.txt").exists()


def tested(ingot, folder):
    """None, or what went wrong; and what it took: seconds of a processor, and the most memory, in GB."""
    done = subprocess.run([sys.executable, "-S", "-c", MEASURED, ingot, "test", folder, "--timeout", str(TIMEOUT)],
                          capture_output=True, text=True, check=False)
    seconds, kilobytes = done.stdout.splitlines()[-1].split()
    took = Took(float(seconds), int(kilobytes) / 2**20)
    text = "".join(done.stdout.splitlines(keepends=True)[:-1]) + done.stderr
    if done.returncode == 0 and "1 passed, 0 failed, 0 skipped" in text:
        return None, took
    lines = [line for line in text.splitlines() if line.strip()]
    return (lines[0] if lines else f"exit status {done.returncode}"), took


def outcome(o, group, name, form):
    folder = o.folder / group.name / name / form
    if not made(group, name, form, folder):
        return "-", (folder / "refused.txt").read_text().strip(), Took(0, 0)
    error, took = tested(o.ingot, folder)
    if not error and not o.keep:
        shutil.rmtree(folder)
    size = "" if not (folder / "one_size.txt").exists() else "1"
    return ("FAIL" if error else f"ok{size}"), error, took


def run_group(o, group, results):
    for name in group.rows:
        words = []
        for form in group.forms:
            word, why, took = outcome(o, group, name, form)
            results.append({"group": group.name, "row": name, "form": form, "result": word, "why": why,
                            "seconds": round(took.seconds, 1), "gigabytes": round(took.gigabytes, 2)})
            words.append(f"{word:5}{took.seconds:5.0f}s" if took.seconds else f"{word:11}")
            if why:
                print(f"  {'skipped' if word == '-' else 'FAIL'}: {group.name}/{name}/{form}: {why}")
            if took.seconds > LONG or took.gigabytes > LARGE:
                print(f"  costly: {group.name}/{name}/{form}: {took.seconds:.0f} s, {took.gigabytes:.1f} GB")
        print(f"{group.name:13}{name:22}" + "  ".join(words), flush=True)


def only_ours():
    """Standard output for what is printed here alone: exporters write there too, from C++."""
    ours = os.dup(1)
    os.dup2(2, 1)
    sys.stdout = os.fdopen(ours, "w", buffering=1)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("ingot")
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--group", choices=GROUPS)
    parser.add_argument("--only", default="*", metavar="GLOB,GLOB", help="rows of these names")
    parser.add_argument("--keep", action="store_true", help="keep folders that pass")
    parser.add_argument("--forms", default="*", metavar="GLOB")
    parser.add_argument("--json", type=pathlib.Path, metavar="FILE", help="all results")
    o = parser.parse_args()
    results = []
    only_ours()
    for name in [o.group] if o.group else GROUPS:
        group = Group(name, o.only, o.forms)
        print(f"{group.name:13}{'':22}" + "  ".join(f"{f:11}" for f in group.forms))
        run_group(o, group, results)
    if o.json:
        o.json.write_text(json.dumps(results, indent=1))
    passed = sum(r["result"].startswith("ok") for r in results)
    failed = sum(r["result"] == "FAIL" for r in results)
    print(f"{passed} passed, {failed} failed, {len(results) - passed - failed} skipped")
    return failed != 0


if __name__ == "__main__":
    sys.exit(main())
