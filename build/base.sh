#!/usr/bin/env bash
# Makes the build base for machines without a container engine or registry: Debian with gcc, as a local image.
# The compiler is the host's own toolchain, mounted by images.sh. Prints the image's name; done once.
# mmdebstrap does what debootstrap does in a third of the time.
set -euo pipefail
cd "$(dirname "$0")/.."
source build/say.sh
source build/buildah.sh

suite=bookworm
packages=gcc,libc6-dev,ca-certificates
# A new list of packages makes a new base.
image=localhost/alcazar/build-base:$suite-$(sha256sum build/base.sh | cut -c1-8)

make_base() {
  local tar=target/images-cache/base.tar container
  mkdir -p target/images-cache
  # What no compiler reads stays out: the vfs driver copies the whole base for each stage.
  mmdebstrap --mode=root --variant=essential --include="$packages" --format=tar \
    --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
    --dpkgopt='path-exclude=/usr/share/locale/*' --dpkgopt='path-exclude=/usr/share/info/*' \
    "$suite" "$tar" "${DEBIAN_MIRROR:-http://deb.debian.org/debian}"
  container=$(buildah from scratch)
  buildah add --quiet "$container" "$tar" /
  buildah config --env PATH=/usr/local/rust/bin:/usr/sbin:/usr/bin:/sbin:/bin --env CARGO_HOME=/usr/local/cargo "$container"
  buildah commit --quiet --rm "$container" "$image"
  rm -f "$tar"
}

if ! buildah inspect --type image "$image" >/dev/null 2>&1; then
  step "a Debian $suite with gcc to build in (once, about a minute)" make_base
fi
echo "$image"
