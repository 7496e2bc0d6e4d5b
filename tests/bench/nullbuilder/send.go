package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	controlapi "github.com/moby/buildkit/api/services/control"
	"github.com/moby/buildkit/session"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
)

// The entries of a tree: folders of so many files. fsutil sends 32 KiB of a file at a time.
const perFolder, chunk = 500, 32 << 10

// tree is what an export brings: files of one size, whose content is nothing special.
type tree struct{ files, size int64 }

func parseTree(text string) (tree, error) {
	files, size, found := strings.Cut(text, "x")
	if text == "" {
		return tree{}, nil
	}
	n, err := strconv.ParseInt(files, 10, 32)
	if err == nil && found {
		var bytes int64
		if bytes, err = strconv.ParseInt(size, 10, 64); err == nil && n >= 0 && bytes >= 0 {
			return tree{n, bytes}, nil
		}
	}
	return tree{}, fmt.Errorf("-export %s: not FILESxBYTES", text)
}

// exported is what one export was.
type exported struct {
	Files   int64   `json:"files"` // contents asked for and sent
	Bytes   int64   `json:"bytes"`
	Seconds float64 `json:"seconds"`
	CPU     float64 `json:"cpu"` // this builder's own
}

const fileSend = "/moby.filesync.v1.FileSend/DiffCopy"

// export gives the tree to each directory that the client wants a result in.
func (b *builder) export(ctx context.Context, sessionID string, exporters []*controlapi.Exporter) (*exported, error) {
	all := &exported{}
	began, before := time.Now(), cpuSeconds()
	for id, wanted := range exporters {
		if wanted.Type != "local" {
			continue
		}
		caller, err := b.sessions.Get(ctx, sessionID, false)
		if err != nil {
			return all, err
		}
		files, err := send(ctx, caller, id, b.tree)
		all.Files += files
		all.Bytes += files * b.tree.size
		if err != nil {
			return all, fmt.Errorf("exporter %d: %w", id, err)
		}
	}
	all.Seconds, all.CPU = time.Since(began).Seconds(), cpuSeconds()-before
	return all, nil
}

// sender is fsutil's without a disk. Requests are read as they come and answered in their order, before
// more of the tree is listed.
type sender struct {
	stream grpc.ClientStream
	tree   tree
	next   int64   // the file to be listed
	ids    int64   // entries listed
	sizes  []int64 // by id; -1: asked for already, or nothing to ask for

	mu     sync.Mutex
	woken  sync.Cond
	asked  []uint32
	fin    bool
	failed error
}

func send(ctx context.Context, caller session.Caller, id int, tree tree) (int64, error) {
	ctx, cancel := context.WithCancel(caller.Context(ctx))
	defer cancel()
	md := metadata.MD{"buildkit-attachable-exporter-id": {strconv.Itoa(id)}}
	stream, err := caller.Conn().NewStream(metadata.NewOutgoingContext(ctx, md),
		&grpc.StreamDesc{ServerStreams: true, ClientStreams: true}, fileSend, grpc.ForceCodecV2(packetCodec{}))
	if err != nil {
		return 0, err
	}
	s := &sender{stream: stream, tree: tree}
	s.woken.L = &s.mu
	go s.read()
	files, err := s.run()
	if err != nil {
		return files, err
	}
	stream.CloseSend()
	var p packet
	for err == nil {
		err = stream.RecvMsg(&p)
	}
	if err != io.EOF {
		return files, fmt.Errorf("after FIN: %w", err)
	}
	return files, nil
}

// read ends with the FIN, or when there is no more to read.
func (s *sender) read() {
	var p packet
	for {
		err := s.stream.RecvMsg(&p)
		switch {
		case err == io.EOF:
			err = io.ErrUnexpectedEOF
		case err != nil:
		case p.kind == typeErr:
			err = fmt.Errorf("error from receiver: %s", p.text)
		case p.kind != typeReq && p.kind != typeFin:
			err = fmt.Errorf("packet of type %d", p.kind)
		}
		s.mu.Lock()
		s.failed = err
		if err == nil && p.kind == typeReq {
			s.asked = append(s.asked, p.id)
		}
		s.fin = err == nil && p.kind == typeFin
		over := s.fin || err != nil
		s.mu.Unlock()
		s.woken.Signal()
		if over {
			return
		}
	}
}

func (s *sender) run() (files int64, err error) {
	content := make([]byte, chunk)
	for i := range content {
		content[i] = byte(i)
	}
	listed := false
	var asked []uint32
	for {
		s.mu.Lock()
		for listed && len(s.asked) == 0 && !s.fin && s.failed == nil {
			s.woken.Wait()
		}
		asked, s.asked = s.asked, asked[:0]
		fin, failed := s.fin, s.failed
		s.mu.Unlock()
		if failed != nil {
			return files, failed
		}
		for _, id := range asked {
			if err := s.answer(id, content); err != nil {
				return files, err
			}
			files++
		}
		if fin {
			return files, s.stream.SendMsg(&packet{kind: typeFin})
		}
		if !listed {
			if listed, err = s.list(); err != nil {
				return files, err
			}
		}
	}
}

// list names a folder's worth of entries, and after the last the end.
func (s *sender) list() (bool, error) {
	now := time.Now().UnixNano()
	entry := func(path string, mode os.FileMode, size int64) error {
		s.ids++
		s.sizes = append(s.sizes, size)
		return s.stream.SendMsg(&packet{kind: typeStat, stat: appendStat(path, uint32(mode), max(size, 0), now)})
	}
	folder := ""
	if s.tree.files > perFolder {
		folder = fmt.Sprintf("folder-%05d", s.next/perFolder)
		if err := entry(folder, os.ModeDir|0o755, -1); err != nil {
			return false, err
		}
		folder += "/"
	}
	for end := min(s.tree.files, s.next+perFolder); s.next < end; s.next++ {
		if err := entry(fmt.Sprintf("%sfile-%08d", folder, s.next), 0o644, s.tree.size); err != nil {
			return false, err
		}
	}
	if s.next < s.tree.files {
		return false, nil
	}
	return true, s.stream.SendMsg(&packet{kind: typeStat})
}

func (s *sender) answer(id uint32, content []byte) error {
	if int64(id) >= s.ids || s.sizes[id] < 0 {
		return fmt.Errorf("%d is asked for, which is no file, or was before", id)
	}
	for left := s.sizes[id]; left > 0; {
		n := min(left, chunk)
		if err := s.stream.SendMsg(&packet{kind: typeData, id: id, data: content[:n]}); err != nil {
			return err
		}
		left -= n
	}
	s.sizes[id] = -1
	return s.stream.SendMsg(&packet{kind: typeData, id: id})
}
