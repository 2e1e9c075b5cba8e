#!/bin/sh
# cli_test.sh INGOT DIGITS: the command as a user meets it: exit statuses, what is written and what
# is not, messages. DIGITS is the folder models/digits. Ends with status 1 when anything failed.
ingot=$1 digits=$2 failed=0
here=$(mktemp -d) || exit 1
trap 'rm -rf "$here"' EXIT
model=$digits/digits.onnx

# WANTED-STATUS PATTERN ARGUMENT...: a pattern in what is said, on either stream
says()
{
    want=$1 pattern=$2
    shift 2
    "$ingot" "$@" >"$here/said" 2>&1 </dev/null
    got=$?
    if [ $got != "$want" ]; then
        echo "FAIL ingot $*: status $got, want $want: $(head -c 300 "$here/said")"
        failed=1
    elif [ -n "$pattern" ] && ! grep -q -e "$pattern" "$here/said"; then
        echo "FAIL ingot $*: no '$pattern' in: $(head -c 300 "$here/said")"
        failed=1
    fi
}

there() # FILE: was written
{
    [ -s "$here/$1" ] || { echo "FAIL $1 was not written"; failed=1; }
}

absent() # FILE: was not
{
    [ ! -e "$here/$1" ] || { echo "FAIL $1 was left behind"; failed=1; }
}

# the command itself
says 2 'ingot compile'
says 0 'exit status' --help
says 0 '^ingot [0-9]' --version
says 0 '--external-data' help options
says 0 '^fuse' help passes
says 2 'no command' melt
for command in compile run test check bench inspect pass; do
    says 0 'examples' $command --help
    [ "$(wc -l <"$here/said")" -le 40 ] || { echo "FAIL ingot $command --help fits no screen"; failed=1; }
done

# options
says 2 'did you mean --target' compile "$model" --tarket native -o "$here/out"
says 2 'no option' compile "$model" --zzzzzzzzzz
says 2 'needs a value' compile "$model" -o
says 2 'takes no value' compile "$model" --json=1
says 2 'whole number' compile "$model" -o "$here/out" -O fast
says 2 '0 to 3' compile "$model" -o "$here/out" -O7
says 2 'usage' compile
says 2 'say where' compile "$model"
says 2 'emit' compile "$model" -o "$here/out" --emit wood
says 2 'exact' compile "$model" -o "$here/out" --math bf8
says 7 'sparc' compile "$model" -o "$here/out" --target sparc
says 7 'no-such-cc' compile "$model" -o "$here/out" --linker no-such-cc
says 2 'no open dim' compile "$model" -o "$here/out" --dim sheep=8
says 5 'nowhere' compile "$here/nowhere.onnx" -o "$here/out"
says 5 . compile "$model" -o "$here/no/such/folder/out"
printf 'no model' >"$here/bad.onnx"
says 4 'bad.onnx' compile "$here/bad.onnx" -o "$here/out"
absent out

# what comes out
says 0 '"kernels"' compile "$model" -o "$here/exe" --json --report "$here/report.json"
there exe && there report.json
"$here/exe" --input random --dim batch=1 >"$here/said" 2>&1 || { echo "FAIL the executable"; failed=1; }
says 0 '' compile "$model" -o "$here/libdigits.a" --emit lib --target x86-64-v2 -O0
there libdigits.a && there digits.h
for form in shared obj header; do
    says 0 '' compile "$model" -o "$here/out.$form" --emit $form
    there out.$form
done
says 0 'define' compile "$model" --emit llvm
says 0 '\.text' compile "$model" --emit asm
says 0 'stage' compile "$model" --emit kernels
says 0 'ingot_kernel_args' compile "$model" --emit c
says 0 '^model ' compile "$model" --emit ir
says 0 'after fuse' compile "$model" --emit header -o "$here/d.h" --dump fuse
mkdir "$here/dumps"
says 0 '' compile "$model" --emit header -o "$here/d.h" --dump all --dump-dir "$here/dumps" --verify-each
[ "$(ls "$here/dumps" | wc -l)" -ge 8 ] || { echo "FAIL --dump-dir"; failed=1; }
says 0 ' ms' compile "$model" --emit header -o "$here/d.h" --time-passes

