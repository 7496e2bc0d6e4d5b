package main

import (
	"sync"

	"google.golang.org/grpc"
)

// asker sends our half of the exchange, each REQ as a message of its own as fsutil does. It never makes
// the reader wait: a sender that is stuck in its own sending takes no request, and if then we did not
// read either, neither would ever go on.
type asker struct {
	stream grpc.ClientStream
	mu     sync.Mutex
	woken  sync.Cond
	ids    []uint32
	fin    bool
	ended  bool
	count  int64
}

func newAsker(stream grpc.ClientStream) *asker {
	a := &asker{stream: stream}
	a.woken.L = &a.mu
	go a.run()
	return a
}

func (a *asker) ask(id uint32) {
	a.mu.Lock()
	a.ids = append(a.ids, id)
	a.mu.Unlock()
	a.woken.Signal()
}

func (a *asker) finish() {
	a.mu.Lock()
	a.fin = true
	a.mu.Unlock()
	a.woken.Signal()
}

func (a *asker) stop() {
	a.mu.Lock()
	a.ended = true
	a.mu.Unlock()
	a.woken.Signal()
}

func (a *asker) sent() int64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.count
}

// run ends when it was told to, or when sending fails: then receiving does too, and says why.
func (a *asker) run() {
	var ids []uint32
	for {
		a.mu.Lock()
		for len(a.ids) == 0 && !a.fin && !a.ended {
			a.woken.Wait()
		}
		ids, a.ids = a.ids, ids[:0]
		fin, ended := a.fin, a.ended
		a.count += int64(len(ids))
		a.mu.Unlock()
		if ended {
			return
		}
		for _, id := range ids {
			if a.stream.SendMsg(&packet{kind: typeReq, id: id}) != nil {
				return
			}
		}
		if fin { // nothing is asked for after it
			a.stream.SendMsg(&packet{kind: typeFin})
			return
		}
	}
}
