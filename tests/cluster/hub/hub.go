package main

import (
	"encoding/json"
	"errors"
	"log"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// hub is the server. Every path but /healthz and /stats is counted.
type hub struct {
	tree   *tree
	faults *faults
	stats  *stats
}

func newHub(t *tree) *hub {
	return &hub{tree: t, faults: &faults{tries: map[string]int64{}}, stats: &stats{paths: map[string]*pathStats{}}}
}

func (h *hub) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/healthz":
		_, _ = w.Write([]byte("ok\n"))
		return
	case "/stats":
		h.stats.ServeHTTP(w, r)
		return
	}
	recorded := &recorder{ResponseWriter: w}
	begun := time.Now()
	h.route(recorded, r)
	h.stats.count(r, recorded.status, recorded.bytes)
	log.Printf("%s %s %s %d %d bytes %s", r.RemoteAddr, r.Method, r.URL.Path, recorded.status, recorded.bytes, time.Since(begun).Round(time.Millisecond))
}

// route cuts the path by hand: the hub's own paths begin with the owner's name, which no pattern of the standard library can tell from /api and /files.
func (h *hub) route(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		fail(w, http.StatusMethodNotAllowed, "", "only GET and HEAD are answered")
		return
	}
	parts := strings.Split(strings.TrimPrefix(r.URL.Path, "/"), "/")
	at := func(i int) string {
		if i < len(parts) {
			return parts[i]
		}
		return ""
	}
	rest := func(i int) string { return strings.Join(parts[min(i, len(parts)):], "/") }
	switch {
	case at(0) == "api" && at(1) == "models" && at(4) == "revision" && len(parts) == 6:
		h.info(w, r, at(2)+"/"+at(3), at(5))
	case at(0) == "api" && at(1) == "models" && at(4) == "tree" && len(parts) == 6:
		h.files(w, r, at(2)+"/"+at(3), at(5))
	case at(0) == "api" && at(1) == "models" && len(parts) == 4:
		h.info(w, r, at(2)+"/"+at(3), "main")
	case (at(0) == "cdn" || at(0) == "files") && len(parts) >= 5:
		h.plain(w, r, parts[0], at(1)+"/"+at(2), at(3), rest(4))
	case at(2) == "resolve" && len(parts) >= 5:
		h.resolve(w, r, at(0)+"/"+at(1), at(3), rest(4))
	default:
		fail(w, http.StatusNotFound, "", "no such path")
	}
}

// admit checks the token and finds the commit; it answers by itself and returns false when the request goes no further.
func (h *hub) admit(w http.ResponseWriter, r *http.Request, repo, revision string) (string, bool) {
	given, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if tokens := h.tree.tokens(repo); len(tokens) > 0 && given != tokens[0] {
		for _, known := range tokens[1:] {
			if given == known {
				fail(w, http.StatusForbidden, "GatedRepo", "Access to model "+repo+" is restricted and you are not in the authorized list.")
				return "", false
			}
		}
		if given != "" {
			fail(w, http.StatusUnauthorized, "", "Invalid credentials in Authorization header")
		} else {
			fail(w, http.StatusUnauthorized, "GatedRepo", "Access to model "+repo+" is restricted. You must have access to it and be authenticated to access it.")
		}
		return "", false
	}
	commit, err := h.tree.revision(repo, revision)
	if errors.Is(err, errNoRepo) {
		// As on the hub: who shows no token is not told whether the repository is private or not there.
		status := http.StatusNotFound
		if given == "" {
			status = http.StatusUnauthorized
		}
		fail(w, status, "RepoNotFound", "Repository not found")
		return "", false
	}
	if err != nil {
		fail(w, http.StatusNotFound, "RevisionNotFound", "Invalid rev id: "+revision)
		return "", false
	}
	w.Header().Set("X-Repo-Commit", commit)
	return commit, true
}

// resolve answers as the hub does: small files at once, large ones by a redirect that carries their digest and size.
func (h *hub) resolve(w http.ResponseWriter, r *http.Request, repo, revision, file string) {
	commit, ok := h.admit(w, r, repo, revision)
	if !ok || h.faults.answer(w, r, h.tree.find(r, repo, file)) {
		return
	}
	found, err := h.tree.entry(repo, commit, file)
	if err != nil {
		fail(w, http.StatusNotFound, "EntryNotFound", "Entry not found")
		return
	}
	if !found.lfs() {
		h.send(w, r, repo, commit, found)
		return
	}
	query := url.Values{"X-Signature": {found.sha256[:16]}}
	if asked := r.URL.Query().Get("fault"); asked != "" {
		query.Set("fault", asked)
	}
	w.Header().Set("X-Linked-Etag", found.etag())
	w.Header().Set("X-Linked-Size", itoa(found.size))
	w.Header().Set("Accept-Ranges", "bytes")
	target := url.URL{Path: "/cdn/" + repo + "/" + commit + "/" + file, RawQuery: query.Encode()}
	w.Header().Set("Location", target.String())
	w.WriteHeader(http.StatusFound)
}

// plain serves /cdn (signed addresses, no token needed) and /files (what any web server has).
func (h *hub) plain(w http.ResponseWriter, r *http.Request, kind, repo, revision, file string) {
	commit, err := revision, error(nil)
	if kind == "files" {
		var ok bool
		if commit, ok = h.admit(w, r, repo, revision); !ok || h.faults.answer(w, r, h.tree.find(r, repo, file)) {
			return
		}
	}
	found, err := h.tree.entry(repo, commit, file)
	if err != nil || strings.HasPrefix(commit, ".") {
		fail(w, http.StatusNotFound, "EntryNotFound", "Entry not found")
		return
	}
	if kind == "cdn" && r.URL.Query().Get("X-Signature") != found.sha256[:16] {
		fail(w, http.StatusForbidden, "", "the signature of this address is missing or wrong")
		return
	}
	h.send(w, r, repo, commit, found)
}

func (h *hub) send(w http.ResponseWriter, r *http.Request, repo, commit string, found entry) {
	opened, err := h.tree.open(repo, commit, found.path)
	if err != nil {
		fail(w, http.StatusInternalServerError, "", "failed to open the file")
		return
	}
	defer func() { _ = opened.Close() }()
	w.Header().Set("ETag", found.etag())
	w.Header().Set("Content-Type", "application/octet-stream")
	body := h.tree.find(r, repo, found.path).body(r.Context(), opened)
	http.ServeContent(w, r, "", time.Time{}, body)
}

// fail answers with the hub's headers and its JSON error.
func fail(w http.ResponseWriter, status int, code, message string) {
	if code != "" {
		w.Header().Set("X-Error-Code", code)
	}
	w.Header().Set("X-Error-Message", message)
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]string{"error": message})
}
