package main

import (
	"math/rand"
	"time"
)

// shaper says when a packet of one direction comes out at the other end, if it does.
type shaper struct {
	delay time.Duration // of an empty link
	rate  float64       // bytes a second; 0: any
	loss  float64       // the share that gets lost
	queue time.Duration // what would have to wait longer for its turn is dropped, as a modem does

	random *rand.Rand
	free   time.Time // when all that came before is sent
}

func (s *shaper) admit(now time.Time, size int) (out time.Time, ok bool) {
	if s.loss > 0 && s.random.Float64() < s.loss {
		return time.Time{}, false
	}
	if s.rate == 0 {
		return now.Add(s.delay), true
	}
	begins := now
	if s.free.After(now) {
		begins = s.free
	}
	if begins.Sub(now) > s.queue {
		return time.Time{}, false
	}
	s.free = begins.Add(time.Duration(float64(size) / s.rate * float64(time.Second)))
	return s.free.Add(s.delay), true
}
