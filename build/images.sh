#!/usr/bin/env bash
# OCI archives target/images/{operator,gateway,runtime}.tar from the Dockerfile, without a container engine:
# buildah in a chroot, as root. Nothing is downloaded inside, nothing is compiled twice, and unchanged
# inputs do nothing. FORCE=1 builds all the same.
set -euo pipefail
cd "$(dirname "$0")/.."
source build/say.sh
source build/buildah.sh

version=$(sed -n '/^\[workspace.package\]/,/^\[/s/^version = "\(.*\)"/\1/p' Cargo.toml)
out=target/images cache=target/images-cache
# Budgets in MiB, unpacked: growth is noticed here, not on a node.
declare -A budget=([operator]=25 [gateway]=25 [runtime]=40)

# Everything that can change an image. Tests and golden files cannot.
inputs() {
  find Cargo.toml Cargo.lock tests/Cargo.toml Dockerfile .dockerignore build/images.sh build/base.sh build/buildah.sh crds operator runtime \
    -type f ! -path '*/snapshots/*' ! -path '*/testdata/*' ! -name '*.md' -print0 |
    LC_ALL=C sort -z | xargs -0 sha256sum | sha256sum | cut -c1-64
}

need() {
  [[ $(id -u) == 0 ]] || fail "make images needs root for its chroots; run it as root, or use an engine: docker build --target operator ."
  local missing=()
  type -P buildah >/dev/null || missing+=(buildah)
  type -P mmdebstrap >/dev/null || missing+=(mmdebstrap)
  [[ ${#missing[@]} == 0 ]] && return
  command -v apt-get >/dev/null || fail "${missing[*]} missing: install them, they come with every distribution"
  step "installing ${missing[*]}" apt_install "${missing[@]}"
}

apt_install() {
  apt-get update
  DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends "$@"
}

# cargo-auditable for the build, linked statically since the host's C library may be newer than the base's.
auditable() {
  local version
  version=$(sed -n 's/^ARG CARGO_AUDITABLE=//p' Dockerfile)
  RUSTFLAGS="-C target-feature=+crt-static" CARGO_TARGET_DIR=$PWD/$cache/tools/target \
    cargo install --locked --quiet --root "$cache/tools" --target "$(rustc -vV | sed -n 's/^host: //p')" "cargo-auditable@$version"
  rm -rf "$cache/tools/target"
}

# The host's compiler and its downloaded crates are mounted, so the build needs no network.
build() {
  local name=$1 base=$2 sysroot cargo_home config
  sysroot=$(rustc --print sysroot)
  cargo_home=${CARGO_HOME:-$HOME/.cargo}
  # Where cargo looks for its subcommands.
  local mounts=(--volume "$PWD/$cache/tools/bin:/usr/local/cargo/bin:ro")
  mounts+=(--volume "$sysroot:/usr/local/rust:ro" --volume "$cargo_home/registry:/usr/local/cargo/registry" --volume "$PWD/$cache/target:/build")
  # A site's mirror is told here; crates from it lie under its name in the registry folder.
  for config in config.toml config; do
    [[ -f $cargo_home/$config ]] && mounts+=(--volume "$cargo_home/$config:/usr/local/cargo/$config:ro")
  done
  buildah build --layers=false --pull-never --timestamp 0 --format oci "${mounts[@]}" \
    --build-arg BUILD_BASE="$base" --build-arg VERSION="$version" \
    --target "$name" --tag "localhost/alcazar/$name:$version" .
}

archive() {
  local name=$1
  local layout=$cache/layout-$name
  rm -rf "$layout"
  buildah push --quiet "localhost/alcazar/$name:$version" "oci:$PWD/$layout:localhost/alcazar/$name:$version"
  # Sorted, without times and owners: the same inputs give the same bytes.
  tar --create --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner --directory "$layout" --file "$out/$name.tar.new" oci-layout index.json blobs
  mv "$out/$name.tar.new" "$out/$name.tar"
}

# What the layers unpack to on a node; the archive has them compressed.
check_size() {
  local name=$1 bytes blob
  bytes=$(for blob in "$cache/layout-$name"/blobs/sha256/*; do gzip -dc "$blob" 2>/dev/null || true; done | wc -c)
  rm -rf "$cache/layout-$name"
  awk -v b="$bytes" -v l="${budget[$name]}" -v n="$name" 'BEGIN {
    printf "  %s: %.1f MiB of at most %d\n", n, b / 1048576, l; exit b > l * 1048576 }' >&2 || {
    rm -f "$out/$name.tar"
    fail "the $name image is over its budget of ${budget[$name]} MiB"
  }
}

mkdir -p "$out" "$cache/target"
now=$(inputs)
if [[ -z ${FORCE:-} && -f $out/operator.tar && -f $out/gateway.tar && -f $out/runtime.tar && $(cat "$out/inputs" 2>/dev/null) == "$now" ]]; then
  say "images are up to date: $out/{operator,gateway,runtime}.tar"
  exit 0
fi
began=$SECONDS
need
step "downloading what Cargo.lock names and is not here yet" cargo fetch --locked --target "$(rustc -vV | sed -n 's/^host: //p')"
step "cargo-auditable, for the lists of crates in the programs (once)" auditable
base=$(build/base.sh)
for name in operator gateway runtime; do
  step "image $name (the first one compiles all programs: some minutes on 2 cores, once)" build "$name" "$base"
  step "archive $out/$name.tar" archive "$name"
  check_size "$name"
done
buildah rmi --prune >/dev/null # what the new images replaced
echo "$now" >"$out/inputs"
say "images: $out/{operator,gateway,runtime}.tar in $((SECONDS - began)) s"
