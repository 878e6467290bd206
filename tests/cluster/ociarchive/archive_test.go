package ociarchive

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func readTar(t *testing.T, content []byte) (map[string][]byte, map[string]*tar.Header, []string) {
	t.Helper()
	blobs, headers := map[string][]byte{}, map[string]*tar.Header{}
	var order []string
	reader := tar.NewReader(bytes.NewReader(content))
	for {
		header, err := reader.Next()
		if err == io.EOF {
			return blobs, headers, order
		}
		if err != nil {
			t.Fatal(err)
		}
		blob, err := io.ReadAll(reader)
		if err != nil {
			t.Fatal(err)
		}
		blobs[header.Name], headers[header.Name] = blob, header
		order = append(order, header.Name)
	}
}

func unmarshal[T any](t *testing.T, content []byte) T {
	t.Helper()
	var value T
	if err := json.Unmarshal(content, &value); err != nil {
		t.Fatal(err)
	}
	return value
}

func sample(t *testing.T) Image {
	t.Helper()
	program := filepath.Join(t.TempDir(), "program")
	if err := os.WriteFile(program, []byte("run me"), 0o700); err != nil {
		t.Fatal(err)
	}
	return Image{
		Ref:        "localhost/test/a:1",
		Entrypoint: []string{"/bin/program"},
		User:       "65532:65532",
		Layers: [][]File{
			{Executable("/bin/program", program)},
			{{Path: "/data/b/two", Data: []byte("2")}, {Path: "/data/a", Data: []byte("1")}},
		},
	}
}

func TestArchiveIsAnOCILayout(t *testing.T) {
	out := filepath.Join(t.TempDir(), "image.tar")
	if err := Write(out, sample(t)); err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	blobs, _, _ := readTar(t, content)
	for name, blob := range blobs {
		if digest, isBlob := strings.CutPrefix(name, "blobs/sha256/"); isBlob {
			if sum := sha256.Sum256(blob); hex.EncodeToString(sum[:]) != digest {
				t.Errorf("%s does not have the digest of its name", name)
			}
		}
	}
	index := unmarshal[struct{ Manifests []descriptor }](t, blobs["index.json"])
	if len(index.Manifests) != 1 || index.Manifests[0].Annotations["io.containerd.image.name"] != "localhost/test/a:1" {
		t.Fatalf("index: %+v", index)
	}
	blob := func(d descriptor) []byte {
		found := blobs["blobs/sha256/"+strings.TrimPrefix(d.Digest, "sha256:")]
		if int64(len(found)) != d.Size {
			t.Errorf("%s: %d bytes, descriptor says %d", d.Digest, len(found), d.Size)
		}
		return found
	}
	manifest := unmarshal[struct {
		Config descriptor
		Layers []descriptor
	}](t, blob(index.Manifests[0]))
	config := unmarshal[struct {
		Config struct {
			Entrypoint []string
			User       string
		}
		Rootfs struct {
			DiffIDs []string `json:"diff_ids"`
		}
	}](t, blob(manifest.Config))
	if config.Config.User != "65532:65532" || !slices.Equal(config.Config.Entrypoint, []string{"/bin/program"}) {
		t.Errorf("config: %+v", config)
	}
	if len(manifest.Layers) != 2 || len(config.Rootfs.DiffIDs) != 2 || config.Rootfs.DiffIDs[1] != manifest.Layers[1].Digest {
		t.Fatalf("layers: %+v, diffs: %+v", manifest.Layers, config.Rootfs.DiffIDs)
	}
	_, headers, _ := readTar(t, blob(manifest.Layers[0]))
	if program := headers["bin/program"]; program == nil || program.Mode != 0o755 || program.Uid != 0 {
		t.Errorf("program: %+v", program)
	}
	_, _, order := readTar(t, blob(manifest.Layers[1]))
	if want := []string{"data/", "data/a", "data/b/", "data/b/two"}; !slices.Equal(order, want) {
		t.Errorf("layer: %q", order)
	}
}

func TestArchiveIsReproducible(t *testing.T) {
	var sums [2][32]byte
	for i := range sums {
		var out bytes.Buffer
		if err := sample(t).writeTo(&out); err != nil {
			t.Fatal(err)
		}
		sums[i] = sha256.Sum256(out.Bytes())
	}
	if sums[0] != sums[1] {
		t.Error("the same files gave two archives")
	}
}

func TestArchiveRefuses(t *testing.T) {
	good := sample(t)
	for name, change := range map[string]func(*Image){
		"no tag":         func(i *Image) { i.Ref = "localhost/a" },
		"no layer":       func(i *Image) { i.Layers = nil },
		"relative path":  func(i *Image) { i.Layers = [][]File{{{Path: "a"}}} },
		"path with dots": func(i *Image) { i.Layers = [][]File{{{Path: "/a/../b"}}} },
		"missing source": func(i *Image) { i.Layers = [][]File{{{Path: "/a", Source: "/does/not/exist"}}} },
	} {
		image := good
		change(&image)
		out := filepath.Join(t.TempDir(), "image.tar")
		if err := Write(out, image); err == nil {
			t.Errorf("%s: was written", name)
		}
		if left, _ := os.ReadDir(filepath.Dir(out)); len(left) != 0 {
			t.Errorf("%s: left %v behind", name, left)
		}
	}
}

func TestCommandLineSplitsLayers(t *testing.T) {
	directory := t.TempDir()
	if err := os.WriteFile(filepath.Join(directory, "f"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(t.TempDir(), "image.tar")
	if err := mkimage([]string{"--ref", "localhost/a:1", "--entrypoint", "/x", out, directory + "/f=/x", "--", directory + "=/data"}); err != nil {
		t.Fatal(err)
	}
	if err := mkimage([]string{"--ref", "localhost/a:1", out}); err == nil {
		t.Error("no file was accepted")
	}
}
