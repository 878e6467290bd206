#!/usr/bin/env bash
# Writes, or with --check compares, everything that is generated from the code.
#   crds/yaml/, docs/reference/kinds.md     from the types in crds/
#   docs/reference/models.md                from the registries of architectures and the fixtures of their tests
#   docs/reference/cli.md                   from the command line of alcazar
#   charts/alcazar/crds-generated/          the chart's copy of crds/yaml (helm cannot read outside a chart)
set -euo pipefail
cd "$(dirname "$0")/.."
mode=${1:---check}
# `cargo run` takes one crate, and its own choice of features would build everything a second time.
cargo build --quiet --workspace --bin crdgen --bin modelgen --bin cligen
"${CARGO_TARGET_DIR:-target}/debug/crdgen" "$mode"
"${CARGO_TARGET_DIR:-target}/debug/modelgen" "$mode"
"${CARGO_TARGET_DIR:-target}/debug/cligen" "$mode"
chart=charts/alcazar/crds-generated
case $mode in
  --write)
    mkdir -p "$chart"
    cp crds/yaml/*.yaml "$chart/" ;;
  --check)
    diff -r crds/yaml "$chart" || { echo "$chart differs from crds/yaml: run 'make generate'" >&2; exit 1; } ;;
  *)
    echo "use: $0 --write|--check" >&2; exit 2 ;;
esac
