package policy

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/nftables"
	"golang.org/x/sys/unix"
)

// lab is a node in small: network namespaces for the host, for each pod and for a machine outside, made by the test and removed by it.
type lab struct {
	t      *testing.T
	prefix string
	table  *Table
}

func newLab(t *testing.T) *lab {
	t.Helper()
	if os.Getenv("ALCAZAR_RIG") != "1" {
		t.Skip("makes network namespaces: set ALCAZAR_RIG=1 and run as root")
	}
	l := &lab{t: t, prefix: fmt.Sprintf("alcazar-policy-%d-", os.Getpid())}
	l.namespace("host")
	l.ip("-n", l.name("host"), "link", "add", "kbr0", "type", "bridge", "forward_delay", "0")
	l.ip("-n", l.name("host"), "addr", "add", "10.99.0.1/24", "dev", "kbr0")
	l.ip("-n", l.name("host"), "link", "set", "kbr0", "up")
	i := 0
	for end, address := range addresses {
		if end == "host" {
			continue
		}
		l.namespace(end)
		veth := fmt.Sprint("v", i)
		l.ip("-n", l.name(end), "link", "add", "eth0", "type", "veth", "peer", "name", veth, "netns", l.name("host"))
		l.ip("-n", l.name(end), "addr", "add", address+"/24", "dev", "eth0")
		l.ip("-n", l.name(end), "link", "set", "eth0", "up")
		gateway := "10.99.0.1"
		if end == "outside" {
			gateway = "192.0.2.1"
			l.ip("-n", l.name("host"), "addr", "add", gateway+"/24", "dev", veth)
		} else {
			l.ip("-n", l.name("host"), "link", "set", veth, "master", "kbr0")
			l.ip("-n", l.name("host"), "link", "set", veth, "type", "bridge_slave", "hairpin", "on")
		}
		l.ip("-n", l.name("host"), "link", "set", veth, "up")
		l.ip("-n", l.name(end), "route", "add", "default", "via", gateway)
		i++
	}
	l.in("host", func() error { return os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte("1"), 0o600) })
	l.in("host", showBridgedTraffic)
	handle, err := os.Open("/run/netns/" + l.name("host"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = handle.Close() })
	l.table = NewTable("kbr0", nftables.WithNetNSFd(int(handle.Fd())))
	return l
}

func (l *lab) name(end string) string { return l.prefix + strings.ReplaceAll(end, "/", "-") }

func (l *lab) namespace(end string) {
	l.t.Helper()
	l.ip("netns", "add", l.name(end))
	l.t.Cleanup(func() { l.ip("netns", "del", l.name(end)) })
	l.ip("-n", l.name(end), "link", "set", "lo", "up")
	// A closed port shall answer each time, and link-local addresses shall be there at once.
	for file, value := range map[string]string{"ipv4/icmp_ratelimit": "0", "ipv6/conf/default/accept_dad": "0"} {
		l.in(end, func() error { return os.WriteFile("/proc/sys/net/"+file, []byte(value), 0o600) })
	}
}

func (l *lab) ip(args ...string) string {
	l.t.Helper()
	out, err := exec.Command("ip", args...).CombinedOutput()
	if err != nil {
		l.t.Fatalf("ip %s: %v: %s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// in runs something inside a namespace, on a thread that ends with it.
func (l *lab) in(end string, do func() error) {
	l.t.Helper()
	if err := l.try(end, do); err != nil {
		l.t.Fatalf("in %s: %v", end, err)
	}
}

func (l *lab) try(end string, do func() error) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		handle, err := unix.Open("/run/netns/"+l.name(end), unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err == nil {
			err = unix.Setns(handle, unix.CLONE_NEWNET)
			_ = unix.Close(handle)
		}
		if err == nil {
			err = do()
		}
		done <- err
	}()
	return <-done
}

// reached says whether a packet came through and its answer came back: a refusal by a closed port is one, silence is none.
func (l *lab) reached(from, network, target string, timeout time.Duration) bool {
	err := l.try(from, func() error {
		ctx, cancel := context.WithTimeout(context.Background(), timeout)
		defer cancel()
		conn, err := (&net.Dialer{}).DialContext(ctx, network, target)
		if err != nil {
			return err
		}
		defer func() { _ = conn.Close() }()
		if network != "udp" {
			return nil
		}
		_ = conn.SetDeadline(time.Now().Add(timeout))
		if _, err := conn.Write([]byte("?")); err != nil {
			return err
		}
		_, err = conn.Read(make([]byte, 16))
		return err
	})
	return err == nil || errors.Is(err, syscall.ECONNREFUSED)
}

// listen serves an echo on a TCP address inside a namespace.
func (l *lab) listen(end, at string) {
	l.t.Helper()
	var listener net.Listener
	l.in(end, func() (err error) {
		listener, err = net.Listen("tcp", at)
		return err
	})
	l.t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer func() { _ = conn.Close() }()
				buffer := make([]byte, 64)
				for {
					n, err := conn.Read(buffer)
					if err != nil {
						return
					}
					if _, err := conn.Write(buffer[:n]); err != nil {
						return
					}
				}
			}()
		}
	}()
}

func (l *lab) apply(c testCase) {
	l.t.Helper()
	if err := l.table.Apply(Compile(testPods(), testNamespaces(), c.objects())); err != nil {
		l.t.Fatal(err)
	}
}
