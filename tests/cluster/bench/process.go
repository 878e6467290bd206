package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// process is a program that the bench has started. Its output goes to a file.
type process struct {
	command *exec.Cmd
	done    chan struct{}
	log     string
}

func startProcess(log string, environment []string, program string, args ...string) (*process, error) {
	file, err := os.OpenFile(log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }()
	command := exec.Command(program, args...)
	command.Env = append([]string{"PATH=" + os.Getenv("PATH")}, environment...)
	command.Stdout, command.Stderr = file, file
	if err := command.Start(); err != nil {
		return nil, fmt.Errorf("failed to start %s: %w", filepath.Base(program), err)
	}
	p := &process{command: command, done: make(chan struct{}), log: log}
	go func() {
		_ = command.Wait()
		close(p.done)
	}()
	return p, nil
}

// end asks the process to end, or does not ask, and waits.
func (p *process) end(by syscall.Signal) {
	if p == nil {
		return
	}
	_ = p.command.Process.Signal(by)
	select {
	case <-p.done:
	case <-time.After(30 * time.Second):
		_ = p.command.Process.Kill()
		<-p.done
	}
}

// resident is the memory of the process that is in RAM, in MiB.
func (p *process) resident() (float64, error) {
	file, err := os.Open(fmt.Sprintf("/proc/%d/status", p.command.Process.Pid))
	if err != nil {
		return 0, err
	}
	defer func() { _ = file.Close() }()
	scanner := bufio.NewScanner(file)
	for scanner.Scan() {
		if fields := strings.Fields(scanner.Text()); len(fields) == 3 && fields[0] == "VmRSS:" {
			kibibytes, err := strconv.ParseFloat(fields[1], 64)
			return kibibytes / 1024, err
		}
	}
	return 0, errors.New("the kernel does not tell the resident size")
}

// cpu is the processor time that the process has used.
func (p *process) cpu() (time.Duration, error) {
	content, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.command.Process.Pid))
	if err != nil {
		return 0, err
	}
	// The second field, the name, may hold blanks; user and system ticks are the 12th and 13th after it.
	_, rest, _ := strings.Cut(string(content), ") ")
	fields := strings.Fields(rest)
	if len(fields) < 13 {
		return 0, errors.New("the kernel does not tell the processor time")
	}
	user, err := strconv.ParseInt(fields[11], 10, 64)
	if err != nil {
		return 0, err
	}
	system, err := strconv.ParseInt(fields[12], 10, 64)
	const ticks = 100 // USER_HZ, which is the same on every Linux that Go runs on
	return time.Duration(user+system) * time.Second / ticks, err
}

// awaitReady waits until the operator's readiness probe says yes.
func (p *process) awaitReady(ctx context.Context, url string) error {
	deadline := time.Now().Add(60 * time.Second)
	last := "no answer"
	for time.Now().Before(deadline) && ctx.Err() == nil {
		select {
		case <-p.done:
			return fmt.Errorf("it ended: see %s", p.log)
		case <-time.After(5 * time.Millisecond):
		}
		response, err := http.Get(url)
		if err != nil {
			continue
		}
		_ = response.Body.Close()
		if response.StatusCode == http.StatusOK {
			return nil
		}
		last = response.Status
	}
	return fmt.Errorf("never ready (%s): see %s", last, p.log)
}
