package main

import (
	"bufio"
	"crypto/sha1" //nolint:gosec // the hub names small files by their git object id
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"sync"
)

// lfsFrom is the size at which a file counts as large: it is then named by its sha256 and handed out by a redirect, as the hub does.
const lfsFrom = 1 << 20

var (
	errNoRepo     = errors.New("repository not found")
	errNoRevision = errors.New("revision not found")
	errNoEntry    = errors.New("entry not found")
)

// tree is the data directory. Nothing above it can be named: os.Root refuses `..` and links that lead out.
type tree struct {
	root *os.Root
	mu   sync.Mutex
	sums map[string]entry
}

// entry is one file of a revision.
type entry struct {
	path   string
	size   int64
	sha256 string
	oid    string
}

func (e entry) lfs() bool {
	for _, suffix := range []string{".gguf", ".safetensors", ".bin"} {
		if strings.HasSuffix(e.path, suffix) {
			return true
		}
	}
	return e.size >= lfsFrom
}

func (e entry) etag() string {
	if e.lfs() {
		return `"` + e.sha256 + `"`
	}
	return `"` + e.oid + `"`
}

func openTree(directory string) (*tree, error) {
	root, err := os.OpenRoot(directory)
	if err != nil {
		return nil, err
	}
	return &tree{root: root, sums: map[string]entry{}}, nil
}

// revision resolves a commit or a branch of a repository to the commit, which is the directory's name.
func (t *tree) revision(repo, name string) (string, error) {
	if info, err := t.root.Stat(repo); err != nil || !info.IsDir() || strings.HasPrefix(path.Base(repo), ".") {
		return "", errNoRepo
	}
	for _, line := range t.lines(path.Join(repo, ".refs")) {
		if ref, commit, found := strings.Cut(line, " "); found && ref == name {
			name = strings.TrimSpace(commit)
		}
	}
	if name == "" || strings.HasPrefix(name, ".") || strings.Contains(name, "/") {
		return "", errNoRevision
	}
	if info, err := t.root.Stat(path.Join(repo, name)); err != nil || !info.IsDir() {
		return "", errNoRevision
	}
	return name, nil
}

// list returns all files of a revision in order. Digests are taken once and remembered.
func (t *tree) list(repo, commit string) ([]entry, error) {
	base := path.Join(repo, commit)
	var found []entry
	err := fs.WalkDir(t.root.FS(), base, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		file, err := t.entry(repo, commit, strings.TrimPrefix(name, base+"/"))
		if err != nil {
			return err
		}
		found = append(found, file)
		return nil
	})
	return slices.Clip(found), err
}

func (t *tree) entry(repo, commit, file string) (entry, error) {
	name := path.Join(repo, commit, file)
	info, err := t.root.Stat(name)
	if err != nil || !info.Mode().IsRegular() || !strings.HasPrefix(name, path.Join(repo, commit)+"/") {
		return entry{}, errNoEntry
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if known, found := t.sums[name]; found && known.size == info.Size() {
		return known, nil
	}
	opened, err := t.root.Open(name)
	if err != nil {
		return entry{}, err
	}
	defer func() { _ = opened.Close() }()
	long, git := sha256.New(), sha1.New()
	_, _ = fmt.Fprintf(git, "blob %d\x00", info.Size())
	if _, err := io.Copy(io.MultiWriter(long, git), opened); err != nil {
		return entry{}, err
	}
	sum := func(h hash.Hash) string { return hex.EncodeToString(h.Sum(nil)) }
	t.sums[name] = entry{path: file, size: info.Size(), sha256: sum(long), oid: sum(git)}
	return t.sums[name], nil
}

func (t *tree) open(repo, commit, file string) (*os.File, error) {
	return t.root.Open(path.Join(repo, commit, file))
}

// tokens returns the tokens of a repository: the first may read it, the others are known but may not. None: everybody may.
func (t *tree) tokens(repo string) []string {
	return t.lines(path.Join(repo, ".token"))
}

// lines reads a small text file without its blank lines and comments; a file that is not there has none.
func (t *tree) lines(name string) []string {
	file, err := t.root.Open(name)
	if err != nil {
		return nil
	}
	defer func() { _ = file.Close() }()
	var lines []string
	scanner := bufio.NewScanner(file)
	for scanner.Scan() {
		if line := strings.TrimSpace(scanner.Text()); line != "" && !strings.HasPrefix(line, "#") {
			lines = append(lines, line)
		}
	}
	return lines
}
