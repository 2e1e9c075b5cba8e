#!/usr/bin/env bash
# setup.sh: bring a Debian 12 to where ingot builds and its tests run. Does only what is missing; can be repeated.
#
#   scripts/setup.sh            what the build needs
#   scripts/setup.sh --test     and what the tests need: clang, clang-format 14, g++, git, Python
#   scripts/setup.sh --python   only build/venv, with the packages pinned in scripts/requirements.txt
#   scripts/setup.sh --exports  only build/venv-exports, with those of tests/exports/requirements.txt: 8 GB, for full.sh
#
# Installs as root, or through sudo. Exit status: 0 all there, 1 something that is needed could not be installed.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1

BUILD_PACKAGES="gcc libc6-dev binutils cmake ninja-build pkg-config llvm-19-dev protobuf-c-compiler
    libprotobuf-c-dev libpng-dev zlib1g-dev"
# Decoders of ImageDecoder: without one, ingot is built without it.
IMAGE_PACKAGES="libjpeg62-turbo-dev libtiff-dev libwebp-dev libopenjp2-7-dev"
TEST_PACKAGES="clang clang-format-14 g++ git python3 python3-venv"

say() { printf '%s\n' "setup: $*" >&2; }

missing_of() # PACKAGE...: those that are not installed
{
    local package
    for package in "$@"; do
        [ "$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null)" = installed ] ||
            printf '%s ' "$package"
    done
}

as_root()
{
    if [ "$(id -u)" = 0 ]; then
        "$@"
    elif command -v sudo >/dev/null; then
        sudo "$@"
    else
        say "neither root nor sudo: cannot run: $*"
        return 1
    fi
}

apt() # ARGUMENT...: apt-get without questions, waiting for another one that is at work
{
    as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=300 \
        -o Dpkg::Use-Pty=0 "$@" >&2
}

install_packages() # PACKAGE...
{
    local missing package
    if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
        say "this is no Debian: nothing installed; the build needs what these packages hold: $*"
        return 0 # the build itself will say what it does not find
    fi
    missing=$(missing_of "$@")
    [ -n "$missing" ] || return 0
    say "installing: $missing"
    apt update || say "the list of packages could not be renewed; trying with the one that is here"
    # shellcheck disable=SC2086
    if ! apt install -y --no-install-recommends $missing; then
        say "together they could not be installed; trying one by one"
        for package in $missing; do
            apt install -y --no-install-recommends "$package"
        done
    fi
    missing=$(missing_of "$@")
    [ -n "$missing" ] || { say "installed"; return 0; }
    say "COULD NOT INSTALL: $missing"
    say "install them by hand (apt-get install $missing), then run this again"
    return 1
}

install_optional() # PACKAGE...: what the build can do without
{
    install_packages "$@" || say "going on without: ImageDecoder will lack what these decode"
    return 0
}

make_venv() # FOLDER REQUIREMENTS: a Python with these packages; nothing to do when it has them
{
    local venv=$1 packages=$2
    [ -x "$venv/bin/python" ] && cmp -s "$packages" "$venv/requirements.txt" && return 0
    say "making $venv with the packages of $packages"
    mkdir -p build
    rm -rf "$venv"
    if ! python3 -m venv "$venv"; then
        say "COULD NOT MAKE $venv: python3 and python3-venv are needed"
        return 1
    fi
    if ! "$venv/bin/python" -m pip install --disable-pip-version-check --quiet -r "$packages" >&2; then
        say "COULD NOT INSTALL the packages of $packages (is there a network?)"
        return 1
    fi
    cp "$packages" "$venv/requirements.txt"
    say "$venv is ready"
}

main()
{
    # shellcheck disable=SC2086
    case "${1:-}" in
    "") install_packages $BUILD_PACKAGES && install_optional $IMAGE_PACKAGES ;;
    --test) install_packages $BUILD_PACKAGES $TEST_PACKAGES && install_optional $IMAGE_PACKAGES ;;
    --python) install_packages python3 python3-venv && make_venv build/venv scripts/requirements.txt ;;
    --exports)
        install_packages python3 python3-venv libgl1 libglib2.0-0 &&
            make_venv build/venv-exports tests/exports/requirements.txt
        ;;
    *)
        sed -n '2,8s/^# \{0,1\}//p' "$0"
        exit 2
        ;;
    esac
}

main "$@"
