# Installs what the cluster needs from the distribution, and only what is missing.
# shellcheck shell=bash

# needs PACKAGE PROGRAM: remembers the package if the program is not here.
needs() {
  [ -e "$2" ] || command -v "$2" >/dev/null || missing+=("$1")
}

find_missing() {
  missing=()
  needs openssl openssl
  needs util-linux setsid
  [ "$NODE" = 0 ] && return
  needs containerd containerd
  needs runc runc
  needs iptables iptables
  needs nftables nft
  needs iproute2 ip
  needs kmod modprobe
  cni_plugins >/dev/null || missing+=(containernetworking-plugins)
}

# Prints where the CNI plugins lie: distributions and upstream do not agree.
cni_plugins() {
  local dir
  for dir in /usr/lib/cni /opt/cni/bin /usr/libexec/cni; do
    [ -x "$dir/bridge" ] && [ -x "$dir/host-local" ] && [ -x "$dir/portmap" ] && [ -x "$dir/tuning" ] && echo "$dir" && return
  done
  return 1
}

install_packages() {
  find_missing
  if [ ${#missing[@]} -gt 0 ]; then
    printf '\n  missing: %s ... ' "${missing[*]}"
    command -v apt-get >/dev/null || fail "install these programs by your distribution's means, then try again: ${missing[*]}"
    [ "$(id -u)" = 0 ] || fail "run this as root, or install yourself: apt-get install ${missing[*]}"
    apt_install || { apt-get -qq update && apt_install; } || fail "apt-get could not install: ${missing[*]}"
  fi
  [ "$NODE" = 0 ] || [ "$(id -u)" = 0 ] || fail "a node needs root (namespaces, mounts, a bridge); NODE=0 does not"
}

apt_install() {
  # The lock may be held by another installation. RUNLEVEL: no service need start, this cluster runs its own containerd.
  RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive apt-get -qq -y --no-install-recommends -o DPkg::Lock::Timeout=300 \
    install "${missing[@]}" >/dev/null 2>"$STATE/apt.log" || { tail -n 3 "$STATE/apt.log" >&2; return 1; }
}
