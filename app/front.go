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

// front is the listener of the HTTP server. It says when connections cannot be
// accepted, and closes those whose clients do not read what they asked for.
type front struct {
	net.Listener
	log      *slog.Logger
	patience time.Duration // without a byte read by the client; 0: for ever

	mu    sync.Mutex
	open  map[*connection]bool
	said  time.Time // when the log was told that connections cannot be accepted
	count int       // how often that was since
}

func newFront(listener net.Listener, log *slog.Logger, patience time.Duration) *front {
	return &front{Listener: listener, log: log, patience: patience, open: map[*connection]bool{}}
}

// acceptQuiet is the time between lines about connections that cannot be accepted. The
// server tries again every second.
const acceptQuiet = 10 * time.Second

// Accept implements net.Listener.
func (f *front) Accept() (net.Conn, error) {
	conn, err := f.Listener.Accept()
	f.mu.Lock()
	defer f.mu.Unlock()
	if err == nil {
		c := &connection{Conn: conn, front: f, patience: f.patience}
		f.open[c] = true
		return c, nil
	}
	if errors.Is(err, net.ErrClosed) {
		return nil, err
	}
	f.count++
	if now := time.Now(); now.Sub(f.said) >= acceptQuiet {
		remedy := "clients wait until some leave"
		if errors.Is(err, unix.EMFILE) || errors.Is(err, unix.ENFILE) {
			remedy += "; raise the limit of open files (ulimit -n, LimitNOFILE)"
		}
		f.log.Warn("connections cannot be accepted: "+remedy, "error", err, "open", len(f.open),
			"failures", f.count)
		f.said, f.count = now, 0
	}
	return nil, err
}

// hurry leaves every connection no more than so much patience from now on.
func (f *front) hurry(patience time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for c := range f.open {
		c.expect(patience)
	}
}

// connection is one client's. A write has no bound in time as long as the client keeps
// reading some of it.
type connection struct {
	net.Conn
	front *front

	mu       sync.Mutex
	patience time.Duration
}

// expect sets the deadline of the write under way, and of the next with 0. It only
// shortens the patience.
func (c *connection) expect(patience time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if patience > 0 && (c.patience == 0 || patience < c.patience) {
		c.patience = patience
	}
	if c.patience > 0 {
		_ = c.SetWriteDeadline(time.Now().Add(c.patience)) // one that is closed has no need of it
	}
}

// Write implements net.Conn. The deadline moves as long as bytes go out: once it has
// passed with none, the client is taken for gone, and so is what the system still holds
// for it. A client that reads nothing is closed after patience twice over at most.
func (c *connection) Write(p []byte) (n int, err error) {
	for {
		c.expect(0)
		wrote, err := c.Conn.Write(p[n:])
		n += wrote
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			return n, err
		}
		if wrote == 0 {
			c.front.log.Info("client does not read its answer, and is closed",
				"client", c.RemoteAddr().String(), "unread", len(p)-n)
			if tcp, ok := c.Conn.(*net.TCPConn); ok {
				_ = tcp.SetLinger(0) // Close follows, and says what is wrong with the connection
			}
			return n, err
		}
	}
}

// CloseWrite is what net/http calls so that a client reads the last of an answer before
// the connection goes.
func (c *connection) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}

// Close implements net.Conn.
func (c *connection) Close() error {
	c.front.mu.Lock()
	delete(c.front.open, c)
	c.front.mu.Unlock()
	return c.Conn.Close()
}

// fewFiles is where a limit of open files is worth a word: a connection takes one, and
// load balancers and clients' pools hold hundreds.
const fewFiles = 4096

// tellFiles warns if the process may open few files. Go has raised the limit as far
// as it may.
func tellFiles(log *slog.Logger) {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil || limit.Cur >= fewFiles {
		return
	}
	log.Warn("few files may be open at once: each connection takes one, and the server itself some "+
		"thirty; raise the hard limit (ulimit -Hn, LimitNOFILE)", "limit", limit.Cur,
		"recommended", fewFiles)
}
