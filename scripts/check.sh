#!/usr/bin/env bash
# check.sh: set up, build, and run every test, with a stated slice of the long ones. Under 20 minutes on 2 cores.
#
#   scripts/check.sh               all steps
#   scripts/check.sh unit corpus   these alone (the build must be there)
#   scripts/check.sh --list        the steps, one line each
#   scripts/full.sh                the same without slices: hours
#
# A step is a row of STEPS and a function step_NAME. It runs as a process of its own with a time limit, its output goes
# to build/check/NAME.log, and what it tells is read by the row's reader:
#   status   one test: the exit status
#   ctest    ctest's summary
#   counts   the last line `N passed, N failed, N skipped`
# A step that ends badly without telling a failure counts as one failure. Skips are told as such, with the reason.
# Ends with `N passed, N failed, N skipped` over all steps; exit status 1 when anything failed.
#
# Environment: INGOT_SHARED, the folder with corpus/ and conformance/ (default ../shared); INGOT_FULL=1, no slices;
# CI, data that is absent altogether is a failure and not a skip.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1

SHARED=${INGOT_SHARED:-../shared}
FULL=${INGOT_FULL:-}
LOGS=build/check
INGOT=build/ingot
PYTHON=build/venv/bin/python
JOBS=$(nproc)

# name | reader | minutes | what it shows
STEPS='
setup       | status | 10 | packages and tools are there
build       | status | 10 | gcc builds all without a warning
clang       | status | 10 | clang builds all without a warning
includes    | status |  1 | dependencies between rooms point one way, file names are unique, files are small
globals     | status |  1 | no room has a variable that changes
format      | status |  2 | clang-format 14 would change nothing
unit        | ctest  | 10 | unit tests
suites      | ctest  | 10 | the other tests of the build: golden dumps and whatever else it registers
asan        | status | 15 | the build with ASan and UBSan
asan-unit   | ctest  | 30 | unit tests under ASan and UBSan
onnx-reader | counts |  5 | what the frontend reads, field by field, against the onnx package; with changed copies
op-table    | counts |  1 | operators, versions and attributes of the op table against the schemas of onnx and ONNX Runtime
conformance | counts | 10 | the ONNX node tests (and those of 1.23) through generated code; no fewer than tests/conformance/floor.txt
corpus      | counts | 10 | the real models of tests/corpus/*.txt against their recorded outputs
families    | counts |  5 | small models of the well-known families (bench/gen_models.py) against their test sets
docs        | counts |  3 | the commands of README and docs, and what they print
embed       | counts |  2 | the example application with digits as static and shared library and object
python      | counts |  5 | the Python binding; the official runner of the ONNX tests over it: each 40th of 2,033
exe-sample  | counts |  5 | node tests as executables, compared by numpy: 100, seeded
same-bits   | counts | 10 | threads, AVX2 and AVX-512, batch, open dims, compiled twice: 4 corpus models and 4 of ours
evaluator   | counts | 10 | ingot check: first models at -O0, -O3, three targets, folding on and off; 1 combination in 12
printed-c   | counts | 10 | kernels of digits and first models printed as C, no optimisation: the same bits; 6 models
cuda        | counts |  5 | NVRTC accepts the kernels printed as CUDA C: 4 first models, digits
resnet50    | counts |  3 | ResNet-50: time and memory of compiling, plan, batch 1, 4 and open
bench-nets  | counts | 10 | the nets of the benchmark suites, small, against the reference evaluator
levels      | counts | 10 | several levels of processor in one artifact: each runs, with its own bits; size; digits and 4 nets
hot-loops   | counts |  5 | no hot loop touches the stack: 30 kernels, every level, alone and sharing packed weights
matmul      | counts |  2 | matrix product 1024^3: hot loop without the stack, 70 % of the ceiling
hostile     | counts | 10 | hostile models in one process: 38,184 cuts, flips, and written ones
hostile-asn | counts | 10 | the same under ASan and UBSan, 1 of 64
hostile-bin | counts | 10 | hostile models through the command: 25 of each kind
hostile-dat | counts |  5 | hostile data through executables
hostile-img | counts |  5 | damaged image files through executables that decode them
hostile-mut | counts |  5 | node tests with attributes, types, operands, constants changed, under ASan and UBSan: 1,000
hostile-opr | counts |  8 | every operator with operands of other ranks, extents and types, under ASan and UBSan
random      | counts |  5 | random graphs against the onnx package, 8 levels, targets and selections of passes: 60, seeded
operators   | counts |  5 | every operator in 5 random configurations: evaluator against ONNX Runtime and onnx, code against the evaluator
contrib     | counts |  5 | operators of com.microsoft against ONNX Runtime: 4 rounds, seeded
sequences   | counts |  5 | random programs on sequences and optionals against lists of Python, 4 ways: 60, seeded
gradient    | counts |  3 | the operator Gradient against central differences
user-ops    | counts |  3 | operators of a user compiled in with --op: every form of artifact, refusals, failures
tune        | counts |  3 | --tune: remembered choices of tiles, and the same bits with each of them
digits      | counts |  2 | models/digits: test set, executable on real images, its size
'

# Only in full.sh.
LONG_STEPS='
tight       | ctest  | 10 | unit tests with arena blocks of 64 bytes, tables of 2, poisoned memory, under ASan and UBSan
threads     | ctest  | 10 | unit tests under TSan
ulp         | status | 10 | mathematics of f32 at all 2^32 arguments, fused and not, within 2 ulp
exports     | counts | 10 | exports of torch, Keras, scikit-learn and boosting, of 525 nets, against ONNX Runtime
'
[ -z "$FULL" ] || STEPS+=$LONG_STEPS

rows() { grep '|' <<<"$STEPS"; }
field() { cut -d'|' -f"$1" | tr -d ' '; }
counts() { printf '%d passed, %d failed, %d skipped\n' "$1" "$2" "$3"; }
need_ingot() { [ -x $INGOT ] || { echo "$INGOT is missing: the build failed or did not run"; exit 1; }; }
need_python() { scripts/setup.sh --python || { echo "no Python with the pinned packages"; exit 1; }; }

absent() # WHAT: data that cannot be had: a failure in CI, elsewhere a skip
{
    echo "absent: $1"
    if [ -n "${CI:-}" ]; then counts 0 1 0; else counts 0 0 1; fi
}

compile_tree() # FOLDER CMAKE-ARGUMENT...
{
    local folder=$1
    shift
    cmake -S . -B "$folder" -G Ninja "$@" && ninja -C "$folder" -j "$JOBS"
}

step_setup() { scripts/setup.sh --test; }
step_build() { compile_tree build; }
step_clang() { compile_tree build/clang -DCMAKE_C_COMPILER=clang; }
step_includes() { scripts/check-includes; }

# Constant tables stand in .rodata and .data.rel.ro; what would change stands in .data, .bss and their thread-local kin.
# One exception: the pthread_once_t under which LLVM's targets are registered.
step_globals()
{
    size -A build/libingot_*.a | awk '
        $1 ~ /\.c\.o$/ { object = $1 }
        object == "cpu_module.c.o" && $1 == ".bss" && $2 == 4 { next }
        $1 ~ /^\.(data|bss|tdata|tbss)(\.[^r].*)?$/ && $1 !~ /^\.data\.rel/ && $2 > 0 {
            print object ": " $2 " bytes in " $1; bad = 1
        }
        END { exit bad }'
}

step_format()
{
    local file files bad=0
    files=$(scripts/sources '*.c' '*.h') || return 1
    for file in $files; do
        clang-format-14 --dry-run -Werror "$file" 2>/dev/null || { echo "$file"; bad=1; }
    done
    [ $bad = 0 ] || echo "scripts/format changes the files above"
    return $bad
}

step_unit() { ctest --test-dir build -L '^unit$' -j "$JOBS" --output-on-failure; }
step_suites() { ctest --test-dir build -LE '^unit$' -j "$JOBS" --output-on-failure; }
step_asan()
{
    compile_tree build/asan -DCMAKE_BUILD_TYPE=Debug -DCMAKE_C_FLAGS_DEBUG='-O1 -g' \
        -DINGOT_SANITIZE=address,undefined
}
step_tight()
{
    compile_tree build/tight -DCMAKE_BUILD_TYPE=Debug -DCMAKE_C_FLAGS_DEBUG='-O1 -g' \
        -DINGOT_SANITIZE=address,undefined -DINGOT_HOSTILE=ON &&
        ctest --test-dir build/tight -L '^unit$' -j "$JOBS" --output-on-failure
}

step_threads()
{
    compile_tree build/tsan -DCMAKE_BUILD_TYPE=Debug -DCMAKE_C_FLAGS_DEBUG='-O1 -g' -DINGOT_SANITIZE=thread &&
        ctest --test-dir build/tsan -L '^unit$' -j "$JOBS" --output-on-failure
}

step_ulp()
{
    printf '%s\n' build/tests/sx_ulp_*_test | INGOT_ULP_STEP=1 INGOT_ULP_REPORT=1 xargs -P "$JOBS" -n 1 env
}

step_asan-unit() { ctest --test-dir build/asan -L '^unit$' -j "$JOBS" --output-on-failure; }

step_onnx-reader()
{
    local folders=(models build/families)
    need_python
    [ ! -d "$SHARED/corpus/dev" ] || folders+=("$SHARED/corpus/dev")
    ninja -C build onnx_dump && $PYTHON bench/gen_models.py build/families &&
        $PYTHON tests/frontend/onnx_compare.py build/tests/frontend/onnx_dump "${folders[@]}" \
            --mutate "$([ -n "$FULL" ] && echo 1000 || echo 20)"
}

step_embed()
{
    need_ingot
    scripts/check-embed
}

tests_of_package() # NAME [--but FOLDER...]: the folder of the node tests that the pinned onnx package has
{
    local out=build/conformance/$1 pin
    pin=$(grep '^onnx==' scripts/requirements.txt)
    shift
    if [ "$(cat $out/complete 2>/dev/null)" != "$pin" ]; then
        rm -rf $out
        mkdir -p $out
        scripts/setup.sh --python >&2 && $PYTHON -W ignore tests/conformance/write_tests.py $out/tests "$@" >&2 &&
            echo "$pin" >$out/complete || return
    fi
    echo $out/tests
}

node_tests() # prints the folder of the ONNX node tests; makes it with the pinned package where it is not given
{
    if [ -d "$SHARED/conformance/node" ]; then
        echo "$SHARED/conformance/node"
    else
        tests_of_package node
    fi
}

newer_tests() # those of the pinned package that are not given
{
    tests_of_package newer --but "$SHARED/conformance/node" "$SHARED/conformance/node-1.23"
}

# Counts of one folder of node tests against its floor; the scoreboard may only rise: fewer passes than the floor are
# failures, what is not there yet is a skip. Adds to all_passed, all_failed, all_skipped.
random_tests() # JSON of ingot test: names of those with random outputs
{
    awk -F'"' '/^{"name": / { name = $4; sub(".*/", "", name) } /^  "random": \[$/ { print name }' "$1"
}

