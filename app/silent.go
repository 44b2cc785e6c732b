package app

import (
	"net"
	"net/http"
	"sync"
)

// silent are the connections on which nothing has been sent yet, as browsers and TCP
// probes hold them. A server's Shutdown would wait five seconds for each to become a
// request.
type silent struct {
	mu    sync.Mutex
	conns map[net.Conn]bool
}

// watch makes the server close them when it shuts down.
func (s *silent) watch(web *http.Server) {
	s.conns = map[net.Conn]bool{}
	web.ConnState = func(conn net.Conn, state http.ConnState) {
		s.mu.Lock()
		defer s.mu.Unlock()
		if state == http.StateNew {
			s.conns[conn] = true
		} else {
			delete(s.conns, conn)
		}
	}
	web.RegisterOnShutdown(s.close)
}

func (s *silent) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for conn := range s.conns {
		_ = conn.Close() // nobody has asked anything there
	}
}
