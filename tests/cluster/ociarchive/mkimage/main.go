// Command mkimage writes an OCI archive from files; see the ociarchive package. It stands apart from `cluster`, which takes minutes to build.
package main

import (
	"os"

	"alcazar.dev/cluster/ociarchive"
)

func main() {
	os.Exit(ociarchive.Main(os.Args[1:]))
}
