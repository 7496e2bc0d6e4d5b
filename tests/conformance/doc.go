// Package conformance exists so that go.mod and go.sum name everything the public Connect
// conformance suite is made of. Run it by hand with "go tool connectconformance".
package conformance
