package main

import (
	"math/rand"
	"testing"
	"time"
)

var start = time.Unix(1000, 0)

func TestAPacketTakesItsTimeAndTheDelay(t *testing.T) {
	s := shaper{delay: 25 * time.Millisecond, rate: 1e6, queue: time.Second}
	for i := range 3 {
		// Each waits for those before it; all together arrive a millisecond apart.
		want := start.Add(time.Duration(i+1)*time.Millisecond + s.delay)
		if out, ok := s.admit(start, 1000); !ok || !out.Equal(want) {
			t.Errorf("packet %d: %v %v", i, out.Sub(start), ok)
		}
	}
	later := start.Add(time.Minute) // an idle link saves nothing up
	if out, ok := s.admit(later, 1000); !ok || out.Sub(later) != time.Millisecond+s.delay {
		t.Errorf("%v %v", out.Sub(later), ok)
	}
}

func TestAFullQueueDrops(t *testing.T) {
	s := shaper{rate: 1e6, queue: 10 * time.Millisecond}
	admitted := 0
	for range 100 {
		if _, ok := s.admit(start, 1000); ok {
			admitted++
		}
	}
	if admitted != 11 { // the one being sent, and 10 ms
		t.Errorf("%d of 100", admitted)
	}
	if _, ok := s.admit(start.Add(5*time.Millisecond), 1000); !ok {
		t.Error("still full when half of it is sent")
	}
}

func TestLossIsAShare(t *testing.T) {
	s := shaper{loss: .01, random: rand.New(rand.NewSource(1))}
	lost := 0
	for range 100_000 {
		if _, ok := s.admit(start, 1000); !ok {
			lost++
		}
	}
	if lost < 900 || lost > 1100 {
		t.Errorf("%d of 100000", lost)
	}
}
