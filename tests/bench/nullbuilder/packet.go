package main

import (
	"bytes"
	"fmt"
	"io"

	controlapi "github.com/moby/buildkit/api/services/control"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/encoding/protowire"
)

// The types of fsutil's Packet.
const typeStat, typeReq, typeData, typeFin, typeErr = 0, 1, 2, 3, 4

var packetNames = [...]string{"STAT", "REQ", "DATA", "FIN", "ERR"}

// packet is what the receiver needs of fsutil's Packet: no content but an error's, of a Stat next to nothing;
// and what there is to send.
type packet struct {
	kind    uint32
	hasStat bool
	mode    uint32
	link    bool // to another entry, or somewhere
	id      uint32
	size    int // of data
	text    []byte
	stat    []byte // to send: the Stat as it is on the wire
	data    []byte // to send; nothing of it is copied
}

// packetCodec reads a packet where it lies: nothing of a file is copied on its way to nowhere.
type packetCodec struct{}

func (packetCodec) Name() string { return "proto" }

func (packetCodec) Marshal(v any) (mem.BufferSlice, error) {
	p, ok := v.(*packet)
	if !ok {
		return nil, fmt.Errorf("%T is no packet", v)
	}
	out := make([]byte, 0, 16+len(p.stat))
	out = protowire.AppendVarint(append(out, 1<<3), uint64(p.kind))
	if len(p.stat) > 0 {
		out = protowire.AppendBytes(append(out, 2<<3|2), p.stat)
	}
	if p.id != 0 {
		out = protowire.AppendVarint(append(out, 3<<3), uint64(p.id))
	}
	if len(p.data) > 0 {
		out = protowire.AppendVarint(append(out, 4<<3|2), uint64(len(p.data)))
		return mem.BufferSlice{mem.SliceBuffer(out), mem.SliceBuffer(p.data)}, nil
	}
	return mem.BufferSlice{mem.SliceBuffer(out)}, nil
}

// appendStat is fsutil's Stat of what belongs to nobody in particular.
func appendStat(path string, mode uint32, size, modTime int64) []byte {
	out := protowire.AppendString([]byte{1<<3 | 2}, path)
	out = protowire.AppendVarint(append(out, 2<<3), uint64(mode))
	if size > 0 {
		out = protowire.AppendVarint(append(out, 5<<3), uint64(size))
	}
	return protowire.AppendVarint(append(out, 6<<3), uint64(modTime))
}

func (packetCodec) Unmarshal(data mem.BufferSlice, v any) error {
	p, ok := v.(*packet)
	if !ok {
		return fmt.Errorf("%T is no packet", v)
	}
	buf := data.MaterializeToBuffer(mem.DefaultBufferPool()) // no copy if it is in one piece
	defer buf.Free()
	return p.parse(buf.ReadOnlyData())
}

func (p *packet) parse(in []byte) error {
	*p = packet{}
	return fields(in, func(number protowire.Number, value uint64, data []byte) error {
		switch number {
		case 1:
			p.kind = uint32(value)
		case 2:
			p.hasStat = true
			return fields(data, func(number protowire.Number, value uint64, data []byte) error {
				switch number {
				case 2:
					p.mode = uint32(value)
				case 7:
					p.link = len(data) > 0
				}
				return nil
			})
		case 3:
			p.id = uint32(value)
		case 4:
			p.size = len(data)
			if p.kind == typeErr {
				p.text = bytes.Clone(data)
			}
		}
		return nil
	})
}

// fields walks a message's fields; fsutil has but numbers and what has a length.
func fields(in []byte, each func(protowire.Number, uint64, []byte) error) error {
	for len(in) > 0 {
		number, kind, n := protowire.ConsumeTag(in)
		if n < 0 {
			return protowire.ParseError(n)
		}
		in = in[n:]
		var value uint64
		var data []byte
		switch kind {
		case protowire.VarintType:
			value, n = protowire.ConsumeVarint(in)
		case protowire.BytesType:
			data, n = protowire.ConsumeBytes(in)
		default:
			n = protowire.ConsumeFieldValue(number, kind, in)
		}
		if n < 0 {
			return protowire.ParseError(n)
		}
		in = in[n:]
		if err := each(number, value, data); err != nil {
			return err
		}
	}
	return nil
}

// tunnelCodec is BuildKit's codec, with a short cut for what the session's tunnel carries: its bytes
// go from the frames they came in to the buffer of the hijacked connection.
type tunnelCodec struct{ encoding.CodecV2 }

func outerCodec() encoding.CodecV2 { return tunnelCodec{encoding.GetCodecV2("proto")} }

func (c tunnelCodec) Unmarshal(data mem.BufferSlice, v any) error {
	m, ok := v.(*controlapi.BytesMessage)
	if !ok {
		return c.CodecV2.Unmarshal(data, v)
	}
	if data.Len() == 0 {
		m.Data = m.Data[:0]
		return nil
	}
	var head [11]byte // a tag and the longest varint
	n := 0
	for _, piece := range data {
		if n += copy(head[n:], piece.ReadOnlyData()); n == len(head) {
			break
		}
	}
	size, used := protowire.ConsumeVarint(head[1:n])
	if head[0] != 1<<3|2 || used < 0 || 1+used+int(size) != data.Len() {
		return c.CodecV2.Unmarshal(data, v) // some other way to write it
	}
	if cap(m.Data) < int(size) {
		m.Data = make([]byte, size)
	}
	m.Data = m.Data[:size]
	r := data.Reader()
	defer r.Close()
	if _, err := r.Discard(1 + used); err != nil {
		return err
	}
	_, err := io.ReadFull(r, m.Data)
	return err
}
