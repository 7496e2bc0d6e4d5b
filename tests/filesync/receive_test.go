package filesync

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tonistiigi/fsutil"
	"github.com/tonistiigi/fsutil/types"
)

// receive runs the daemon's own receiver against our sender.
func receive(t *testing.T, s *sender, dest string) {
	t.Helper()
	err := fsutil.Receive(t.Context(), s, dest, fsutil.ReceiveOpt{Filter: keepOwner})
	if problem := s.wait(); err != nil || problem != "" {
		t.Fatalf("receiver: %v, sender: %s", err, problem)
	}
}

// received is what upstream's sender and receiver make of a directory. Not all of it survives them:
// sockets become files, links to FIFOs become FIFOs.
func received(t *testing.T, root string, f filter) string {
	t.Helper()
	fs, err := upstream(root, f)
	if err != nil {
		t.Fatal(err)
	}
	dest := t.TempDir()
	here, there := pipes(t)
	go fsutil.Send(t.Context(), here, fs, nil)
	if err := fsutil.Receive(t.Context(), there, dest, fsutil.ReceiveOpt{Filter: keepOwner}); err != nil {
		t.Fatal(err)
	}
	return dest
}

func keepOwner(_ string, st *types.Stat) bool {
	st.Uid, st.Gid = uint32(os.Getuid()), uint32(os.Getgid()) // who is not root may not give files away
	return true
}

func TestReceiveEverything(t *testing.T) {
	tr := everything(t)
	tr.file("large", string(randomBytes(5<<20+17)))
	for _, size := range []int{1, 2047, 2048, 4095, 4096, 16 << 10, 16<<10 - 17, 64 << 10, 128 << 10, 128<<10 + 64, 256 << 10, 1 << 20} {
		for _, more := range []int{-1, 0, 1} {
			tr.file(fmt.Sprintf("sizes/%d", size+more), string(randomBytes(size+more)))
		}
	}
	for _, flags := range [][]string{nil, {"--buffer", "16384", "--queue", "1"}, {"--buffer", "1000", "--queue", "300000"}, {"--buffer", "1"}} {
		if len(flags) == 2 {
			tr.remove("large") // a write per byte
			tr.remove("sizes")
			tr.remove("sparse")
		}
		dest := t.TempDir()
		s := startSender(t, tr.root, filter{}, flags...)
		receive(t, s, dest)
		compareTrees(t, received(t, tr.root, filter{}), dest)
		if s.maxData == 0 || s.maxData > 32<<10 {
			t.Errorf("DATA of %d bytes", s.maxData)
		}
	}
}

func randomBytes(size int) []byte {
	content := make([]byte, size)
	rand.New(rand.NewSource(int64(size))).Read(content)
	return content
}

// What the daemon has already is not asked for again: STATs are the same each time.
func TestReceiveAgain(t *testing.T) {
	tr := everything(t)
	dest := t.TempDir()
	receive(t, startSender(t, tr.root, filter{}), dest)
	s := startSender(t, tr.root, filter{})
	receive(t, s, dest)
	if s.dataPackets != 0 {
		t.Errorf("%d DATA packets for what did not change", s.dataPackets)
	}
	tr.file("foo.txt", "changed") // not below a directory: the receiver leaves those with the time of its own change
	tr.remove("a")
	tr.file("new/file", "new")
	s = startSender(t, tr.root, filter{})
	receive(t, s, dest)
	if s.dataPackets != 2 {
		t.Errorf("%d DATA packets for two files", s.dataPackets)
	}
	compareTrees(t, received(t, tr.root, filter{}), dest)
}

func TestReceiveThousands(t *testing.T) {
	tr := newTree(t)
	for i := range 2000 {
		tr.file(fmt.Sprintf("d%02d/f%04d", i%50, i), strings.Repeat("x", i%300))
	}
	dest := t.TempDir()
	receive(t, startSender(t, tr.root, filter{}), dest)
	compareTrees(t, tr.root, dest)
}

func TestReceiveFiltered(t *testing.T) {
	tr := everything(t)
	f := filter{include: []string{"docs", "links/second", "zz"}, exclude: []string{"docs/guide.md"}, follow: []string{"chain"}}
	dest := t.TempDir()
	receive(t, startSender(t, tr.root, f), dest)
	compareTrees(t, received(t, tr.root, f), dest)
}

// A '!' rule that keeps an entry in the walk does not always let its content be read: a quirk that
// builds have come to depend on.
func TestContentIsFilteredOnceMore(t *testing.T) {
	r := rand.New(rand.NewSource(99))
	for range 40 {
		tr := randomTree(t, r)
		f := filter{exclude: []string{tamePattern(r), "!" + strings.TrimPrefix(tamePattern(r), "!"), tamePattern(r)}}
		want, wantErr := allContent(t, tr.root, f)
		if wantErr != nil {
			continue
		}
		s := startSender(t, tr.root, f)
		list, err := s.stats()
		if err != nil {
			t.Fatal(err)
		}
		for i, st := range list {
			if os.FileMode(st.Mode)&os.ModeType != 0 {
				continue
			}
			if got := string(s.content(uint32(i))); got != want[st.Path] {
				t.Errorf("%v: %q: got %q, want %q", f, st.Path, got, want[st.Path])
			}
		}
		s.finish()
	}
}

