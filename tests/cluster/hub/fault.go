package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"path"
	"strconv"
	"strings"
	"sync"
	"time"
)

// A fault is how the hub misbehaves for a file. `.fault` of a repository holds one rule a line, `PATTERN MODE [ARGUMENT...]`; the first that fits is taken.
// PATTERN is a file name pattern, `*` for every file, or `@api` for the listing. A request may also bring its own as `?fault=MODE:ARGUMENT`.
//
//	cut N          each response breaks off after N bytes: who resumes gets on
//	truncate N     no byte at or after offset N is ever sent
//	wrong N        the byte at offset N is another one
//	slow N         N bytes a second
//	html           an HTML page with status 200 instead of the file
//	status S [K]   status S for the first K tries, always without K
//	loop           redirects without end
//	redirect URL   a redirect to that address
//	stall          the headers, then nothing
type fault struct {
	mode      string
	arguments []string
}

func (f fault) number(i int) int64 {
	if i >= len(f.arguments) {
		return 0
	}
	n, err := strconv.ParseInt(f.arguments[i], 10, 64)
	if err != nil {
		return 0
	}
	return n
}

// faults holds what must be remembered between requests: how often a file was asked for.
type faults struct {
	mu    sync.Mutex
	tries map[string]int64
}

// find returns the fault of a request, or one without a mode.
func (t *tree) find(r *http.Request, repo, file string) fault {
	if asked := r.URL.Query().Get("fault"); asked != "" {
		mode, argument, _ := strings.Cut(asked, ":")
		return fault{mode: mode, arguments: strings.Fields(strings.ReplaceAll(argument, ",", " "))}
	}
	for _, line := range t.lines(path.Join(repo, ".fault")) {
		words := strings.Fields(line)
		if len(words) < 2 {
			continue
		}
		matches, err := path.Match(words[0], file)
		if words[0] == "*" {
			matches = file != apiFile
		}
		if err == nil && matches {
			return fault{mode: words[1], arguments: words[2:]}
		}
	}
	return fault{}
}

// apiFile is the name under which a rule speaks of the listing.
const apiFile = "@api"

const htmlPage = `<!DOCTYPE html><html><head><title>503 Service Temporarily Unavailable</title></head><body><h1>Please sign in to the proxy</h1></body></html>`

// answer sends the whole response if the fault is one of those that replace it, and says whether it did.
func (s *faults) answer(w http.ResponseWriter, r *http.Request, f fault) bool {
	switch f.mode {
	case "html":
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = io.WriteString(w, htmlPage)
	case "status":
		code := int(f.number(0))
		if code < 400 || code > 599 {
			code = http.StatusInternalServerError
		}
		if limit := f.number(1); limit > 0 && s.try(r.Method+r.URL.Path) > limit {
			return false
		}
		http.Error(w, fmt.Sprintf("{\"error\":\"%s, on purpose\"}", http.StatusText(code)), code)
	case "loop":
		step, _ := strconv.Atoi(r.URL.Query().Get("step"))
		query := r.URL.Query()
		query.Set("step", strconv.Itoa(step+1))
		http.Redirect(w, r, r.URL.Path+"?"+query.Encode(), http.StatusFound)
	case "redirect":
		http.Redirect(w, r, strings.Join(f.arguments, ""), http.StatusFound)
	default:
		return false
	}
	return true
}

func (s *faults) try(key string) int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tries[key]++
	return s.tries[key]
}

// body wraps a file so that reading it shows the fault. Offsets are those of the file, whatever range was asked for.
func (f fault) body(ctx context.Context, file io.ReadSeeker) io.ReadSeeker {
	switch f.mode {
	case "cut", "truncate", "wrong", "slow", "stall":
		return &faulty{ReadSeeker: file, ctx: ctx, mode: f.mode, n: f.number(0)}
	default:
		return file
	}
}

type faulty struct {
	io.ReadSeeker
	ctx    context.Context //nolint:containedctx // lives as long as the request
	mode   string
	n      int64
	offset int64
	sent   int64
}

func (b *faulty) Seek(offset int64, whence int) (int64, error) {
	at, err := b.ReadSeeker.Seek(offset, whence)
	b.offset = at
	return at, err
}

func (b *faulty) Read(p []byte) (int, error) {
	left := int64(len(p))
	switch b.mode {
	case "cut":
		left = min(left, b.n-b.sent)
	case "truncate":
		left = min(left, b.n-b.offset)
	case "slow":
		left = min(left, max(1, b.n/20))
		if !b.wait(time.Duration(left) * time.Second / time.Duration(max(1, b.n))) {
			return 0, b.ctx.Err()
		}
	case "stall":
		<-b.ctx.Done()
		return 0, b.ctx.Err()
	}
	if left <= 0 {
		return 0, io.ErrUnexpectedEOF
	}
	n, err := b.ReadSeeker.Read(p[:left])
	if at := b.n - b.offset; b.mode == "wrong" && at >= 0 && at < int64(n) {
		p[at] ^= 0xff
	}
	b.offset += int64(n)
	b.sent += int64(n)
	return n, err
}

func (b *faulty) wait(pause time.Duration) bool {
	select {
	case <-b.ctx.Done():
		return false
	case <-time.After(pause):
		return true
	}
}
