package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/moby/buildkit/session"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
)

// request is what a DiffCopy is asked for.
type request struct {
	name            string
	include, follow []string
}

// received is what one DiffCopy brought.
type received struct {
	stats, files, bytes int64
	byType              [len(packetNames)]int64 // theirs, but REQ is ours
	took                time.Duration
}

func (r *received) packets() map[string]int64 {
	out := map[string]int64{}
	for i, name := range packetNames {
		if r.byType[i] > 0 {
			out[name] = r.byType[i]
		}
	}
	return out
}

const diffCopy = "/moby.filesync.v1.FileSync/DiffCopy"

// receive is fsutil's receiver without a disk: it asks for every regular file as soon as it is listed
// (or for none), counts what comes and ends the exchange as fsutil does.
func receive(ctx context.Context, caller session.Caller, req request, pull bool) (received, error) {
	var got received
	ctx, cancel := context.WithCancel(caller.Context(ctx))
	defer cancel()
	md := metadata.MD{"dir-name": {req.name}}
	if len(req.include) > 0 {
		md["include-patterns"] = req.include
	}
	if len(req.follow) > 0 {
		md["followpaths"] = req.follow
	}
	began := time.Now()
	stream, err := caller.Conn().NewStream(metadata.NewOutgoingContext(ctx, md),
		&grpc.StreamDesc{ServerStreams: true, ClientStreams: true}, diffCopy, grpc.ForceCodecV2(packetCodec{}))
	if err != nil {
		return got, err
	}
	asker := newAsker(stream)
	defer asker.stop()
	err = got.exchange(stream, asker, pull)
	got.byType[typeReq] = asker.sent()
	got.took = time.Since(began)
	if err != nil {
		return got, fmt.Errorf("dir %q: %w", req.name, err)
	}
	// fsutil's sender is done; what is left is the end of the stream.
	stream.CloseSend()
	var p packet
	for err == nil {
		err = stream.RecvMsg(&p)
	}
	if err != io.EOF {
		return got, fmt.Errorf("dir %q: after FIN: %w", req.name, err)
	}
	return got, nil
}

func (got *received) exchange(stream grpc.ClientStream, asker *asker, pull bool) error {
	var p packet
	var asked []bool // by id: its content is to come
	open, listed, finished := 0, false, false
	for {
		if listed && open == 0 && !finished {
			finished = true
			asker.finish()
		}
		if err := stream.RecvMsg(&p); err != nil {
			if err == io.EOF {
				err = io.ErrUnexpectedEOF
			}
			return err
		}
		if int(p.kind) >= len(packetNames) {
			return fmt.Errorf("packet of type %d", p.kind)
		}
		got.byType[p.kind]++
		switch p.kind {
		case typeStat:
			if listed = !p.hasStat; listed {
				break
			}
			// fsutil asks for empty files too, but not for another name of a file that was listed.
			wanted := pull && p.mode&uint32(os.ModeType) == 0 && !p.link
			if wanted {
				open++
				asker.ask(uint32(len(asked)))
			}
			asked = append(asked, wanted)
			got.stats++
		case typeData:
			if int(p.id) >= len(asked) || !asked[p.id] {
				return fmt.Errorf("content of %d, which was not asked for", p.id)
			}
			if p.size == 0 {
				asked[p.id] = false
				open--
				got.files++
			}
			got.bytes += int64(p.size)
		case typeErr:
			return fmt.Errorf("error from sender: %s", p.text)
		case typeFin:
			if !finished {
				return fmt.Errorf("FIN with %d files to come", open)
			}
			return nil
		}
	}
}
