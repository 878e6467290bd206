# shellcheck shell=bash
# WireGuard's own programs: what the tunnel is tested against.

fail() { echo "FAILED: $*" >&2; exit 1; }

vpn_packages() {
  local missing=()
  command -v wireguard-go >/dev/null || missing+=(wireguard-go)
  command -v wg-quick >/dev/null || missing+=(wireguard-tools)
  command -v curl >/dev/null || missing+=(curl)
  command -v ip >/dev/null || missing+=(iproute2)
  [ ${#missing[@]} -gt 0 ] || return 0
  echo "installing ${missing[*]}: the other side of the tunnel is WireGuard's own"
  apt_install "${missing[@]}" || { apt-get -qq update && apt_install "${missing[@]}"; } || fail "apt-get could not install: ${missing[*]}"
}
apt_install() { DEBIAN_FRONTEND=noninteractive apt-get -qq -y --no-install-recommends -o DPkg::Lock::Timeout=300 install "$@" >/dev/null; }
