package app

import (
	"net"
	"net/http"
	"sync"
)

// unusedConns are the connections on which nothing has been sent yet, as browsers and
// TCP probes hold them. Shutdown of net/http waits five seconds for each to become a
// request, which a stop has no time for. The zero value is ready for watch.
type unusedConns struct {
	mu    sync.Mutex
	conns map[net.Conn]bool
}

// watch makes the server close them when it shuts down. It takes the server's ConnState,
// and must be called before the server serves.
func (u *unusedConns) watch(web *http.Server) {
	u.conns = map[net.Conn]bool{}
	web.ConnState = func(conn net.Conn, state http.ConnState) {
		u.mu.Lock()
		defer u.mu.Unlock()
		if state == http.StateNew {
			u.conns[conn] = true
		} else {
			delete(u.conns, conn)
		}
	}
	web.RegisterOnShutdown(u.close)
}

// close closes those that are unused now.
func (u *unusedConns) close() {
	u.mu.Lock()
	defer u.mu.Unlock()
	for conn := range u.conns {
		_ = conn.Close() // no request is lost with it
	}
}
