#!/usr/bin/env bash
# Writes target/sbom/PROGRAM.cdx.json: a CycloneDX bill of materials of each program, with the crates that Cargo.lock has for it.
# cargo-cyclonedx is installed below target/ once.
set -euo pipefail
cd "$(dirname "$0")/.."
source build/say.sh

version=0.5.9
tools=$PWD/target/tools out=$PWD/target/sbom
programs=(alcazar alcazar-gateway alcazar-operator alcazar-runtime)

install() { cargo install --quiet --locked --root "$tools" --version "$version" cargo-cyclonedx; }

# The tool writes beside each Cargo.toml; what it leaves there is taken away in any case.
collect() {
  trap 'find crds operator runtime tests -name "*.cdx.json" -delete' RETURN
  "$tools/bin/cargo-cyclonedx" cyclonedx --quiet --format json --spec-version 1.5 --describe binaries \
    --target "$(rustc -vV | sed -n 's/^host: //p')"
  mkdir -p "$out"
  local program found
  for program in "${programs[@]}"; do
    found=$(find operator runtime -name "${program}_bin.cdx.json")
    [[ -n $found ]] || fail "the tool wrote no bill of materials for $program"
    mv "$found" "$out/$program.cdx.json"
  done
}

# A bill without its parts would pass for one.
check() {
  local program n
  for program in "${programs[@]}"; do
    n=$(grep -c '"purl": "pkg:cargo/' "$out/$program.cdx.json" || true)
    ((n > 20)) || fail "$out/$program.cdx.json names $n crates only"
    say "  $out/$program.cdx.json: $n crates"
  done
}

[[ -x $tools/bin/cargo-cyclonedx ]] || step "installing cargo-cyclonedx $version into target/tools" install
step "bills of materials" collect
check
