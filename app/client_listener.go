package app

import (
	"errors"
	"log/slog"
	"net"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// clientListener is the listener of the HTTP server. It says in the log when connections
// cannot be accepted, and closes those whose clients do not read their answers.
// net/http's own WriteTimeout counts from the request's header, and so would bound how
// long a score may take.
type clientListener struct {
	net.Listener
	log          *slog.Logger
	writeTimeout time.Duration // without a byte read by the client; 0: for ever

	mu       sync.Mutex
	open     map[*connection]bool
	told     time.Time // when the log was last told of failures
	failures int       // since then
}

func newClientListener(listener net.Listener, log *slog.Logger,
	writeTimeout time.Duration) *clientListener {
	return &clientListener{Listener: listener, log: log, writeTimeout: writeTimeout,
		open: map[*connection]bool{}}
}

// acceptQuiet is the time between lines about connections that cannot be accepted. The
// HTTP server tries again every second.
const acceptQuiet = 10 * time.Second

// Accept implements net.Listener.
func (l *clientListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	l.mu.Lock()
	defer l.mu.Unlock()
	if err == nil {
		c := &connection{Conn: conn, listener: l, writeTimeout: l.writeTimeout}
		l.open[c] = true
		return c, nil
	}
	if errors.Is(err, net.ErrClosed) {
		return nil, err
	}
	l.failures++
	if now := time.Now(); now.Sub(l.told) >= acceptQuiet {
		remedy := "clients wait until some leave"
		if errors.Is(err, unix.EMFILE) || errors.Is(err, unix.ENFILE) {
			remedy += "; raise the limit of open files (ulimit -n, LimitNOFILE)"
		}
		l.log.Warn("connections cannot be accepted: "+remedy, "error", err, "open", len(l.open),
			"failures", l.failures)
		l.told, l.failures = now, 0
	}
	return nil, err
}

// shorten lowers the write timeout of every open connection, for the write under way
// too. Connections that come later keep the listener's.
func (l *clientListener) shorten(writeTimeout time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for c := range l.open {
		c.setDeadline(writeTimeout)
	}
}

// connection is one client's. A write may take any time as long as the client keeps
// reading some of it. Close takes it out of the listener's open connections.
//
// Lock order: listener.mu is taken before mu.
type connection struct {
	net.Conn
	listener *clientListener

	mu           sync.Mutex
	writeTimeout time.Duration // see clientListener
}

// setDeadline sets the deadline of the write under way and of the next. A timeout of 0
// is the connection's own; another becomes its own if it is shorter.
func (c *connection) setDeadline(timeout time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if timeout > 0 && (c.writeTimeout == 0 || timeout < c.writeTimeout) {
		c.writeTimeout = timeout
	}
	if c.writeTimeout > 0 {
		_ = c.SetWriteDeadline(time.Now().Add(c.writeTimeout)) // it fails on a closed one alone
	}
}

// Write implements net.Conn. The deadline moves as long as bytes go out. Once it has
// passed with none, the client is taken for gone, and so is what the system still holds
// for it. A client that reads nothing is closed after twice the timeout at most: the
// first may pass while the system's buffers fill.
func (c *connection) Write(p []byte) (n int, err error) {
	for {
		c.setDeadline(0)
		wrote, err := c.Conn.Write(p[n:])
		n += wrote
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			return n, err
		}
		if wrote == 0 {
			c.listener.log.Info("client does not read its answer, and is closed",
				"client", c.RemoteAddr().String(), "unread", len(p)-n)
			if tcp, ok := c.Conn.(*net.TCPConn); ok {
				_ = tcp.SetLinger(0) // Close follows, and reports what is wrong with the connection
			}
			return n, err
		}
	}
}

// CloseWrite is what net/http calls, where a connection has it, so that a client can
// read the last of an answer before the connection goes.
func (c *connection) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}

// Close implements net.Conn.
func (c *connection) Close() error {
	c.listener.mu.Lock()
	delete(c.listener.open, c)
	c.listener.mu.Unlock()
	return c.Conn.Close()
}

// enoughFiles is the limit of open files below which the log warns: a connection takes
// one, and load balancers and clients' pools hold hundreds.
const enoughFiles = 4096

// warnOfFewFiles warns if the process may open few files. Go has raised the soft limit
// to the hard one.
func warnOfFewFiles(log *slog.Logger) {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil || limit.Cur >= enoughFiles {
		return
	}
	log.Warn("few files may be open at once: each connection takes one, and the server itself some "+
		"thirty; raise the hard limit (ulimit -Hn, LimitNOFILE)", "limit", limit.Cur,
		"recommended", enoughFiles)
}