# How many tests of the JSON contain each operator, and which calls no row of the op table allows.
used_operators() # JSON...
{
    awk -F'"' '/^  "used": \[$/ { on = 1; next } /^  \]/ { on = 0 } on && NF > 2 { n[$2]++ }
        END { for (o in n) print n[o], o }' "$@" | LC_ALL=C sort -k2
}

undeclared_calls() # JSON...
{
    awk -F'"' '/^  "undeclared_calls": \[$/ { on = 1; next } /^  \]/ { on = 0 } on && NF > 2 { print $2 }' "$@" | sort -u
}

conformance_of() # FOLDER FLOOR
{
    local data=$1 floor=$2 passed failed skipped rc
    $INGOT test "$data" --json $LOGS/conformance.json | tee $LOGS/conformance.out
    rc=${PIPESTATUS[0]}
    cat $LOGS/conformance.json >>$LOGS/conformance.all
    random_tests $LOGS/conformance.json >>$LOGS/random.out
    read -r passed failed skipped < <(tail -1 $LOGS/conformance.out |
        sed -n 's/^\([0-9]*\) passed, \([0-9]*\) failed, \([0-9]*\) skipped$/\1 \2 \3/p')
    if [ -z "${skipped:-}" ] || [ "$rc" -gt 1 ]; then
        echo "ingot test did not come to its end (exit status $rc)"
        all_failed=$((all_failed + 1))
        return
    fi
    echo "conformance: $passed of $((passed + failed + skipped)) pass in $data; the floor is $floor"
    if [ "$passed" -lt "$floor" ]; then
        all_failed=$((all_failed + floor - passed))
        all_skipped=$((all_skipped + failed + skipped - floor + passed))
    else
        [ "$passed" -eq "$floor" ] || echo "raise tests/conformance/floor.txt to $passed for $data"
        all_skipped=$((all_skipped + failed + skipped))
    fi
    all_passed=$((all_passed + passed))
}

