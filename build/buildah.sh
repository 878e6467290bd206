# Sourced: buildah without privileges beyond root, with its storage below target/ so that `make clean` takes it along.
# shellcheck shell=bash
# vfs and chroot work everywhere, in a container too; overlay and namespaces do not.
export STORAGE_DRIVER=vfs BUILDAH_ISOLATION=chroot
buildah() { command buildah --root "$PWD/target/images-cache/storage" --runroot "$PWD/target/images-cache/run" "$@"; }
