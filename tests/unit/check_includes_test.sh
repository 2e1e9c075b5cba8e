#!/bin/sh
# check_includes_test.sh: the tree passes scripts/check-includes, and each kind of breach is found in a small tree.
set -eu
root=$(cd "$(dirname "$0")/../.." && pwd)
command -v git >/dev/null || exit 77

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
git init -q .
mkdir -p scripts support ir passes codegen/cpu frontend runtime cli
cp "$root/scripts/check-includes" "$root/scripts/sources" scripts/

# breach FILE LINE: with this line in this file the check must fail and name the file; without it, it must pass.
breach() {
    printf '#include "support/arena.h"\n#include <stdio.h>\n' >ir/good.c
    printf 'int arena;\n' >support/arena.h
    scripts/check-includes >found || { echo "a good tree was refused:"; cat found; exit 1; }
    printf '%s\n' "$2" >"$1"
    if scripts/check-includes >found; then
        echo "not found: $1: $2"
        exit 1
    fi
    grep -q "$1" found || { echo "found elsewhere:"; cat found; exit 1; }
    rm "$1"
}

breach support/x.c '#include "ir/graph.h"'
breach ir/x.c '#include "passes/pass.h"'
breach passes/x.c '#include "codegen/codegen.h"'
breach codegen/x.c '  # include "frontend/frontend.h"'
breach frontend/x.c '#include "passes/pass.h"'
breach runtime/x.c '#include "support/str.h"'
breach passes/x.c '#include <llvm-c/Core.h>'
breach ir/x.c '#include "onnx.pb-c.h"'
breach passes/good.c 'int x;'
breach passes/x.c 'if (strcmp(n->op->name, name) == 0)'
breach codegen/cpu/x.c 'return !strcmp(name, "Conv");'
breach ir/x.c 'exit(1);'