step_op-table()
{
    need_ingot
    need_python
    $PYTHON -W ignore tests/conformance/table_check.py $INGOT
}

step_conformance()
{
    local data newer name floor absent=0 all_passed=0 all_failed=0 all_skipped=0
    need_ingot
    data=$(node_tests) || { absent "ONNX node tests, neither in $SHARED nor made by the onnx package"; return; }
    rm -f $LOGS/random.out $LOGS/conformance.all
    while read -r name floor; do
        if [ "$name" = node ]; then
            conformance_of "$data" "$floor"
        elif [ "$name" = newer ] && [ -d "$SHARED/conformance/node" ] && newer=$(newer_tests); then
            conformance_of "$newer" "$floor"
        elif [ -d "$SHARED/conformance/$name" ]; then
            conformance_of "$SHARED/conformance/$name" "$floor"
        else
            echo "skipped: no $name in $SHARED/conformance"
            all_skipped=$((all_skipped + floor)) absent=1
        fi
    done < <(grep -v '^#' tests/conformance/floor.txt)
    if ! diff <(grep -v '^#' tests/conformance/random.txt) <(sort -u $LOGS/random.out); then
        echo "tests/conformance/random.txt does not list the tests with values that are not compared"
        all_failed=$((all_failed + 1))
    fi
    if [ -n "$(undeclared_calls $LOGS/conformance.all)" ]; then
        undeclared_calls $LOGS/conformance.all | sed 's/^/a call that no row of the op table allows: /'
        all_failed=$((all_failed + 1))
    fi
    used_operators $LOGS/conformance.all >$LOGS/operators.txt
    if [ $absent = 0 ] && ! diff tests/conformance/operators.txt $LOGS/operators.txt; then
        echo "tests/conformance/operators.txt is stale: cp $LOGS/operators.txt tests/conformance/ renews it, and then"
        echo "build/tests/operators_page >build/page && mv build/page docs/OPERATORS.md the page made of it"
        all_failed=$((all_failed + 1))
    fi
    counts $all_passed $all_failed $all_skipped
    [ $all_failed = 0 ]
}

