// Link is a slow and lossy network for one machine: the network namespace it is started in and a new
// one, joined by a link whose every packet it carries itself. (tc netem does that in the kernel, but not
// every kernel has it; with a TUN device at either end it is the same to TCP.)
//
// It prints one line, "ready ADDRESS NAMESPACE": where a server of this side is reached, and the file of
// the other side's namespace; and goes on until it is killed. It needs root, /dev/net/tun and the
// program ip.
package main

import (
	"flag"
	"fmt"
	"log"
	"math/rand"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"time"
	"unsafe"
)

const here, there = "10.77.0.1", "10.77.0.2"

func main() {
	log.SetFlags(0)
	rtt := flag.Duration("rtt", 0, "round trip of an empty link")
	up := flag.Float64("up", 0, "Mbit/s towards this namespace; 0: any")
	down := flag.Float64("down", 0, "Mbit/s from it")
	loss := flag.Float64("loss", 0, "percent of the packets that get lost, each way")
	queue := flag.Duration("queue", 200*time.Millisecond, "longest wait for the link before a packet is dropped")
	flag.Parse()
	way := func(mbit float64, seed int64) *shaper {
		return &shaper{delay: *rtt / 2, rate: mbit * 1e6 / 8, loss: *loss / 100, queue: *queue,
			random: rand.New(rand.NewSource(seed))}
	}
	ours, err := device("builder", here, there)
	if err != nil {
		log.Fatal(err)
	}
	theirs, namespace, err := elsewhere()
	if err != nil {
		log.Fatal(err)
	}
	go carry(theirs, ours, way(*up, 1))
	go carry(ours, theirs, way(*down, 2))
	fmt.Printf("ready %s %s\n", here, namespace)
	select {} // the namespace lasts as long as this process
}

// elsewhere makes the other namespace, which a thread is parked in to keep it, and its device.
func elsewhere() (fd int, namespace string, err error) {
	done := make(chan struct{})
	go func() {
		runtime.LockOSThread()
		if err = syscall.Unshare(syscall.CLONE_NEWNET); err == nil {
			fd, err = device("client", there, here)
		}
		namespace = fmt.Sprintf("/proc/%d/task/%d/ns/net", os.Getpid(), syscall.Gettid())
		close(done)
		select {}
	}()
	<-done
	return fd, namespace, err
}

// device makes a TUN device in this thread's namespace, with its address and that of the other end.
func device(name, address, peer string) (int, error) {
	fd, err := syscall.Open("/dev/net/tun", syscall.O_RDWR|syscall.O_CLOEXEC, 0)
	if err != nil {
		return 0, fmt.Errorf("/dev/net/tun: %w", err)
	}
	var request struct { // struct ifreq
		name  [syscall.IFNAMSIZ]byte
		flags uint16
		_     [22]byte
	}
	copy(request.name[:], name)
	request.flags = syscall.IFF_TUN | syscall.IFF_NO_PI
	if _, _, errno := syscall.Syscall(syscall.SYS_IOCTL, uintptr(fd), syscall.TUNSETIFF, uintptr(unsafe.Pointer(&request))); errno != 0 {
		return 0, fmt.Errorf("TUNSETIFF: %w", errno)
	}
	for _, args := range [][]string{
		{"link", "set", "lo", "up"},
		{"address", "add", address, "peer", peer, "dev", name},
		// The queue is the shaper's; the device must not drop what TCP hands it in one go.
		{"link", "set", name, "mtu", "1500", "txqueuelen", "10000", "up"},
	} {
		if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
			return 0, fmt.Errorf("ip %v: %w: %s", args, err, out)
		}
	}
	return fd, nil
}

type parcel struct {
	out  time.Time
	data []byte
}

// carry takes every packet from one end to the other. Packets do not overtake each other.
func carry(from, to int, s *shaper) {
	under := make(chan parcel, 1<<16)
	go func() {
		for p := range under {
			time.Sleep(time.Until(p.out))
			syscall.Write(to, p.data) // a packet that the kernel does not take is lost
		}
	}()
	for {
		data := make([]byte, 2048)
		n, err := syscall.Read(from, data)
		if err != nil {
			log.Fatal(err)
		}
		if out, ok := s.admit(time.Now(), n); ok {
			under <- parcel{out, data[:n]}
		}
	}
}
