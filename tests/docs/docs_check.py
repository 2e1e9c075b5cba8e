#!/usr/bin/env python3
"""What README and docs show is what happens: runs their commands, and compares what they say with what is written.

    python tests/docs/docs_check.py BUILD OUT

In an indented block, `$ command` is run by a shell, in OUT, where build, models, bindings and include are at hand and
BUILD is in PATH; the lines below it are what it has to say (`...` stands for anything, space for any space, names of
levels for one another; with nothing below it has to end well). `$ cat FILE` makes FILE. Lines `>>>` are a doctest. A block
```c is kept as the file that the next `cc` of the page compiles.
"""
import os
import pathlib
import re
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "artifacts"))

import user_op_check  # noqa: E402
from artifact import Counter, Failed  # noqa: E402

PAGES = ["README.md", "docs/HOUSE.md", "docs/USER_OPERATORS.md"]
NOT_RUN = re.compile(r"pip install|compare\.py|FOLDER_OF_NODE_TESTS")  # need the net, minutes, or what is not in the tree
LEVEL = re.compile(r"x86-64-v\d(-\w+)?|x86-64-amx")


def commands(text):
    """(command, lines below it) of the indented blocks, and ("```c", code) of the fenced ones, in order."""
    found, fence, below = [], None, None
    for line in text.splitlines():
        if fence is not None:
            if line == "```":
                found.append(("```c", fence))
                fence = None
            else:
                fence.append(line)
        elif line == "```c":
            fence, below = [], None
        elif line.startswith("    $ "):
            below = []
            found.append((line[6:], below))
        elif line.startswith("    ") and below is not None:
            below.append(line[4:])
        else:
            below = None
    return found


def pattern(lines):
    """A regular expression of what is shown: any space for space, anything for `...`, any level for a level."""
    words = [re.escape(LEVEL.sub("LEVEL", word)).replace(r"\.\.\.", ".*") for line in lines for word in line.split()]
    return re.compile(" ".join(words).replace(" .* ", " .*").replace(" .*", ".*"), re.S)


def show(command, below, folder, build):
    env = {**os.environ, "PATH": f"{build}:{os.environ['PATH']}"}
    done = subprocess.run(["bash", "-c", command], cwd=folder, env=env, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=300)
    fails = bool(below) and ": error: " in below[0]
    if (done.returncode != 0) != fails:
        raise Failed(f"status {done.returncode}: {done.stdout[-400:]}")
    said = " ".join(LEVEL.sub("LEVEL", done.stdout).split())
    if below and not pattern(below).fullmatch(said):
        raise Failed(f"it says\n{done.stdout[-1500:]}")


def doctest(command, below, folder, build):
    (folder / "shown.txt").write_text("\n".join(below) + "\n")
    show(f"{command} -m doctest -o ELLIPSIS shown.txt", [], folder, build)


def page(name, folder, build, counter):
    code = None
    for command, below in commands((ROOT / name).read_text()):
        made = re.match(r"cat (\S+)$", command)
        compiled = re.match(r"cc .* -c (\S+)", command)
        if command == "```c":
            code = below
        elif made:
            (folder / made[1]).write_text("\n".join(below) + "\n")
        elif not NOT_RUN.search(command):
            if compiled and code:
                (folder / compiled[1]).write_text("\n".join(code) + "\n")
            run = doctest if below and below[0].startswith(">>> ") else show
            counter.test(f"{name}: $ {command}", run, command, below, folder, build)


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    build, out = (pathlib.Path(a).resolve() for a in sys.argv[1:])
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    for name in ("models", "bindings", "include"):
        (out / name).symlink_to(ROOT / name)
    (out / "build").symlink_to(build)
    user_op_check.clip_scale(out, name="ClipScale").rename(out / "model.onnx")
    counter = Counter()
    for name in PAGES:
        page(name, out, build, counter)
    sys.exit(counter.end())


if __name__ == "__main__":
    main()