step_corpus()
{
    need_ingot
    [ -d "$SHARED/corpus/dev" ] || {
        echo "skipped: no corpus in $SHARED"
        counts 0 0 "$(cat tests/corpus/*.txt | grep -vc '^#')"
        return
    }
    cat tests/corpus/*.txt | grep -v '^#' | sed "s|^|$SHARED/corpus/dev/|" | xargs $INGOT test
}

step_families()
{
    need_ingot
    need_python
    rm -rf build/families
    $PYTHON bench/gen_models.py build/families && $INGOT test build/families
}

step_exe-sample()
{
    local data
    need_ingot
    need_python
    data=$(node_tests) || { absent "ONNX node tests"; return; }
    $PYTHON tests/artifacts/exe_sample.py $INGOT "$data" build/exe-sample \
        --count "$([ -n "$FULL" ] && echo 1000 || echo 100)"
}

# The runner tells the score; tests that are known to fail are listed, and none beside them may.
step_python()
{
    local tests=0 rc
    need_ingot
    need_python
    $PYTHON tests/python/binding_test.py || tests=1
    INGOT_LIBRARY=build/libingot.so $PYTHON bindings/python/scoreboard.py --known tests/conformance/scoreboard.txt \
        --every "$([ -n "$FULL" ] && echo 1 || echo 40)" --json $LOGS/scoreboard.json | tee $LOGS/scoreboard.out
    rc=${PIPESTATUS[0]}
    read_counts counts $LOGS/scoreboard.out
    counts $((passed + 1 - tests)) $((failed + tests)) "$skipped"
    return $((rc | tests))
}

first_models() # [COUNT]: folders of the first models that are here, all or so many
{
    [ -d "$SHARED/corpus/dev" ] || return 0
    grep -v '^#' tests/corpus/first.txt | head -n "${1:-99}" | sed "s|^|$SHARED/corpus/dev/|"
}

some_models() # NAME...: all first models in full.sh, else those named, as far as they are here
{
    local name
    [ -z "$FULL" ] || { first_models; return; }
    for name in "$@"; do
        [ ! -d "$SHARED/corpus/dev/$name" ] || echo "$SHARED/corpus/dev/$name"
    done
}

step_same-bits()
{
    need_ingot
    need_python
    # shellcheck disable=SC2046
    $PYTHON tests/artifacts/same_bits.py $INGOT build/same-bits $(some_models dtln_model_1 go2_apg_policy \
        yunet_n_dynamic silero_vad_v6)
}

# Every model with every combination; the slice takes another combination for each model.
step_evaluator()
{
    local model options combination at=0 passed=0 failed=0
    need_ingot
    for model in models/digits/digits.onnx $(first_models | sed 's|$|/model.onnx|'); do
        at=$((at + 1)) combination=0
        for options in -O{0,3}" --target x86-64-v"{2,3,4}{""," --no-fold"}; do
            combination=$((combination + 1))
            [ -n "$FULL" ] || [ $((at * 5 % 12 + 1)) = $combination ] || continue
            # shellcheck disable=SC2086
            if timeout 300 $INGOT check "$model" $options; then
                passed=$((passed + 1))
            else
                failed=$((failed + 1))
                echo "FAIL ingot check $model $options"
            fi
        done
    done
    counts $passed $failed 0
    [ $failed = 0 ]
}

step_printed-c()
{
    need_ingot
    # shellcheck disable=SC2046
    $INGOT check --c models/digits/digits.onnx $(some_models dtln_model_1 go2_apg_policy head_localizer \
        magika_v3_3 silero_vad_v6 fraud_gru_loop)
}

step_cuda()
{
    need_ingot
    # shellcheck disable=SC2046
    $INGOT check --cuda models/digits/digits.onnx $(some_models dtln_model_1 go2_apg_policy fsanet_1x1 \
        silero_vad_v6)
}

artifact_tests() # SCRIPT: one of tests/artifacts that takes the command and a folder
{
    need_ingot
    need_python
    $PYTHON "tests/artifacts/$1.py" $INGOT "build/$1"
}

step_resnet50() { artifact_tests resnet50_check; }
step_bench-nets() { artifact_tests suites_check; }
step_levels() { artifact_tests levels_check; }
step_hot-loops() { artifact_tests hot_loops; }
step_matmul() { artifact_tests matmul_check; }

hostile_models() # prints the folder of the hostile models; bases: corpus models, or our own where there is no corpus
{
    local out=build/hostile base bases=()
    for base in silero_vad_v6 fraud_gru_loop gtcrn_stream; do
        [ ! -f "$SHARED/corpus/dev/$base/model.onnx" ] || bases+=(--base "$SHARED/corpus/dev/$base/model.onnx")
    done
    if [ ${#bases[@]} = 0 ]; then
        $PYTHON bench/gen_models.py build/families gpt2_layer loop_grows >&2 || return 1
        bases=(--base build/families/gpt2_layer/model.onnx --base build/families/loop_grows/model.onnx
            --base models/digits/digits.onnx)
    fi
    $PYTHON tests/hostile/make_hostile.py $out "${bases[@]}" >&2 && echo $out
}

step_hostile()
{
    local data
    need_python
    ninja -C build hostile_run && data=$(hostile_models) &&
        build/tests/hostile_run "$data"
}

step_hostile-asn()
{
    local data
    need_python
    ninja -C build/asan hostile_run && data=$(hostile_models) &&
        build/asan/tests/hostile_run "$data" --every "$([ -n "$FULL" ] && echo 4 || echo 64)"
}

step_hostile-bin()
{
    local data
    need_ingot
    need_python
    data=$(hostile_models) &&
        $PYTHON tests/hostile/run_binary.py $INGOT "$data" --each "$([ -n "$FULL" ] && echo 1000 || echo 25)"
}

step_hostile-dat()
{
    need_ingot
    need_python
    $PYTHON tests/hostile/hostile_data.py $INGOT build/hostile-data
}

step_hostile-img()
{
    local data
    need_ingot
    need_python
    data=$(node_tests) || { absent "ONNX node tests"; return; }
    $PYTHON tests/hostile/hostile_images.py $INGOT "$data" build/hostile-images \
        --each "$([ -n "$FULL" ] && echo 3000 || echo 30)"
}

step_hostile-mut()
{
    local data out=build/hostile-mutants
    need_python
    data=$(node_tests) || { absent "ONNX node tests"; return; }
    rm -rf $out
    ninja -C build/asan hostile_run && $PYTHON tests/hostile/mutate_models.py $out "$data" \
        --count "$([ -n "$FULL" ] && echo 60000 || echo 1000)" && build/asan/tests/hostile_run $out
}

step_hostile-opr()
{
    local out=build/hostile-operands
    need_python
    rm -rf $out
    ninja -C build/asan hostile_run &&
        $PYTHON -W ignore tests/hostile/mutate_operands.py $out --count "$([ -n "$FULL" ] && echo 5 || echo 1)" &&
        build/asan/tests/hostile_run $out
}

step_random()
{
    need_ingot
    need_python
    $PYTHON tests/random/random_graphs.py $INGOT build/random --count "$([ -n "$FULL" ] && echo 2000 || echo 60)"
}

step_operators()
{
    need_ingot
    need_python
    if [ -n "$FULL" ]; then
        $PYTHON -W ignore tests/random/random_operators.py $INGOT build/random-operators --jobs "$JOBS" --count 200
    else
        $PYTHON -W ignore tests/random/random_operators.py $INGOT build/random-operators --jobs "$JOBS" --count 5 --slice
    fi
}

step_contrib()
{
    need_ingot
    need_python
    $PYTHON tests/random/contrib_ort.py $INGOT build/contrib --rounds "$([ -n "$FULL" ] && echo 200 || echo 4)"
}

step_sequences()
{
    need_ingot
    need_python
    $PYTHON tests/random/random_sequences.py $INGOT build/random-sequences \
        --count "$([ -n "$FULL" ] && echo 2000 || echo 60)"
}

step_docs()
{
    need_ingot
    need_python
    $PYTHON tests/docs/docs_check.py build build/docs
}

step_gradient() { artifact_tests gradient_check; }
step_user-ops() { artifact_tests user_op_check; }
step_tune() { artifact_tests tune_check; }

# Each group has a process of its own: torch and its exporters do not give memory back.
export_group() # GROUP
{
    build/venv-exports/bin/python -W ignore tests/exports/run_exports.py $INGOT build/exports --group "$1" \
        --json "$LOGS/exports-$1.json" >"$LOGS/exports-$1.out" 2>"$LOGS/exports-$1.err" </dev/null
}

step_exports()
{
    local group floor all_passed=0 all_failed=0 all_skipped=0
    need_ingot
    scripts/setup.sh --exports || { absent "the packages of tests/exports/requirements.txt"; return; }
    for group in $(grep -v '^#' tests/exports/floor.txt | cut -d' ' -f1); do
        [ "$(jobs -rp | wc -l)" -lt "$JOBS" ] || wait -n
        export_group "$group" &
    done
    wait
    while read -r group floor; do
        cat "$LOGS/exports-$group.out"
        read_counts counts "$LOGS/exports-$group.out"
        [ "$passed" -ge "$floor" ] || { echo "FAIL $group: fewer than $floor pass"; failed=$((failed + 1)); }
        all_passed=$((all_passed + passed)) all_failed=$((all_failed + failed)) all_skipped=$((all_skipped + skipped))
    done < <(grep -v '^#' tests/exports/floor.txt)
    counts $all_passed $all_failed $all_skipped
    [ $all_failed = 0 ]
}

step_digits()
{
    need_ingot
    scripts/check-digits
}

read_counts() # READER LOG: sets passed failed skipped
{
    local reader=$1 log=$2 line total
    passed=0 failed=0 skipped=0
    case $reader in
    status) passed=1 ;;
    ctest)
        line=$(grep -E '^[0-9]+% tests passed' "$log" | tail -1)
        total=${line##*out of }
        failed=$(sed -n 's/.*tests passed, \([0-9]*\) tests failed.*/\1/p' <<<"$line")
        skipped=$(grep -cE '\*\*\*Skipped' "$log")
        if [ -n "$total" ]; then passed=$((total - failed - skipped)); else failed=1; fi
        ;;
    counts)
        line=$(grep -E '^[0-9]+ passed, [0-9]+ failed, [0-9]+ skipped$' "$log" | tail -1)
        if [ -n "$line" ]; then
            read -r passed _ failed _ skipped _ <<<"$line"
        else
            failed=1
        fi
        ;;
    esac
}

