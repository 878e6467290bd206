// Package ociarchive writes container images as OCI archives, from files alone: no engine, no base image, no shell, and the same bytes each time.
//
// `ctr image import` and buildah read what it writes. It exists for the images of the test rig; the project's own images come from the Dockerfile.
package ociarchive

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"strings"
)

// Image is what goes into an archive: one layer for each list of files, the lowest first.
type Image struct {
	// Ref is the whole reference, such as localhost/alcazar-test/probe:1.
	Ref        string
	Entrypoint []string
	Cmd        []string
	Env        []string
	// User is UID or UID:GID; empty means root.
	User   string
	Layers [][]File
}

// File is one regular file of a layer. Its directories are made as needed, readable by all.
type File struct {
	// Path is absolute inside the image.
	Path string
	// Source is a file on this machine; empty means that Data is the content.
	Source string
	Data   []byte
	// Mode of 0 is taken as 0644.
	Mode int64
}

// Executable is a program's file, taken from this machine.
func Executable(inside, source string) File {
	return File{Path: inside, Source: source, Mode: 0o755}
}

// Tree lists every regular file below a directory of this machine, to stand below `inside`.
func Tree(inside, directory string) ([]File, error) {
	var files []File
	err := filepath.WalkDir(directory, func(found string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		if !entry.Type().IsRegular() {
			return fmt.Errorf("%s is no regular file: an image holds only those", found)
		}
		relative, err := filepath.Rel(directory, found)
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		mode := int64(0o644)
		if info.Mode()&0o111 != 0 {
			mode = 0o755
		}
		files = append(files, File{Path: path.Join(inside, filepath.ToSlash(relative)), Source: found, Mode: mode})
		return nil
	})
	return files, err
}

// Write makes the archive and puts it in place of `out` only when it is whole.
func Write(out string, image Image) (err error) {
	temporary, err := os.CreateTemp(filepath.Dir(out), ".ociarchive-*")
	if err != nil {
		return fmt.Errorf("failed to create the archive: %w", err)
	}
	defer func() {
		_ = temporary.Close()
		_ = os.Remove(temporary.Name())
	}()
	if err := image.writeTo(temporary); err != nil {
		return fmt.Errorf("failed to write the image %s: %w", image.Ref, err)
	}
	if err := temporary.Chmod(0o644); err != nil {
		return err
	}
	if err := temporary.Close(); err != nil {
		return err
	}
	return os.Rename(temporary.Name(), out)
}

func (image Image) writeTo(out io.Writer) error {
	if !strings.Contains(image.Ref, "/") || !strings.Contains(path.Base(image.Ref), ":") {
		return fmt.Errorf("the reference %q wants a registry and a tag, such as localhost/name:1", image.Ref)
	}
	if len(image.Layers) == 0 {
		return fmt.Errorf("an image wants at least one layer")
	}
	archive := tar.NewWriter(out)
	if err := addBlob(archive, "oci-layout", []byte(`{"imageLayoutVersion":"1.0.0"}`)); err != nil {
		return err
	}
	var layers []descriptor
	for _, files := range image.Layers {
		layer, err := addLayer(archive, files)
		if err != nil {
			return err
		}
		layers = append(layers, layer)
	}
	config, err := addJSON(archive, "application/vnd.oci.image.config.v1+json", image.config(layers))
	if err != nil {
		return err
	}
	manifest, err := addJSON(archive, manifestType, map[string]any{
		"schemaVersion": 2, "mediaType": manifestType, "config": config, "layers": layers,
	})
	if err != nil {
		return err
	}
	manifest.Annotations = map[string]string{
		"io.containerd.image.name":          image.Ref,
		"org.opencontainers.image.ref.name": image.Ref,
	}
	index, err := json.Marshal(map[string]any{"schemaVersion": 2, "manifests": []descriptor{manifest}})
	if err != nil {
		return err
	}
	if err := addBlob(archive, "index.json", index); err != nil {
		return err
	}
	return archive.Close()
}

const manifestType = "application/vnd.oci.image.manifest.v1+json"

type descriptor struct {
	MediaType   string            `json:"mediaType"`
	Digest      string            `json:"digest"`
	Size        int64             `json:"size"`
	Annotations map[string]string `json:"annotations,omitempty"`
}

func (image Image) config(layers []descriptor) map[string]any {
	var diffs []string
	for _, layer := range layers {
		diffs = append(diffs, layer.Digest)
	}
	return map[string]any{
		"architecture": runtime.GOARCH,
		"os":           "linux",
		"created":      "1970-01-01T00:00:00Z",
		"config":       map[string]any{"Entrypoint": image.Entrypoint, "Cmd": image.Cmd, "Env": image.Env, "User": image.User, "WorkingDir": "/"},
		"rootfs":       map[string]any{"type": "layers", "diff_ids": diffs},
	}
}

func addJSON(archive *tar.Writer, mediaType string, value any) (descriptor, error) {
	content, err := json.Marshal(value)
	if err != nil {
		return descriptor{}, err
	}
	sum := sha256.Sum256(content)
	name := hex.EncodeToString(sum[:])
	return descriptor{MediaType: mediaType, Digest: "sha256:" + name, Size: int64(len(content))}, addBlob(archive, "blobs/sha256/"+name, content)
}

func addBlob(archive *tar.Writer, name string, content []byte) error {
	if err := archive.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(content)), Format: tar.FormatUSTAR}); err != nil {
		return err
	}
	_, err := io.Copy(archive, bytes.NewReader(content))
	return err
}
