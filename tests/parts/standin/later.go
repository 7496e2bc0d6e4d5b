package main

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"connectrpc.com/connect"
	cliv1 "github.com/depot/depot-go/proto/depot/cli/v1"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
)

// What Depot's command line calls and depot-go's schema has not yet: by the numbers of proto/depot.

// pullInfo is what a script has GetPullInfo answer.
type pullInfo struct {
	Reference   string `json:"reference"`
	Username    string `json:"username"`
	Password    string `json:"password"`
	SaveForLoad bool   `json:"save_for_load"`
	Options     []struct {
		Command    int32    `json:"command"`
		Tags       []string `json:"tags"`
		TargetName string   `json:"target_name"`
		Save       bool     `json:"save"`
	} `json:"options"`
}

func (p *pullInfo) marshal() []byte {
	out := appendText(nil, 1, p.Reference)
	out = appendText(out, 2, p.Username)
	out = appendText(out, 3, p.Password)
	for _, o := range p.Options {
		options, _ := proto.Marshal(&cliv1.BuildOptions{
			Command: cliv1.Command(o.Command), Tags: o.Tags, TargetName: &o.TargetName, Save: o.Save})
		out = protowire.AppendBytes(protowire.AppendTag(out, 4, protowire.BytesType), options)
	}
	return protowire.AppendVarint(protowire.AppendTag(out, 5, protowire.VarintType), protowire.EncodeBool(p.SaveForLoad))
}

func appendText(out []byte, field protowire.Number, text string) []byte {
	return protowire.AppendString(protowire.AppendTag(out, field, protowire.BytesType), text)
}

// texts gives all values of a message's string field.
func texts(message []byte, field protowire.Number) []string {
	var found []string
	for len(message) > 0 {
		number, kind, n := protowire.ConsumeTag(message)
		if n < 0 {
			return found
		}
		message = message[n:]
		n = protowire.ConsumeFieldValue(number, kind, message)
		if n < 0 {
			return found
		}
		if number == field && kind == protowire.BytesType {
			value, _ := protowire.ConsumeBytes(message)
			found = append(found, string(value))
		}
		message = message[n:]
	}
	return found
}

// later decodes the requests whose only field is a build's id, and the frames of a status stream.
func later(method string, body []byte) json.RawMessage {
	if method == "ReportStatusStream" {
		return frames(body)
	}
	if method != "GetBuild" && method != "GetPullInfo" {
		return nil
	}
	fields := map[string]string{}
	if id := texts(body, 1); len(id) > 0 {
		fields["build_id"] = id[0]
	}
	out, _ := json.Marshal(fields)
	return out
}

// frames gives, for each message of a stream, whose build it is of and how many statuses it has.
func frames(body []byte) json.RawMessage {
	found := []map[string]any{}
	for len(body) >= 5 {
		size := int(binary.BigEndian.Uint32(body[1:5]))
		if body = body[5:]; size > len(body) {
			break
		}
		id := strings.Join(texts(body[:size], 1), ",")
		found = append(found, map[string]any{"build_id": id, "statuses": len(texts(body[:size], 2))})
		body = body[size:]
	}
	out, _ := json.Marshal(found)
	return out
}

// addSaveTags adds to a CreateBuild what its message has of field 9 of the options.
func addSaveTags(m proto.Message, fields []byte) (json.RawMessage, error) {
	create, ok := m.(*cliv1.CreateBuildRequest)
	if !ok {
		return fields, nil
	}
	var out map[string]any
	if err := json.Unmarshal(fields, &out); err != nil {
		return nil, err
	}
	for i, options := range create.Options {
		if tags := texts(options.ProtoReflect().GetUnknown(), 9); tags != nil {
			out["options"].([]any)[i].(map[string]any)["save_tags"] = tags
		}
	}
	return json.Marshal(out)
}

func refuse(w http.ResponseWriter, err error) {
	code := connect.CodeOf(err)
	var known *connect.Error
	message := err.Error()
	if errors.As(err, &known) {
		message = known.Message()
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(httpStatus[code.String()])
	json.NewEncoder(w).Encode(map[string]string{"code": code.String(), "message": message})
}

// byID serves a method whose request is a build's id: for the user's token and for the build's own.
func (s *service) byID(answer func(id string) ([]byte, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err == nil {
			body, err = unpacked(r.Header, body)
		}
		if err != nil {
			refuse(w, err)
			return
		}
		id := ""
		if found := texts(body, 1); len(found) > 0 {
			id = found[0]
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		if token := bearer(r.Header); token == "" || s.config.Token != "" && token != s.config.Token {
			if _, err := s.find(id, r.Header); err != nil {
				refuse(w, err)
				return
			}
		}
		out, err := answer(id)
		if err != nil {
			refuse(w, err)
			return
		}
		w.Header().Set("Content-Type", "application/proto")
		w.Write(out)
	}
}

func (s *service) getBuild(id string) ([]byte, error) {
	b := s.builds[id]
	if b == nil {
		return nil, connect.NewError(connect.CodeNotFound, fmt.Errorf("build %q not found", id))
	}
	out := appendText(nil, 1, b.id)
	out = appendText(out, 2, b.project)
	return appendText(out, 3, "https://depot.invalid/builds/"+b.id), nil
}

func (s *service) getPullInfo(id string) ([]byte, error) {
	if s.script.PullInfo == nil {
		return nil, connect.NewError(connect.CodeNotFound, fmt.Errorf("build %q not found", id))
	}
	return s.script.PullInfo.marshal(), nil
}

// reportStatusStream takes what comes, and answers when that has ended.
func (s *service) reportStatusStream(w http.ResponseWriter, _ *http.Request) {
	frame := func(flags byte, message string) []byte {
		return append(binary.BigEndian.AppendUint32([]byte{flags}, uint32(len(message))), message...)
	}
	w.Header().Set("Content-Type", "application/connect+proto")
	w.Write(append(frame(0, ""), frame(2, "{}")...))
}

func (s *service) addLater(mux *http.ServeMux) {
	const path = "POST /depot.cli.v1.BuildService/"
	mux.HandleFunc(path+"GetBuild", s.byID(s.getBuild))
	mux.HandleFunc(path+"GetPullInfo", s.byID(s.getPullInfo))
	mux.HandleFunc(path+"ReportStatusStream", s.reportStatusStream)
}
