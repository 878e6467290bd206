package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"time"
)

// audit reads what one user asked of the API server, from the server's own log.
type audit struct {
	path string
	user string
}

// mark is a place in the log.
type mark int64

// calls is what was asked between a place and the end of the log. Leases are counted apart: a leader renews its own for ever.
type calls struct {
	all    int
	writes int
	leases int
	failed int
	// dry is the writes that only asked what would be: they change nothing and are no writes.
	dry int
	// by is how often each verb was used on each resource.
	by map[string]int
	// last is when the last call ended.
	last time.Time
}

type auditEvent struct {
	Stage string
	Verb  string
	URI   string `json:"requestURI"`
	User  struct{ Username string }
	Ref   struct{ Resource, Subresource string } `json:"objectRef"`
	Code  struct{ Code int }                     `json:"responseStatus"`
	At    time.Time                              `json:"stageTimestamp"`
}

func (a audit) now() (mark, error) {
	info, err := os.Stat(a.path)
	if err != nil {
		return 0, fmt.Errorf("failed to find the audit log: %w", err)
	}
	return mark(info.Size()), nil
}

func (a audit) since(from mark) (calls, error) {
	file, err := os.Open(a.path)
	if err != nil {
		return calls{}, err
	}
	defer func() { _ = file.Close() }()
	if _, err := file.Seek(int64(from), io.SeekStart); err != nil {
		return calls{}, err
	}
	return a.count(file)
}

func (a audit) count(log io.Reader) (calls, error) {
	found := calls{by: map[string]int{}}
	reader := bufio.NewReaderSize(log, 1<<20)
	for {
		line, err := reader.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			return found, nil // the last line may still be written
		}
		if err != nil {
			return found, err
		}
		if bytes.Contains(line, []byte(a.user)) {
			if err := a.add(&found, line); err != nil {
				return found, err
			}
		}
	}
}

func (a audit) add(to *calls, line []byte) error {
	var event auditEvent
	if err := json.Unmarshal(line, &event); err != nil {
		return fmt.Errorf("a line of the audit log: %w", err)
	}
	// A watch is logged when it begins and when it ends; one is enough.
	if event.User.Username != a.user || event.Stage == "ResponseStarted" {
		return nil
	}
	if event.Ref.Resource == "leases" {
		to.leases++
		return nil
	}
	to.all++
	switch event.Verb {
	case "create", "update", "patch", "delete", "deletecollection":
		if strings.Contains(event.URI, "dryRun=") {
			to.dry++
		} else {
			to.writes++
		}
	}
	if event.Code.Code >= 400 {
		to.failed++
	}
	resource := event.Ref.Resource
	if event.Ref.Subresource != "" {
		resource += "/" + event.Ref.Subresource
	}
	to.by[event.Verb+" "+resource]++
	if event.At.After(to.last) {
		to.last = event.At
	}
	return nil
}

func (c calls) String() string {
	var parts []string
	for _, key := range slices.Sorted(maps.Keys(c.by)) {
		parts = append(parts, fmt.Sprintf("%s %d", key, c.by[key]))
	}
	return fmt.Sprintf("%d calls, %d writes, %d dry runs, %d failed, %d for leases: %s", c.all, c.writes, c.dry, c.failed, c.leases, strings.Join(parts, ", "))
}
