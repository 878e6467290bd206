# Builds the Go programs and packs the images of the rig; nothing if no source has changed.
# shellcheck shell=bash

# One set of flags for everything in the module: another one would compile all of Kubernetes again.
# No cgo: the programs are static, so that they run in empty images, and no C compiler is needed. No DWARF: it costs a tenth of the compile time.
export CGO_ENABLED=0
export GOFLAGS="-buildvcs=false -trimpath -gcflags=all=-dwarf=false"
COMPONENTS="etcd kube-apiserver kube-controller-manager kube-scheduler kubelet kube-proxy kubectl kwok local-path policy"

sources_digest() {
  (cd "$HERE" && find . -name '*.go' ! -name '*_test.go' -print0 | sort -z | xargs -0 sha256sum go.mod go.sum lib/build.sh | sha256sum)
}

build_programs() {
  mkdir -p "$BIN/images"
  # Two clusters may come up at the same time, one of them builds.
  (flock 8 && build_if_changed) 8>"$BIN/.lock"
}

build_if_changed() {
  local digest
  digest=$(sources_digest)
  [ "$digest" != "$(cat "$BIN/.built" 2>/dev/null)" ] || return 0
  check_go
  rm -f "$BIN/.built"
  (cd "$HERE" && compile) || fail "the build failed"
  local name
  for name in $COMPONENTS; do ln -sf cluster "$BIN/$name"; done
  pack_images
  echo "$digest" >"$BIN/.built"
}

check_go() {
  local have need
  need=$(awk '$1 == "go" { print $2 }' "$HERE/go.mod")
  command -v go >/dev/null || fail "Go is missing: install $need or newer, see https://go.dev/doc/install"
  have=$(cd / && go env GOVERSION | sed 's/^go//')
  printf '%s\n%s\n' "$need" "$have" | sort -VC || fail "Go $have is too old: install $need or newer, see https://go.dev/doc/install"
}

# Go names each module that it downloads: three hundred lines that help nobody.
quietly() {
  "$@" 2> >(grep -v '^go: downloading' >&2)
}

# version MODULE: as go.mod pins it.
version() {
  awk -v module="$1" '$1 == module { print $2; exit }' "$HERE/go.mod"
}

# Every main package of the module and the tools that go.mod names, in one go, so that each package is compiled once.
compile() {
  local kubernetes minor stamp mains
  quietly go list -deps ./... tool >/dev/null || return # downloads what is missing
  kubernetes=$(version k8s.io/kubernetes)
  minor=${kubernetes#v1.}
  stamp=k8s.io/component-base/version
  mains=$(go list -f '{{if eq .Name "main"}}{{.ImportPath}}{{end}}' ./...) || return
  # Without a version kubectl refuses to talk to the API server, and kubelets are taken for too old.
  # shellcheck disable=SC2086
  quietly go build -ldflags="-s -w -X $stamp.gitVersion=$kubernetes -X $stamp.gitMajor=1 -X $stamp.gitMinor=${minor%%.*} -X $stamp.gitCommit=rig \
    -X helm.sh/helm/v3/internal/version.version=$(version helm.sh/helm/v3)" \
    -o "$BIN/" $mains tool
}

# The pause container holds a pod's namespaces; CoreDNS binds port 53, for which it must be root with that one capability, as upstream's is.
pack_images() {
  pack 65535:65535 localhost/alcazar-test/pause:1 pause
  pack 0:0 localhost/alcazar-test/coredns:1 coredns
  pack 65532:65532 localhost/alcazar-test/probe:1 probe # the hub's image holds a model: hub/image.sh makes it
}

# pack USER REFERENCE PROGRAM
pack() {
  "$BIN/mkimage" --user "$1" --ref "$2" --entrypoint "/bin/$3" "$BIN/images/$3.tar" "$BIN/$3=/bin/$3"
}