func allContent(t *testing.T, root string, f filter) (map[string]string, error) {
	list, err := upstreamStats(t, root, f)
	if err != nil {
		return nil, err
	}
	fs, err := upstream(root, f)
	if err != nil {
		return nil, err
	}
	content := map[string]string{}
	for _, st := range list {
		if os.FileMode(st.Mode)&os.ModeType != 0 {
			continue
		}
		if file, err := fs.Open(st.Path); err == nil {
			all, _ := io.ReadAll(file)
			content[st.Path] = string(all)
			file.Close()
		}
	}
	return content, nil
}

// Between its STAT and its REQ a file may become anything.
func TestFilesThatChange(t *testing.T) {
	tr := newTree(t)
	names := []string{"cut", "directory", "fifo", "gone", "grown", "link", "parent/child", "parent-is-link/child", "same"}
	for _, name := range names {
		tr.file(name, "as it was")
	}
	tr.file("secret/child", "not to be seen")
	s := startSender(t, tr.root, filter{exclude: []string{"secret"}})
	list, err := s.stats()
	if err != nil {
		t.Fatal(err)
	}
	tr.must(os.Truncate(tr.path("cut"), 2))
	tr.remove("directory")
	tr.dir("directory")
	tr.remove("fifo")
	tr.mknod("fifo", syscall.S_IFIFO|0o644, 0)
	tr.remove("gone")
	tr.file("grown", "as it was and more")
	tr.remove("link")
	tr.symlink("secret/child", "link")
	tr.remove("parent")
	tr.remove("parent-is-link")
	tr.symlink("secret", "parent-is-link")
	want := map[string]string{"cut": "as", "grown": "as it was and more", "same": "as it was"}
	asked := 0
	for i, st := range list {
		if os.FileMode(st.Mode)&os.ModeType != 0 {
			continue
		}
		asked++
		if got := string(s.content(uint32(i))); got != want[st.Path] {
			t.Errorf("%q: got %q, want %q", st.Path, got, want[st.Path])
		}
	}
	if asked != len(names) {
		t.Errorf("%d files, want %d", asked, len(names))
	}
	s.finish()
}

// stream is one end of an fsutil.Stream in memory, for upstream's own sender.
type stream struct {
	ctx context.Context
	in  <-chan []byte
	out chan<- []byte
}

func pipes(t *testing.T) (*stream, *stream) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	a, b := make(chan []byte, 64), make(chan []byte, 64)
	return &stream{ctx, a, b}, &stream{ctx, b, a}
}

func (s *stream) Context() context.Context { return s.ctx }
func (s *stream) SendMsg(m any) error {
	buf, err := m.(*types.Packet).Marshal()
	if err != nil {
		return err
	}
	select {
	case s.out <- bytes.Clone(buf):
		if m.(*types.Packet).Type == types.PACKET_FIN {
			close(s.out)
		}
		return nil
	case <-s.ctx.Done():
		return s.ctx.Err()
	}
}
func (s *stream) RecvMsg(m any) error {
	select {
	case buf, ok := <-s.in:
		if !ok {
			return io.EOF
		}
		p := m.(*types.Packet)
		p.Reset()
		return p.Unmarshal(buf)
	case <-s.ctx.Done():
		return s.ctx.Err()
	}
}

// What a receiver does wrong ends the exchange, as upstream's sender ends it.
func TestHostileReceivers(t *testing.T) {
	tr := newTree(t)
	tr.file("dir/file", "content")
	tr.symlink("x", "link")
	req := func(id uint32) *types.Packet { return &types.Packet{Type: types.PACKET_REQ, ID: id} }
	for name, packets := range map[string][]*types.Packet{
		"unknown id":   {req(3)},
		"huge id":      {req(4294967295)},
		"directory":    {req(0)},
		"symlink":      {req(2)},
		"twice":        {req(1), req(1)},
		"error":        {{Type: types.PACKET_ERR, Data: []byte("no space")}},
		"empty error":  {{Type: types.PACKET_ERR}},
		"strange type": {{Type: 77}, req(9)},
	} {
		t.Run(name, func(t *testing.T) {
			fs, err := upstream(tr.root, filter{})
			if err != nil {
				t.Fatal(err)
			}
			here, there := pipes(t)
			result := make(chan error, 1)
			go func() { result <- fsutil.Send(t.Context(), here, fs, nil) }()
			for p := (&types.Packet{Stat: &types.Stat{}}); p.Stat != nil; {
				if err := there.RecvMsg(p); err != nil {
					t.Fatal(err)
				}
			}
			for _, p := range packets {
				there.SendMsg(p)
			}
			want := (<-result).Error()

			s := startSender(t, tr.root, filter{})
			if _, err := s.stats(); err != nil {
				t.Fatal(err)
			}
			for _, p := range packets {
				s.SendMsg(p)
			}
			io.Copy(io.Discard, s.out)
			if got := s.wait(); got != strings.TrimSpace(want) {
				t.Errorf("got %q, want %q", got, want)
			}
		})
	}
}
