# Remembers which packet filter tables and chains were there before the cluster, and removes afterwards what it has added.
# shellcheck shell=bash

FAMILIES="iptables ip6tables"
OURS="^(KUBE-|CNI-|$CHAIN\$)"

# Prints each table and each chain of ours by name: "iptables nat", "iptables nat KUBE-SERVICES".
filter_inventory() {
  local family
  for family in $FAMILIES; do
    "$family-save" 2>/dev/null | awk -v family="$family" -v ours="$OURS" '
      /^\*/ { table = substr($1, 2); print family, table }
      /^:/ && substr($1, 2) ~ ours { print family, table, substr($1, 2) }'
  done
}

# Another Kubernetes or a container engine of the machine may have such chains too: those are not ours to remove.
remember_rules() {
  [ -f "$STATE/rules-before" ] || filter_inventory >"$STATE/rules-before"
}

forget_rules() {
  [ -f "$STATE/rules-before" ] || return 0
  local added
  added=$(filter_inventory | grep -vxFf "$STATE/rules-before" || true)
  local family table
  for family in $FAMILIES; do
    for table in $("$family-save" 2>/dev/null | sed -n 's/^\*//p'); do
      forget_chains "$family" "$table" "$(awk -v f="$family" -v t="$table" '$1 == f && $2 == t && NF == 3 { print $3 }' <<<"$added")"
      ! grep -qx "$family $table" <<<"$added" || forget_table "$family" "$table"
    done
  done
}

# In one transaction: the jumps to our chains from all others, then the chains.
forget_chains() {
  [ -n "$3" ] || return 0
  # shellcheck disable=SC2086
  {
    echo "*$2"
    "$1-save" -t "$2" | awk -v list="$3" '
      BEGIN { n = split(list, names, "\n"); for (i = 1; i <= n; i++) ours[names[i]] = 1 }
      /^-A/ && !($2 in ours) { for (i = 3; i < NF; i++) if (($i == "-j" || $i == "-g") && ($(i + 1) in ours)) { sub(/^-A/, "-D"); print; next } }'
    printf -- '-F %s\n' $3
    printf -- '-X %s\n' $3
    echo COMMIT
  } | "$1-restore" -w -n || echo "cluster: some chains of $1 $2 could not be removed" >&2
}

# A table that was not there before and holds no rule of anybody else.
forget_table() {
  local nft_family=ip
  [ "$1" = iptables ] || nft_family=ip6
  "$1-save" -t "$2" 2>/dev/null | grep -q '^-A' || nft delete table "$nft_family" "$2" 2>/dev/null || true
}
