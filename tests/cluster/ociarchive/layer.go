package ociarchive

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path"
	"slices"
	"strings"
)

// addLayer writes the layer twice: once to learn its digest, which is its name, and once into the archive. Layers are too large to hold in memory.
func addLayer(archive *tar.Writer, files []File) (descriptor, error) {
	hash := sha256.New()
	size, err := writeLayer(hash, files)
	if err != nil {
		return descriptor{}, err
	}
	name := hex.EncodeToString(hash.Sum(nil))
	header := &tar.Header{Name: "blobs/sha256/" + name, Mode: 0o644, Size: size, Format: tar.FormatPAX}
	if err := archive.WriteHeader(header); err != nil {
		return descriptor{}, err
	}
	if _, err := writeLayer(archive, files); err != nil {
		return descriptor{}, err
	}
	return descriptor{MediaType: "application/vnd.oci.image.layer.v1.tar", Digest: "sha256:" + name, Size: size}, nil
}

func writeLayer(out io.Writer, files []File) (int64, error) {
	counted := &counter{out: out}
	layer := tar.NewWriter(counted)
	sorted := slices.SortedFunc(slices.Values(files), func(a, b File) int { return strings.Compare(a.Path, b.Path) })
	made := map[string]bool{"/": true}
	for _, file := range sorted {
		if !path.IsAbs(file.Path) || path.Clean(file.Path) != file.Path {
			return 0, fmt.Errorf("the path %q of a file in an image must be absolute and clean", file.Path)
		}
		if err := addDirectories(layer, path.Dir(file.Path), made); err != nil {
			return 0, err
		}
		if err := addFile(layer, file); err != nil {
			return 0, err
		}
	}
	if err := layer.Close(); err != nil {
		return 0, err
	}
	return counted.n, nil
}

func addDirectories(layer *tar.Writer, directory string, made map[string]bool) error {
	if made[directory] {
		return nil
	}
	if err := addDirectories(layer, path.Dir(directory), made); err != nil {
		return err
	}
	made[directory] = true
	return layer.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: directory[1:] + "/", Mode: 0o755, Format: tar.FormatPAX})
}

func addFile(layer *tar.Writer, file File) error {
	var content io.Reader = bytes.NewReader(file.Data)
	size := int64(len(file.Data))
	if file.Source != "" {
		opened, err := os.Open(file.Source)
		if err != nil {
			return err
		}
		defer func() { _ = opened.Close() }()
		info, err := opened.Stat()
		if err != nil {
			return err
		}
		content, size = opened, info.Size()
	}
	mode := file.Mode
	if mode == 0 {
		mode = 0o644
	}
	if err := layer.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: file.Path[1:], Mode: mode, Size: size, Format: tar.FormatPAX}); err != nil {
		return err
	}
	_, err := io.Copy(layer, content)
	return err
}

type counter struct {
	out io.Writer
	n   int64
}

func (c *counter) Write(p []byte) (int, error) {
	n, err := c.out.Write(p)
	c.n += int64(n)
	return n, err
}
