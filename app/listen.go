package app

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"syscall"
)

// listen opens the listener. Its errors say which flag to change. They are no
// UsageErrors: the same command line may work once the address is free.
func listen(host string, port int) (net.Listener, error) {
	address := net.JoinHostPort(host, strconv.Itoa(port))
	listener, err := net.Listen("tcp", address)
	switch {
	case err == nil:
		return listener, nil
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, fmt.Errorf("address is not free: %w; is another copy running? choose another --port",
			err)
	case errors.Is(err, os.ErrPermission):
		return nil, fmt.Errorf("address %s may not be used: %w; choose a --port above 1023", address, err)
	}
	return nil, fmt.Errorf("address %s cannot be listened on: %w; check --host and --port", address,
		err)
}
