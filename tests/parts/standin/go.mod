module libdepot/standin

go 1.26.8

require (
	connectrpc.com/connect v1.16.1
	github.com/depot/depot-go v0.5.2
	google.golang.org/protobuf v1.35.2
)
