package main

import (
	"encoding/json"
	"net/http"
	"strconv"
	"sync"
)

// maxPaths bounds the memory of the counters.
const maxPaths = 10_000

// stats counts what was asked for, so that a test can prove that something was not.
type stats struct {
	mu    sync.Mutex
	total int64
	paths map[string]*pathStats
}

type pathStats struct {
	Requests int64 `json:"requests"`
	Bytes    int64 `json:"bytes"`
	// Authorized counts the requests that carried credentials, right or wrong.
	Authorized int64            `json:"authorized"`
	Statuses   map[string]int64 `json:"statuses"`
}

func (s *stats) count(r *http.Request, status int, bytes int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.total++
	seen := s.paths[r.URL.Path]
	if seen == nil {
		if len(s.paths) >= maxPaths {
			return
		}
		seen = &pathStats{Statuses: map[string]int64{}}
		s.paths[r.URL.Path] = seen
	}
	seen.Requests++
	seen.Bytes += bytes
	seen.Statuses[strconv.Itoa(status)]++
	if r.Header.Get("Authorization") != "" {
		seen.Authorized++
	}
}

// ServeHTTP shows the counters; DELETE sets them back.
func (s *stats) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r.Method == http.MethodDelete {
		s.total, s.paths = 0, map[string]*pathStats{}
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{"total": s.total, "paths": s.paths})
}

// recorder remembers what was answered.
type recorder struct {
	http.ResponseWriter
	status int
	bytes  int64
}

func (w *recorder) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *recorder) Write(p []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	n, err := w.ResponseWriter.Write(p)
	w.bytes += int64(n)
	return n, err
}
