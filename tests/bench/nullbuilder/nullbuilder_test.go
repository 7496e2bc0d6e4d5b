package main

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"math/rand"
	"net"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"

	controlapi "github.com/moby/buildkit/api/services/control"
	"github.com/moby/buildkit/client/buildid"
	gatewayapi "github.com/moby/buildkit/frontend/gateway/pb"
	"github.com/moby/buildkit/identity"
	"github.com/moby/buildkit/session"
	"github.com/moby/buildkit/session/filesync"
	"github.com/moby/buildkit/session/grpchijack"
	"github.com/tonistiigi/fsutil"
	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/mem"
)

// client is a connection to a nullbuilder, with a session of BuildKit's own that shares dir and takes exports.
type client struct {
	*grpc.ClientConn
	session string
	out     string
	reports chan report
}

func connect(t *testing.T, pull bool, dir string) client {
	t.Helper()
	c := client{reports: make(chan report, 1)}
	server, err := newServer(pull, tree{700, 70000}, func(r report) { c.reports <- r })
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go server.Serve(listener)
	t.Cleanup(server.Stop)
	c.ClientConn, err = grpc.NewClient(listener.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	s, err := session.NewSession(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	fs, err := fsutil.NewFS(dir)
	if err != nil {
		t.Fatal(err)
	}
	c.out = t.TempDir()
	s.Allow(filesync.NewFSSyncTarget(filesync.WithFSSyncDir(0, c.out)))
	s.Allow(filesync.NewFSSyncProvider(filesync.StaticDirSource{contextName: fs, dockerfileName: fs}))
	c.session = s.ID()
	var tunnel errgroup.Group
	tunnel.Go(func() error { return s.Run(context.Background(), grpchijack.Dialer(controlapi.NewControlClient(c))) })
	t.Cleanup(func() {
		s.Close()
		if err := tunnel.Wait(); err != nil {
			t.Error(err)
		}
	})
	return c
}

// layTree makes files of many sizes and two links, and tells how many they are, how many entries with their folders, how many bytes.
func layTree(t *testing.T) (dir string, files, entries, size int64) {
	t.Helper()
	dir = t.TempDir()
	write := func(name string, length int) {
		content := make([]byte, length)
		rand.Read(content)
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o644); err != nil {
			t.Fatal(err)
		}
		files, size = files+1, size+int64(length)
	}
	write("Dockerfile", 20)
	for d := range 20 {
		name := fmt.Sprintf("folder-%02d", d)
		if err := os.Mkdir(filepath.Join(dir, name), 0o755); err != nil {
			t.Fatal(err)
		}
		for f := range 50 {
			write(fmt.Sprintf("%s/file-%02d", name, f), f*f*f%3000)
		}
	}
	write("large", 5<<20+17)
	if err := os.Symlink("large", filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	if err := os.Link(filepath.Join(dir, "large"), filepath.Join(dir, "second-name")); err != nil {
		t.Fatal(err)
	}
	return dir, files, files + 20 + 2, size
}

// follow reads a build's status until it ends and gives how many vertexes were completed.
func follow(t *testing.T, c client, ref string) int {
	stream, err := controlapi.NewControlClient(c).Status(t.Context(), &controlapi.StatusRequest{Ref: ref})
	if err != nil {
		t.Fatal(err)
	}
	completed := 0
	for {
		got, err := stream.Recv()
		if err != nil {
			return completed
		}
		for _, v := range got.Vertexes {
			if v.Completed != nil {
				completed++
			}
		}
	}
}

func TestEveryFileIsPulled(t *testing.T) {
	dir, files, entries, size := layTree(t)
	c := connect(t, true, dir)
	ref := identity.NewID()
	if _, err := controlapi.NewControlClient(c).Solve(t.Context(), &controlapi.SolveRequest{
		Ref: ref, Session: c.session, Frontend: "dockerfile.v0"}); err != nil {
		t.Fatal(err)
	}
	got := <-c.reports
	if got.Files != files || got.Stats != entries || got.Bytes != size || got.Error != "" {
		t.Errorf("%d files, %d entries, %d bytes: %+v", files, entries, size, got)
	}
	// A list's end is a STAT, a file's end is a DATA.
	if p := got.Packets; p["STAT"] != entries+1 || p["REQ"] != files || p["DATA"] < files || p["FIN"] != 1 {
		t.Errorf("%v", p)
	}
	if got.Outer.In.Bytes < size || got.Inner.In["DATA"] == 0 || got.Inner.Out["HEADERS"] == 0 || got.Inner.In["other"] != 0 ||
		got.Inner.Out["other"] != 0 {
		t.Errorf("%+v %+v", got.Outer, got.Inner)
	}
	if n := follow(t, c, ref); n != len(vertexes()) {
		t.Errorf("%d vertexes completed", n)
	}
}

// buildctl runs the frontend itself: the solve waits for its result.
func TestASolveThroughTheGateway(t *testing.T) {
	dir, _, entries, _ := layTree(t)
	c := connect(t, false, dir)
	ref := identity.NewID()
	var solving errgroup.Group
	solving.Go(func() error {
		_, err := controlapi.NewControlClient(c).Solve(t.Context(), &controlapi.SolveRequest{Ref: ref, Session: c.session})
		return err
	})
	ctx := buildid.AppendToOutgoingContext(t.Context(), ref)
	gateway := gatewayapi.NewLLBBridgeClient(c)
	if _, err := gateway.Solve(ctx, &gatewayapi.SolveRequest{Frontend: "dockerfile.v0"}); err != nil {
		t.Fatal(err)
	}
	if _, err := gateway.Return(ctx, &gatewayapi.ReturnRequest{}); err != nil {
		t.Fatal(err)
	}
	if err := solving.Wait(); err != nil {
		t.Fatal(err)
	}
	got := <-c.reports
	if want := map[string]int64{"STAT": entries + 1, "FIN": 1}; got.Stats != entries || !maps.Equal(got.Packets, want) {
		t.Errorf("%d entries: %+v", entries, got)
	}
}

// fsutil's receiver takes what is sent.
func TestAnExport(t *testing.T) {
	dir, _, entries, _ := layTree(t)
	c := connect(t, false, dir)
	if _, err := controlapi.NewControlClient(c).Solve(t.Context(), &controlapi.SolveRequest{Ref: identity.NewID(),
		Session: c.session, Frontend: "dockerfile.v0", Exporters: []*controlapi.Exporter{{Type: "local"}}}); err != nil {
		t.Fatal(err)
	}
	got := <-c.reports
	if got.Stats != entries || got.Exported == nil || got.Exported.Files != 700 || got.Exported.Bytes != 700*70000 {
		t.Errorf("%+v, exported %+v", got, got.Exported)
	}
	paths, err := filepath.Glob(c.out + "/folder-0000[01]/file-*")
	if err != nil || len(paths) != 700 {
		t.Errorf("%d files, %v", len(paths), err)
	}
	for _, path := range paths {
		if content, err := os.ReadFile(path); err != nil || len(content) != 70000 || content[40000] != 40000%chunk%256 {
			t.Errorf("%s: %d bytes, %v", path, len(content), err)
		}
	}
}

func TestTreesThatAreNone(t *testing.T) {
	for _, text := range []string{"7", "x", "7x", "x7", "-1x7", "7x-1", "7x7x7", "many x large"} {
		if got, err := parseTree(text); err == nil {
			t.Errorf("%s: %v", text, got)
		}
	}
}

func TestFramesAreCountedInAnyCut(t *testing.T) {
	stream := []byte{0, 0, 3, 0, 0, 0, 0, 0, 1, 'a', 'b', 'c', 0, 0, 0, 4, 1, 0, 0, 0, 0, 0, 0, 1, 77, 0, 0, 0, 0, 1, 'x'}
	for size := 1; size <= len(stream); size++ {
		var p frameParser
		var counts [len(frameNames)]atomic.Int64
		for at := 0; at < len(stream); at += size {
			p.see(stream[at:min(at+size, len(stream))], &counts)
		}
		if counts[0].Load() != 1 || counts[4].Load() != 1 || counts[len(counts)-1].Load() != 1 {
			t.Errorf("in pieces of %d: %d %d %d", size, counts[0].Load(), counts[4].Load(), counts[len(counts)-1].Load())
		}
	}
}

// The short cut reads what BuildKit's codec reads, also where a message is in pieces.
func TestTunnelMessagesInPieces(t *testing.T) {
	codec := outerCodec()
	for _, length := range []int{0, 1, 127, 128, 70000} {
		want := bytes.Repeat([]byte{7, 8}, length)[:length]
		data, err := codec.Marshal(&controlapi.BytesMessage{Data: want})
		if err != nil {
			t.Fatal(err)
		}
		whole := data.Materialize()
		for _, cut := range []int{0, 1, 2, 3, len(whole) / 2} {
			cut = min(cut, len(whole))
			got := &controlapi.BytesMessage{Data: make([]byte, 9)}
			pieces := mem.BufferSlice{mem.SliceBuffer(whole[:cut]), mem.SliceBuffer(whole[cut:])}
			if err := codec.Unmarshal(pieces, got); err != nil || !bytes.Equal(got.Data, want) {
				t.Errorf("%d bytes, cut at %d: %d bytes, %v", length, cut, len(got.Data), err)
			}
		}
	}
}
