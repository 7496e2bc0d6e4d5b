package main

import (
	"context"
	"errors"
	"sync"
	"syscall"
	"time"

	"github.com/moby/buildkit/session"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// The names that the Dockerfile frontend asks for unless its attributes say otherwise.
const (
	contextName, contextKey       = "context", "contextkey"
	dockerfileName, dockerfileKey = "dockerfile", "dockerfilekey"
)

// How long a call may be ahead of the one it belongs to, as buildkitd has it.
const patience = 6 * time.Second

// builder knows the solves and sessions there are. A solve stays known when it is over, as its status
// may be asked for late; that is some bytes for each.
type builder struct {
	pull     bool
	tree     tree
	report   func(report)
	sessions *session.Manager

	mu       sync.Mutex
	changed  chan struct{} // closed and replaced whenever a solve is added
	solves   map[string]*solve
	counters map[string]*counters // by session
}

type solve struct {
	ref, session string
	began        time.Time
	returned     chan error    // what a client that runs its own frontend returns
	over         chan struct{} // closed at the end, after ended was set
	ended        time.Time

	mu   sync.Mutex
	told *report // once there is something to tell
}

// report is what is told of one solve; the counts are of the context's DiffCopy, those of the
// connection of the whole session until then.
type report struct {
	Ref     string           `json:"ref"`
	Error   string           `json:"error,omitempty"`
	Stats   int64            `json:"stats"` // entries listed
	Files   int64            `json:"files"` // contents received
	Bytes   int64            `json:"bytes"` // of contents
	Packets map[string]int64 `json:"packets"`
	Seconds float64          `json:"seconds"` // from DiffCopy to the FIN that answers ours
	CPU     float64          `json:"cpu"`     // this builder's own in that time, which its client did not have
	Outer   traffic          `json:"outer"`   // BytesMessages of Control.Session
	Inner   frames           `json:"inner"`   // HTTP/2 frames in them
	// What exports brought.
	Exported *exported `json:"exported,omitempty"`
}

func newBuilder(pull bool, tree tree, report func(report)) (*builder, error) {
	sessions, err := session.NewManager()
	return &builder{pull: pull, tree: tree, report: report, sessions: sessions, changed: make(chan struct{}),
		solves: map[string]*solve{}, counters: map[string]*counters{}}, err
}

func (b *builder) add(ref, session string) (*solve, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.solves[ref] != nil {
		return nil, status.Errorf(codes.AlreadyExists, "job ID %s exists", ref)
	}
	s := &solve{ref: ref, session: session, began: time.Now(), returned: make(chan error, 1), over: make(chan struct{})}
	b.solves[ref] = s
	close(b.changed)
	b.changed = make(chan struct{})
	return s, nil
}

// find waits for a solve: calls that belong to it may overtake it.
func (b *builder) find(ctx context.Context, ref string) (*solve, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		b.mu.Lock()
		s, changed := b.solves[ref], b.changed
		b.mu.Unlock()
		if s != nil {
			return s, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, status.Errorf(codes.NotFound, "no such job %s", ref)
		}
	}
}

func (s *solve) end() {
	s.ended = time.Now()
	close(s.over)
}

// run does what a Dockerfile makes a builder do: it reads the Dockerfile, then all of the context.
func (b *builder) run(ctx context.Context, s *solve, attrs map[string]string) error {
	name := func(key, otherwise string) string {
		if value := attrs[key]; value != "" {
			return value
		}
		return otherwise
	}
	wait, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	caller, err := b.sessions.Get(wait, s.session, false)
	if err != nil {
		return err
	}
	file := name("filename", "Dockerfile")
	if _, err := receive(ctx, caller, request{name: name(dockerfileKey, dockerfileName),
		include: []string{file, file + ".dockerignore"}, follow: []string{file}}, true); err != nil {
		return err
	}
	before := cpuSeconds()
	got, err := receive(ctx, caller, request{name: name(contextKey, contextName)}, b.pull)
	r := report{Ref: s.ref, Stats: got.stats, Files: got.files, Bytes: got.bytes, Packets: got.packets(),
		Seconds: got.took.Seconds(), CPU: cpuSeconds() - before}
	b.mu.Lock()
	if c := b.counters[s.session]; c != nil {
		r.Outer, r.Inner = c.traffic(), c.frames()
	}
	b.mu.Unlock()
	s.mu.Lock()
	s.told = &r
	s.mu.Unlock()
	return err
}

// tell reports a solve that is over, unless no files were asked for: buildx looks whether a builder is
// there with a solve of nothing.
func (b *builder) tell(s *solve, all *exported, err error) {
	s.mu.Lock()
	told := s.told
	s.mu.Unlock()
	if told == nil {
		return
	}
	r := *told
	r.Exported = all
	if err != nil {
		r.Error = err.Error()
	}
	b.report(r)
}

// await is run for a client that runs the frontend itself: until it returns its result.
func (s *solve) await(ctx context.Context) error {
	select {
	case err := <-s.returned:
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func cpuSeconds() float64 {
	var usage syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &usage) != nil {
		return 0
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano()).Seconds()
}

var errNoFrontend = errors.New("nothing but a frontend's solve can be had here")