run_step() # NAME READER MINUTES WHERE
{
    local name=$1 reader=$2 minutes=$3 log=$LOGS/$1.log began=$SECONDS rc
    [ -z "$FULL" ] || minutes=$((minutes * 60))
    printf '%-7s %-12s ' "$4" "$name"
    timeout -k 10 $((minutes * 60)) "$0" --step "$name" >"$log" 2>&1 </dev/null
    rc=$?
    read_counts "$reader" "$log"
    if [ $rc != 0 ] && [ "$failed" = 0 ]; then
        failed=1
        [ "$reader" != status ] || passed=0
    fi
    printf '%5d passed, %d failed, %d skipped  (%d s)\n' "$passed" "$failed" "$skipped" \
        $((SECONDS - began))
    [ $rc != 124 ] || echo "        stopped after $minutes minutes"
    if [ "$failed" != 0 ]; then
        tail -n 25 "$log" | sed 's/^/        /'
        echo "        ... all of it: $log"
    elif [ "$skipped" != 0 ]; then
        grep -iE '^(skip|absent|conformance)' "$log" | head -5 | sed 's/^/        /'
    fi
}

main()
{
    local names name reader minutes row at=0 all_passed=0 all_failed=0 all_skipped=0
    local passed failed skipped
    mkdir -p $LOGS
    if [ $# = 0 ]; then names=$(rows | field 1); else names="$*"; fi
    for name in $names; do
        row=$(rows | grep -E "^$name *\|") || { echo "no step '$name'; see --list"; exit 2; }
    done
    for name in $names; do
        row=$(rows | grep -E "^$name *\|")
        at=$((at + 1))
        reader=$(field 2 <<<"$row") minutes=$(field 3 <<<"$row")
        run_step "$name" "$reader" "$minutes" "[$at/$(wc -w <<<"$names")]"
        all_passed=$((all_passed + passed)) all_failed=$((all_failed + failed))
        all_skipped=$((all_skipped + skipped))
    done
    counts $all_passed $all_failed $all_skipped
    [ $all_failed = 0 ]
}

case "${1:-}" in
--step) "step_$2" ;;
--list) rows ;;
-*) sed -n '2,8s/^# \{0,1\}//p' "$0"; exit 2 ;;
*) main "$@" ;;
esac