# run
image=$digits/images/3_1438.png
says 0 '^ *3 ' run "$model" --input "image=$image" --top 1
says 0 '' run "$model" -i "$image" -o "$here/p.npy"
there p.npy
says 2 'missing' run "$model"
says 2 'no input of this name' run "$model" --input "picture=$image"
says 2 'name of an output' run "$model" -i "$image" -o "what=$here/w.npy"
says 5 'nothing.png' run "$model" -i nothing.png
says 0 '' run "$model" -i random --dim batch=2 --seed 7 --record "$here/record"
there record/test_data_set_0/output_0.pb

# test
says 0 '1 passed, 0 failed, 0 skipped' test "$digits"
says 0 '"kernels"' test "$here/record" --json -
says 0 '1 passed' test "$here/record" --eval
says 0 '1 passed' test "$here/record" --interpret
mkdir -p "$here/wrong/test_data_set_0" "$here/bare"
cp "$model" "$here/wrong/model.onnx"
cp "$model" "$here/bare/model.onnx"
cp "$here/record/test_data_set_0/input_0.pb" "$here/wrong/test_data_set_0/"
says 0 '' run "$model" -i random --dim batch=2 --seed 8 -o "$here/wrong/test_data_set_0/output_0.pb"
says 1 "FAIL .*wrong: .*output 'probability' of Softmax: f32.2,10.: at .* got .* want" test "$here/wrong"
says 1 '1 failed' test "$here/wrong" --eval
says 1 'wrong$' test "$here/wrong" --list-failures
says 0 '0 passed, 0 failed, 1 skipped' test "$here/bare"
says 1 '1 passed, 1 failed, 1 skipped' test "$here" --filter '[rwb][eira]*'
echo 1 >"$here/floor"
says 0 '1 failed' test "$here" --floor "$here/floor"
echo 2 >"$here/floor"
says 1 'the floor is 2' test "$here" --floor "$here/floor"
says 0 '1 passed' test "$here/wrong" --update
says 0 '1 passed' test "$here/wrong"
says 2 'no model' test "$here/dumps"
says 5 . test "$here/nowhere"

# check
says 0 '11 tensors agree' check "$model" --tensors -O3 --target x86-64-v2
says 1 "FAIL .*tensor '" check "$model" --rtol 0 --atol 0
says 0 '0 failed' check "$model" --bits
says 0 '11 tensors agree' check "$model" --c --tensors --target x86-64-v3

# arithmetic by name
says 0 'tensors agree' check "$model" --math winograd
says 0 '0 failed' check "$model" --math winograd --bits
says 0 'tensors agree' check "$model" --math winograd --c
says 0 'winograd products' compile "$model" --math 'conv+*=winograd' --emit kernels
says 0 'off by at most .*against exact code, inputs: test_data_set_0' compile "$model" --math winograd -o "$here/out" --verbose
says 0 '"largest_error": [0-9.]*e-' compile "$model" --math winograd -o "$here/out" --json --seed 5
says 0 '"used": "winograd"' compile "$model" --math auto --tolerance 1e-4 --target x86-64-v3 -o "$here/out" --json
says 0 '"used": "exact"' compile "$model" --math auto --tolerance 1e-9 -o "$here/out" --json
says 2 'takes a number' compile "$model" --math auto --tolerance none -o "$here/out"
says 2 'for --math auto' compile "$model" --tolerance 1e-3 -o "$here/out"
says 0 'cast:bf16' compile "$model" --math bf16 --emit kernels
says 0 'tensors agree' check "$model" --math bf16 --rtol 0.05 --atol 0.02
says 0 'tensors agree' check "$model" --math bf16 --c --target x86-64-v3
says 0 'tensors agree' check "$model" --math bf16x3 --rtol 1e-3 --atol 1e-4
says 2 'is no arithmetic' compile "$model" --math 'conv*=roman' --emit kernels

# inspect, pass
says 0 'Conv 3' inspect "$model"
says 0 '"parameters": 11874' inspect "$model" --json
says 0 'LayerNormalization' inspect --ops
says 0 '^dce' pass --list
printf 'model "m"\ninput %%x : f32[2]\n%%y : f32[2] = Relu(%%x)\noutput %%y\n' >"$here/x.ir"
says 0 'kernel(' pass lower "$here/x.ir"
says 0 'Relu(' pass none "$here/x.ir"
says 2 'no pass' pass melt "$here/x.ir"
printf 'model "m"\nwhat\n' >"$here/y.ir"
says 4 'y.ir' pass lower "$here/y.ir"

[ $failed = 0 ] && echo "all as it should be"
exit $failed
