//go:build ignore

// Prints rawjson.golden: status batches on the wire (base64), each followed by the line that
// buildctl --progress=rawjson prints for it, by BuildKit's own types. Needs the modules of
// packaging/engine (buildctl's):
//
//	cd packaging/engine && go run ../../tests/unit/progress/golden.go >../../tests/unit/progress/rawjson.golden
package main

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/rand"
	"time"

	control "github.com/moby/buildkit/api/services/control"
	"github.com/moby/buildkit/client"
	"github.com/moby/buildkit/solver/pb"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"
)

var random = rand.New(rand.NewSource(23))

var texts = []string{
	"", "plain", "[internal] load build definition from Dockerfile", "a\"b\\c/d", "<a href='x'>&amp;</a>",
	"tab\tnewline\nreturn\rback\bfeed\fnul\x00esc\x1bdel\x7f", "\u2028\u2029\u2027", "äöü 日本語 🙂 \ufffd",
	"sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
}

func text() string { return texts[random.Intn(len(texts))] }

func bytes() []byte {
	if random.Intn(4) == 0 {
		return nil
	}
	data := make([]byte, random.Intn(9))
	random.Read(data)
	return data
}

func stamp() *timestamppb.Timestamp {
	times := []*timestamppb.Timestamp{
		nil, {}, timestamppb.New(time.Unix(1704164645, 0)), timestamppb.New(time.Unix(1704164645, 120000000)),
		timestamppb.New(time.Unix(1704164645, 123456789)), timestamppb.New(time.Unix(1704164645, 1)),
		timestamppb.New(time.Unix(1704164645, 999999990)), timestamppb.New(time.Unix(-1, 500000000)),
		timestamppb.New(time.Unix(253402300799, 0)), timestamppb.New(time.Unix(951782400, 0)),
	}
	return times[random.Intn(len(times))]
}

func number() int64 {
	numbers := []int64{0, 1, -1, 42, 1 << 40, 9223372036854775807, -9223372036854775808}
	return numbers[random.Intn(len(numbers))]
}

func position() *pb.Position {
	if random.Intn(4) == 0 {
		return nil
	}
	return &pb.Position{Line: int32(random.Intn(3)), Character: int32(random.Intn(3))}
}

func batch() *control.StatusResponse {
	var status control.StatusResponse
	for n := random.Intn(3); n > 0; n-- {
		vertex := &control.Vertex{Digest: text(), Name: text(), Cached: random.Intn(2) == 0,
			Started: stamp(), Completed: stamp(), Error: text()}
		for k := random.Intn(3); k > 0; k-- {
			vertex.Inputs = append(vertex.Inputs, text())
		}
		if random.Intn(3) == 0 {
			vertex.ProgressGroup = &pb.ProgressGroup{Id: text(), Name: text(), Weak: random.Intn(2) == 0}
		}
		status.Vertexes = append(status.Vertexes, vertex)
	}
	for n := random.Intn(3); n > 0; n-- {
		status.Statuses = append(status.Statuses, &control.VertexStatus{ID: text(), Vertex: text(), Name: text(),
			Current: number(), Total: number(), Timestamp: stamp(), Started: stamp(), Completed: stamp()})
	}
	for n := random.Intn(3); n > 0; n-- {
		status.Logs = append(status.Logs, &control.VertexLog{Vertex: text(), Timestamp: stamp(), Stream: number(), Msg: bytes()})
	}
	for n := random.Intn(3); n > 0; n-- {
		warning := &control.VertexWarning{Vertex: text(), Level: number(), Short: bytes(), Url: text()}
		for k := random.Intn(3); k > 0; k-- {
			warning.Detail = append(warning.Detail, bytes())
		}
		if random.Intn(2) == 0 {
			warning.Info = &pb.SourceInfo{Filename: text(), Data: bytes(), Language: text()}
			if random.Intn(2) == 0 {
				warning.Info.Definition = &pb.Definition{}
				for k := random.Intn(3); k > 0; k-- {
					warning.Info.Definition.Def = append(warning.Info.Definition.Def, bytes())
				}
			}
		}
		for k := random.Intn(3); k > 0; k-- {
			warning.Ranges = append(warning.Ranges, &pb.Range{Start: position(), End: position()})
		}
		status.Warnings = append(status.Warnings, warning)
	}
	return &status
}

func main() {
	for i := 0; i < 60; i++ {
		wire, err := proto.Marshal(batch())
		if err != nil {
			panic(err)
		}
		// Through the wire, as it reaches buildctl: empty bytes are nil there.
		var status control.StatusResponse
		if err := proto.Unmarshal(wire, &status); err != nil {
			panic(err)
		}
		line, err := json.Marshal(client.NewSolveStatus(&status))
		if err != nil {
			panic(err)
		}
		fmt.Printf("%s\n%s\n", base64.StdEncoding.EncodeToString(wire), line)
	}
}
