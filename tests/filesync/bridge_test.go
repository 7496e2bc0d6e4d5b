// Package filesync holds core/filesync against the code it must agree with: Go's fsutil, which
// BuildKit's daemon receives with, and moby/patternmatcher, which decides what a build sees.
// bridge/ is the C++ half, started as a process of its own.
package filesync

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/tonistiigi/fsutil/types"
)

// TestMain finds the bridge, or builds it where no one else has.
func TestMain(m *testing.M) {
	if bridge = os.Getenv("DEPOT_FILESYNC_BRIDGE"); bridge == "" {
		if err := buildBridge(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	os.Exit(m.Run())
}

var bridge string

func buildBridge() error {
	root, err := filepath.Abs("../..")
	if err != nil {
		return err
	}
	build := filepath.Join(root, "build", "filesync-go")
	for _, args := range [][]string{
		{"-S", root, "-B", build, "-G", "Ninja", "-DDEPOT_BUILD_TESTS=ON", "-DDEPOT_ONLY=filesync;wire"},
		{"--build", build, "--target", "filesync_bridge"},
	} {
		if out, err := exec.Command("cmake", args...).CombinedOutput(); err != nil {
			return fmt.Errorf("cmake %v: %w\n%s", args, err, out)
		}
	}
	bridge = filepath.Join(build, "tests", "filesync", "filesync_bridge")
	return nil
}

// filter is what the daemon may ask for.
type filter struct{ include, exclude, follow []string }

func (f filter) String() string {
	return fmt.Sprintf("include %q exclude %q follow %q", f.include, f.exclude, f.follow)
}

// sender is our Sender at work: an fsutil.Stream whose other end it is.
type sender struct {
	t      *testing.T
	ctx    context.Context
	cmd    *exec.Cmd
	in     io.WriteCloser
	out    *bufio.Reader
	stderr bytes.Buffer
	mu     sync.Mutex // sends
	// The largest content of a DATA packet, and how many there were with content.
	maxData, dataPackets int
}

func startSender(t *testing.T, root string, f filter, more ...string) *sender {
	t.Helper()
	args := append([]string{"send", root}, more...)
	for flag, values := range map[string][]string{"--include": f.include, "--exclude": f.exclude, "--follow": f.follow} {
		for _, value := range values {
			args = append(args, flag, value)
		}
	}
	s := &sender{t: t, ctx: t.Context(), cmd: exec.CommandContext(t.Context(), bridge, args...)}
	s.cmd.Stderr = &s.stderr
	var err error
	if s.in, err = s.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	s.out = bufio.NewReaderSize(out, 1<<16)
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *sender) Context() context.Context { return s.ctx }

func (s *sender) RecvMsg(m any) error {
	var prefix [5]byte
	if _, err := io.ReadFull(s.out, prefix[:]); err != nil {
		return err
	}
	if prefix[0] != 0 {
		return fmt.Errorf("compressed message")
	}
	buf := make([]byte, binary.BigEndian.Uint32(prefix[1:]))
	if _, err := io.ReadFull(s.out, buf); err != nil {
		return fmt.Errorf("cut short: %w", err)
	}
	p := m.(*types.Packet)
	p.Reset()
	if err := p.Unmarshal(buf); err != nil {
		return err
	}
	if p.Type == types.PACKET_DATA && len(p.Data) > 0 {
		s.dataPackets++
		s.maxData = max(s.maxData, len(p.Data))
	}
	return nil
}

func (s *sender) SendMsg(m any) error {
	buf, err := m.(*types.Packet).Marshal()
	if err != nil {
		return err
	}
	return s.sendRaw(buf)
}

func (s *sender) sendRaw(packet []byte) error {
	message := binary.BigEndian.AppendUint32([]byte{0}, uint32(len(packet)))
	s.mu.Lock()
	defer s.mu.Unlock()
	_, err := s.in.Write(append(message, packet...))
	return err
}

// wait is the sender's own account of how it went: "" is well. Nothing can be said to it any more.
func (s *sender) wait() string {
	s.in.Close()
	io.Copy(io.Discard, s.out)
	if err := s.cmd.Wait(); err != nil && s.stderr.Len() == 0 {
		return err.Error()
	}
	return strings.TrimSpace(s.stderr.String())
}

// next is the next packet, which must be there.
func (s *sender) next() *types.Packet {
	s.t.Helper()
	p := &types.Packet{}
	if err := s.RecvMsg(p); err != nil {
		s.t.Fatalf("receive: %v; sender: %s", err, s.wait())
	}
	return p
}

// stats reads the list to its end. An ERR is returned as an error.
func (s *sender) stats() ([]*types.Stat, error) {
	s.t.Helper()
	var list []*types.Stat
	for {
		p := s.next()
		switch {
		case p.Type == types.PACKET_ERR:
			return list, fmt.Errorf("%s", p.Data)
		case p.Type != types.PACKET_STAT:
			s.t.Fatalf("unexpected %v in the list", p.Type)
		case p.Stat == nil:
			return list, nil
		}
		list = append(list, p.Stat)
	}
}

func (s *sender) finish() {
	s.t.Helper()
	if err := s.SendMsg(&types.Packet{Type: types.PACKET_FIN}); err != nil {
		s.t.Fatal(err)
	}
	if p := s.next(); p.Type != types.PACKET_FIN {
		s.t.Fatalf("%v instead of FIN", p.Type)
	}
	if problem := s.wait(); problem != "" {
		s.t.Fatal(problem)
	}
}

// content asks for a file and reads it; other packets are not expected.
func (s *sender) content(id uint32) []byte {
	s.t.Helper()
	if err := s.SendMsg(&types.Packet{Type: types.PACKET_REQ, ID: id}); err != nil {
		s.t.Fatal(err)
	}
	var content []byte
	for {
		p := s.next()
		if p.Type != types.PACKET_DATA || p.ID != id {
			s.t.Fatalf("%v of %d: %s", p.Type, p.ID, p.Data)
		}
		if len(p.Data) == 0 {
			return content
		}
		content = append(content, p.Data...)
	}
}

// talk runs the bridge in one of its modes of fields in, fields out.
func talk(t *testing.T, mode string, in []byte) *bufio.Reader {
	t.Helper()
	cmd := exec.Command(bridge, mode)
	cmd.Stdin = bytes.NewReader(in)
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	return bufio.NewReader(bytes.NewReader(out))
}

func putField(out *bytes.Buffer, text string) { fmt.Fprintf(out, "%d\n%s\n", len(text), text) }

func putList(out *bytes.Buffer, list []string) {
	putField(out, strconv.Itoa(len(list)))
	for _, item := range list {
		putField(out, item)
	}
}

func getField(t *testing.T, in *bufio.Reader) string {
	t.Helper()
	line, err := in.ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	size, err := strconv.Atoi(strings.TrimSpace(line))
	if err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, size+1)
	if _, err := io.ReadFull(in, buf); err != nil {
		t.Fatal(err)
	}
	return string(buf[:size])
}
