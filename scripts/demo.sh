#!/usr/bin/env bash
# demo.sh: from a bare Debian 12 to a model that is a program. Installs what is missing, builds ingot, compiles
# models/digits/digits.onnx into the executable build/demo/digits and runs it on held-out images. Can be repeated.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1
IMAGES=models/digits/images
DEMO=build/demo

stop() { printf 'demo: %s\n' "$*" >&2; exit 1; }
title() { printf '\n== %s\n' "$*"; }

build()
{
    scripts/setup.sh || stop "what the build needs is not all there (see above)"
    [ -f build/build.ninja ] || cmake -S . -B build -G Ninja >build/cmake.log 2>&1 ||
        { cat build/cmake.log; stop "cmake could not set up the build"; }
    if [ -t 1 ]; then
        ninja -C build ingot || stop "the build failed (see above)"
    else
        ninja -C build ingot >build/ninja.log || { tail -40 build/ninja.log; stop "the build failed"; }
    fi
}

milliseconds() { echo $((($(date +%s%N) - $1) / 1000000)); }

main()
{
    local began image answer label right=0 all=0
    mkdir -p $DEMO
    title "ingot itself"
    began=$(date +%s%N)
    build
    echo "build/ingot is ready ($(milliseconds "$began") ms)"

    title "ingot compile models/digits/digits.onnx -o $DEMO/digits"
    began=$(date +%s%N)
    build/ingot compile models/digits/digits.onnx -o $DEMO/digits || stop "the model was not compiled"
    echo "compiled in $(milliseconds "$began") ms; the executable has $(stat -c %s $DEMO/digits) bytes:" \
        "weights, code, PNG reader"

    title "handwritten digits that the model never saw"
    for image in "$IMAGES"/*.png; do
        answer=$($DEMO/digits --input image="$image" --top 1) || stop "digits failed on $image"
        read -r label probability < <(awk '$1 ~ /^[0-9]+$/ { print $1, $2; exit }' <<<"$answer")
        [ -n "${label:-}" ] || stop "digits said something unexpected: $answer"
        all=$((all + 1))
        [ "$label" != "$(basename "$image" | cut -c1)" ] || right=$((right + 1))
        awk -v f="$(basename "$image")" -v l="$label" -v p="$probability" \
            'BEGIN { printf "  %-12s label %s   probability %.4f\n", f, l, p }'
    done
    echo "$right of $all right (the first character of the name is the digit that was meant)"

    title "time of one inference, one thread"
    $DEMO/digits --input image=$IMAGES/3_1438.png --bench --threads 1 || stop "digits --bench failed"

    cat <<-TRY

		== try next
		  $DEMO/digits --help                                          what it reads and writes
		  $DEMO/digits --input image=$IMAGES/3_1438.png --top 3
		  build/ingot compile models/digits/digits.onnx -o digits.so --emit shared   a library, and its header
		  build/ingot inspect models/digits/digits.onnx
		  build/ingot compile YOUR_MODEL.onnx -o your_model
	TRY
}

main "$@"
