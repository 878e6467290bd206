package main

import (
	"encoding/json"
	"net/http"
	"strconv"
)

func itoa(n int64) string { return strconv.FormatInt(n, 10) }

type sibling struct {
	Name   string   `json:"rfilename"`
	Size   *int64   `json:"size,omitempty"`
	BlobID string   `json:"blobId,omitempty"`
	LFS    *pointer `json:"lfs,omitempty"`
}

type pointer struct {
	SHA256      string `json:"sha256"`
	Size        int64  `json:"size"`
	PointerSize int    `json:"pointerSize"`
}

type leaf struct {
	Type string   `json:"type"`
	OID  string   `json:"oid"`
	Size int64    `json:"size"`
	Path string   `json:"path"`
	LFS  *lfsLeaf `json:"lfs,omitempty"`
}

type lfsLeaf struct {
	OID         string `json:"oid"`
	Size        int64  `json:"size"`
	PointerSize int    `json:"pointerSize"`
}

// pointerSize is about the size of an LFS pointer file; downloaders ignore it.
const pointerSize = 134

// info is the repository's page for programs: the commit and the names of its files, with digests when `blobs=true`.
func (h *hub) info(w http.ResponseWriter, r *http.Request, repo, revision string) {
	commit, entries, ok := h.listed(w, r, repo, revision)
	if !ok {
		return
	}
	siblings := make([]sibling, 0, len(entries))
	for _, file := range entries {
		one := sibling{Name: file.path}
		if r.URL.Query().Get("blobs") == "true" {
			one.Size, one.BlobID = &file.size, file.oid
			if file.lfs() {
				one.LFS = &pointer{SHA256: file.sha256, Size: file.size, PointerSize: pointerSize}
			}
		}
		siblings = append(siblings, one)
	}
	var gated any = false
	if len(h.tree.tokens(repo)) > 0 {
		gated = "manual"
	}
	writeJSON(w, map[string]any{
		"_id": commit[:min(24, len(commit))], "id": repo, "modelId": repo, "sha": commit,
		"private": false, "gated": gated, "disabled": false, "tags": []string{}, "siblings": siblings,
	})
}

// files is the tree of a revision, always recursive.
func (h *hub) files(w http.ResponseWriter, r *http.Request, repo, revision string) {
	_, entries, ok := h.listed(w, r, repo, revision)
	if !ok {
		return
	}
	leaves := make([]leaf, 0, len(entries))
	for _, file := range entries {
		one := leaf{Type: "file", OID: file.oid, Size: file.size, Path: file.path}
		if file.lfs() {
			one.LFS = &lfsLeaf{OID: file.sha256, Size: file.size, PointerSize: pointerSize}
		}
		leaves = append(leaves, one)
	}
	writeJSON(w, leaves)
}

func (h *hub) listed(w http.ResponseWriter, r *http.Request, repo, revision string) (string, []entry, bool) {
	commit, ok := h.admit(w, r, repo, revision)
	if !ok || h.faults.answer(w, r, h.tree.find(r, repo, apiFile)) {
		return "", nil, false
	}
	entries, err := h.tree.list(repo, commit)
	if err != nil {
		fail(w, http.StatusInternalServerError, "", "failed to list the repository")
		return "", nil, false
	}
	return commit, entries, true
}

func writeJSON(w http.ResponseWriter, value any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	_ = json.NewEncoder(w).Encode(value)
}
