package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"path"
	"strings"
)

// script says what to answer otherwise than a healthy API would. Each POST replaces the one before.
type script struct {
	// PendingMs: the first answers to GetBuildKitConnection, for each build and platform, are
	// "pending" with these waits. NeverActive: all further ones too, with the last wait (or 50).
	PendingMs   []int32 `json:"pending_ms"`
	NeverActive bool    `json:"never_active"`
	// CancelsInMs: every ReportBuildHealth answers cancels_at so far from now; negative is the past.
	CancelsInMs *int64 `json:"cancels_in_ms"`
	// Machine: what to hand out otherwise than configured.
	Machine struct {
		Endpoint   *string `json:"endpoint"`
		ServerName *string `json:"server_name"`
		CACert     *string `json:"ca_cert"` // PEM text
		Compressor *string `json:"compressor"`
		Identity   string  `json:"identity"` // "", "expired", "foreign"
		Plaintext  bool    `json:"plaintext"`
	} `json:"machine"`
	// Endpoints: by platform, "amd64" and "arm64"; Machine's and the configured one for what it lacks.
	Endpoints             map[string]string              `json:"endpoints"`
	AdditionalCredentials []struct{ Host, Token string } `json:"additional_credentials"`
	AdditionalTags        []struct {
		Tag  string
		Push bool
	} `json:"additional_tags"`
	// PullInfo: what GetPullInfo answers; without it no build was saved.
	PullInfo *pullInfo `json:"pull_info"`
	// PullToken: what GetPullToken answers; "pull-token" by default.
	PullToken string `json:"pull_token"`
	// PageSize: how many builds ListBuilds gives at once at most; 0: as many as it is asked for.
	PageSize int      `json:"page_size"`
	Faults   []*fault `json:"faults"`
}

// fault answers some calls in place of the API. The first that fits a call is used.
type fault struct {
	Method string `json:"method"` // CreateBuild, or a path such as /token; empty: every API method
	Skip   int    `json:"skip"`   // let this many pass first
	Times  int    `json:"times"`  // then answer this many; 0 means one, negative for ever
	// Kind: "error" (Connect error: code, message), "http" (status, headers, body), "html" (a page
	// with status, 200 if unset), "hang" (no answer until the client leaves), "cut" (closes the
	// connection in the middle of an answer), "garbage" (200, right type, not a message).
	Kind    string            `json:"kind"`
	Code    string            `json:"code"`
	Message string            `json:"message"`
	Status  int               `json:"status"`
	Headers map[string]string `json:"headers"`
	Body    string            `json:"body"`

	used int
}

func (s *script) pullToken() string {
	if s.PullToken == "" {
		return "pull-token"
	}
	return s.PullToken
}

func (s *script) pending(asked int) int32 {
	if asked < len(s.PendingMs) {
		return s.PendingMs[asked]
	}
	if !s.NeverActive {
		return -1
	}
	if n := len(s.PendingMs); n > 0 {
		return s.PendingMs[n-1]
	}
	return 50
}

// take gives the fault for this call, if any, and counts it as used.
func (s *script) take(urlPath string) *fault {
	api := strings.HasPrefix(urlPath, "/depot.")
	for _, f := range s.Faults {
		if f.Method != urlPath && !(api && (f.Method == "" || f.Method == path.Base(urlPath))) {
			continue
		}
		f.used++
		if n := f.used - f.Skip; n <= 0 || f.Times >= 0 && n > max(f.Times, 1) {
			continue
		}
		return f
	}
	return nil
}

var httpStatus = map[string]int{
	"canceled": 499, "unknown": 500, "invalid_argument": 400, "deadline_exceeded": 504, "not_found": 404,
	"already_exists": 409, "permission_denied": 403, "resource_exhausted": 429, "failed_precondition": 400,
	"aborted": 409, "out_of_range": 400, "unimplemented": 501, "internal": 500, "unavailable": 503,
	"data_loss": 500, "unauthenticated": 401,
}

func (f *fault) answer(w http.ResponseWriter, r *http.Request) {
	status := f.Status
	body := []byte(f.Body)
	switch f.Kind {
	case "hang":
		<-r.Context().Done()
		return
	case "cut":
		w.Header().Set("Content-Type", "application/proto")
		w.Header().Set("Content-Length", "1000")
		w.WriteHeader(http.StatusOK)
		w.Write([]byte("\x0a\x05abc"))
		w.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	case "garbage":
		w.Header().Set("Content-Type", "application/proto")
		status, body = http.StatusOK, []byte("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff")
	case "html":
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		if f.Body == "" {
			body = []byte("<!DOCTYPE html><html><head><title>Welcome</title></head><body>Sign in</body></html>\n")
		}
	case "error":
		w.Header().Set("Content-Type", "application/json")
		if status == 0 {
			status = httpStatus[f.Code]
		}
		body, _ = json.Marshal(map[string]string{"code": f.Code, "message": f.Message})
	}
	for k, v := range f.Headers {
		w.Header().Set(k, v)
	}
	if status == 0 {
		status = http.StatusOK
	}
	w.WriteHeader(status)
	w.Write(body)
}

func (f *fault) check() error {
	switch f.Kind {
	case "http", "html", "hang", "cut", "garbage":
		return nil
	case "error":
		if httpStatus[f.Code] == 0 {
			return fmt.Errorf("no such code: %q", f.Code)
		}
		return nil
	}
	return fmt.Errorf("no such kind of fault: %q", f.Kind)
}

func (s *service) serveScript(w http.ResponseWriter, r *http.Request) {
	var next script
	d := json.NewDecoder(r.Body)
	d.DisallowUnknownFields()
	err := d.Decode(&next)
	if err == io.EOF {
		err = nil
	}
	for _, f := range next.Faults {
		if err == nil {
			err = f.check()
		}
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	s.mu.Lock()
	s.script = next
	s.mu.Unlock()
	w.WriteHeader(http.StatusNoContent)
}

func (s *service) serveReset(w http.ResponseWriter, _ *http.Request) {
	s.mu.Lock()
	s.script, s.calls, s.builds, s.made = script{}, nil, map[string]*build{}, 0
	s.mu.Unlock()
	w.WriteHeader(http.StatusNoContent)
}
