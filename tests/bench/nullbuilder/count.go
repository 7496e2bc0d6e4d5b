package main

import (
	"net"
	"sync/atomic"

	controlapi "github.com/moby/buildkit/api/services/control"
)

// counters are one session's, counted as the bytes pass: by message outside, by HTTP/2 frame inside.
type counters struct{ in, out direction }

type direction struct {
	messages, bytes atomic.Int64
	frames          [len(frameNames)]atomic.Int64
	parser          frameParser
}

type oneWay struct {
	Messages int64 `json:"messages"`
	Bytes    int64 `json:"bytes"`
}

// traffic and frames have the client's half first.
type traffic struct {
	In  oneWay `json:"in"`
	Out oneWay `json:"out"`
}

type frames struct {
	In  map[string]int64 `json:"in"`
	Out map[string]int64 `json:"out"`
}

func (d *direction) oneWay() oneWay { return oneWay{d.messages.Load(), d.bytes.Load()} }

func (d *direction) byType() map[string]int64 {
	out := map[string]int64{}
	for i, name := range frameNames {
		if n := d.frames[i].Load(); n > 0 {
			out[name] = n
		}
	}
	return out
}

func (c *counters) traffic() traffic { return traffic{c.in.oneWay(), c.out.oneWay()} }
func (c *counters) frames() frames   { return frames{c.in.byType(), c.out.byType()} }

// By their numbers in RFC 9113; the last is for any other.
var frameNames = [...]string{"DATA", "HEADERS", "PRIORITY", "RST_STREAM", "SETTINGS", "PUSH_PROMISE", "PING", "GOAWAY",
	"WINDOW_UPDATE", "CONTINUATION", "other"}

// frameParser looks at the 9 bytes in front of each frame and skips the rest; they may come in any cuts.
type frameParser struct {
	skip    int // bytes of the payload (or of the client's preface) that are still to come
	header  [9]byte
	partial int // bytes of header that are there
}

func (p *frameParser) see(data []byte, counts *[len(frameNames)]atomic.Int64) {
	for len(data) > 0 {
		if p.skip > 0 {
			n := min(p.skip, len(data))
			p.skip -= n
			data = data[n:]
			continue
		}
		n := copy(p.header[p.partial:], data)
		p.partial += n
		data = data[n:]
		if p.partial < len(p.header) {
			return
		}
		p.partial = 0
		p.skip = int(p.header[0])<<16 | int(p.header[1])<<8 | int(p.header[2])
		counts[min(int(p.header[3]), len(frameNames)-1)].Add(1)
	}
}

// countedStream is the outer stream.
type countedStream struct {
	controlapi.Control_SessionServer
	count *counters
}

func (s *countedStream) RecvMsg(m any) error {
	err := s.Control_SessionServer.RecvMsg(m)
	if bytes, ok := m.(*controlapi.BytesMessage); ok && err == nil {
		s.count.in.messages.Add(1)
		s.count.in.bytes.Add(int64(len(bytes.Data)))
	}
	return err
}

func (s *countedStream) SendMsg(m any) error {
	if bytes, ok := m.(*controlapi.BytesMessage); ok {
		s.count.out.messages.Add(1)
		s.count.out.bytes.Add(int64(len(bytes.Data)))
	}
	return s.Control_SessionServer.SendMsg(m)
}

// countedConn is the inner connection. Each direction is used by one goroutine at a time.
type countedConn struct {
	net.Conn
	count *counters
	began bool
}

func (c *countedConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.count.in.parser.see(b[:n], &c.count.in.frames)
	return n, err
}

func (c *countedConn) Write(b []byte) (int, error) {
	if !c.began { // we are HTTP/2's client: what comes first is its preface
		c.began = true
		c.count.out.parser.skip = len("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
	}
	c.count.out.parser.see(b, &c.count.out.frames)
	return c.Conn.Write(b)
}
