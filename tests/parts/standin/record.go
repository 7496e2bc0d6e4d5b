package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"path"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	cliv1 "github.com/depot/depot-go/proto/depot/cli/v1"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

// call is one request as it arrived, and how it ended.
type call struct {
	Seq           int             `json:"seq"` // 1, 2, ... in order of arrival
	AtMs          float64         `json:"at_ms"`
	Method        string          `json:"method"` // CreateBuild; for other paths the path
	Path          string          `json:"path"`
	Verb          string          `json:"verb"`
	HTTP          string          `json:"http"`       // HTTP/1.1 or HTTP/2.0
	Connection    int64           `json:"connection"` // the same number: the same connection
	Authorization string          `json:"authorization"`
	UserAgent     string          `json:"user_agent"`
	ContentType   string          `json:"content_type"`
	Headers       http.Header     `json:"headers"`
	Fields        json.RawMessage `json:"fields"` // the message, by its field names
	Body          string          `json:"body,omitempty"`
	// Filled when it has ended: the status answered, 0 if the connection was cut; Gone if the client
	// had left before the answer.
	Done   bool    `json:"done"`
	DoneMs float64 `json:"done_ms"`
	Status int     `json:"status"`
	Gone   bool    `json:"gone"`
}

var messages = map[string]func() proto.Message{
	"CreateBuild":           func() proto.Message { return &cliv1.CreateBuildRequest{} },
	"FinishBuild":           func() proto.Message { return &cliv1.FinishBuildRequest{} },
	"GetBuildKitConnection": func() proto.Message { return &cliv1.GetBuildKitConnectionRequest{} },
	"ReportBuildHealth":     func() proto.Message { return &cliv1.ReportBuildHealthRequest{} },
	"ReportTimings":         func() proto.Message { return &cliv1.ReportTimingsRequest{} },
	"ReportBuildContext":    func() proto.Message { return &cliv1.ReportBuildContextRequest{} },
	"ListBuilds":            func() proto.Message { return &cliv1.ListBuildsRequest{} },
	"GetPullToken":          func() proto.Message { return &cliv1.GetPullTokenRequest{} },
}

type connKey struct{}

var conns atomic.Int64

func nameConn(ctx context.Context, _ net.Conn) context.Context {
	return context.WithValue(ctx, connKey{}, conns.Add(1))
}

// decode gives a request's fields as JSON, whatever of Connect and gRPC it is framed in.
func decode(method string, header http.Header, body []byte) (json.RawMessage, error) {
	contentType := header.Get("Content-Type")
	body, err := unpacked(header, body)
	if err != nil {
		return nil, err
	}
	make := messages[method]
	if make == nil {
		return later(method, body), nil
	}
	m := make()
	if strings.HasPrefix(contentType, "application/json") {
		err = protojson.Unmarshal(body, m)
	} else {
		err = proto.Unmarshal(body, m)
	}
	if err != nil {
		return nil, err
	}
	fields, err := protojson.MarshalOptions{UseProtoNames: true}.Marshal(m)
	if err != nil {
		return nil, err
	}
	return addSaveTags(m, fields)
}

// unpacked takes a message out of what Connect and gRPC frame it in.
func unpacked(header http.Header, body []byte) ([]byte, error) {
	if strings.HasPrefix(header.Get("Content-Type"), "application/grpc") && len(body) >= 5 {
		body = body[5:]
	}
	if header.Get("Content-Encoding") != "gzip" {
		return body, nil
	}
	z, err := gzip.NewReader(bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	return io.ReadAll(z)
}

type statusWriter struct {
	http.ResponseWriter
	status int
}

func (w *statusWriter) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}

func (w *statusWriter) Write(b []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	return w.ResponseWriter.Write(b)
}

func (w *statusWriter) Flush() { w.ResponseWriter.(http.Flusher).Flush() }

// scripted records every call that is not ours to steer with, then lets the script or the API answer.
func (s *service) scripted(api http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/_/") {
			api.ServeHTTP(w, r)
			return
		}
		body, err := io.ReadAll(io.LimitReader(r.Body, 4<<20))
		if err != nil {
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		c := &call{
			Method: r.URL.Path, Path: r.URL.RequestURI(), Verb: r.Method, HTTP: r.Proto,
			Authorization: r.Header.Get("Authorization"), UserAgent: r.UserAgent(),
			ContentType: r.Header.Get("Content-Type"), Headers: r.Header.Clone(),
		}
		c.Connection, _ = r.Context().Value(connKey{}).(int64)
		if strings.HasPrefix(c.Path, "/depot.") {
			c.Method = path.Base(r.URL.Path)
			if c.Fields, err = decode(c.Method, r.Header, body); err != nil {
				c.Body = "not decoded: " + err.Error()
			} else if c.Fields == nil || c.Method == "ReportStatusStream" {
				c.Body = string(body) // what depot-go does not know
			}
		} else {
			c.Body = string(body)
		}
		s.mu.Lock()
		c.AtMs = s.sinceBegan()
		c.Seq = len(s.calls) + 1
		s.calls = append(s.calls, c)
		f := s.script.take(r.URL.Path)
		s.changed.Broadcast()
		s.mu.Unlock()

		out := &statusWriter{ResponseWriter: w}
		defer func() {
			cut := recover()
			s.mu.Lock()
			c.Done, c.DoneMs, c.Gone = true, s.sinceBegan(), r.Context().Err() != nil
			if cut == nil {
				c.Status = out.status
			}
			s.changed.Broadcast()
			s.mu.Unlock()
			if cut != nil {
				panic(cut)
			}
		}()
		if f != nil {
			f.answer(out, r)
		} else {
			api.ServeHTTP(out, r)
		}
	})
}

func (s *service) sinceBegan() float64 { return float64(time.Since(s.began).Microseconds()) / 1000 }

// serveCalls answers what arrived so far; with min, only when that many calls (of method, and with
// done=1 ended ones) did or timeout_ms (10000) is over.
func (s *service) serveCalls(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	atLeast, _ := strconv.Atoi(q.Get("min"))
	timeout, err := strconv.Atoi(q.Get("timeout_ms"))
	if err != nil {
		timeout = 10000
	}
	late := false
	timer := time.AfterFunc(time.Duration(timeout)*time.Millisecond, func() {
		s.mu.Lock()
		late = true
		s.changed.Broadcast()
		s.mu.Unlock()
	})
	defer timer.Stop()
	s.mu.Lock()
	var found []*call
	for {
		found = []*call{}
		for _, c := range s.calls {
			if (q.Get("method") == "" || q.Get("method") == c.Method) && (q.Get("done") == "" || c.Done) {
				found = append(found, c)
			}
		}
		if len(found) >= atLeast || late {
			break
		}
		s.changed.Wait()
	}
	out, err := json.Marshal(found)
	s.mu.Unlock()
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Write(out)
}
