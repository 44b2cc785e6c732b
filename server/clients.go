package server

import (
	"net"
	"net/http"
	"strconv"
	"sync"
)

// clients counts each client's requests in hand, so that none can have all of the queue.
type clients struct {
	most int // 0: no bound

	mu     sync.Mutex
	inHand map[string]int // clients with none are left out
}

// enter counts a request. It is refused if its client has too many in hand; else leave must be called in the end.
func (c *clients) enter(r *http.Request) (leave func(), err error) {
	if c.most == 0 {
		return func() {}, nil
	}
	client := clientOf(r)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.inHand[client] >= c.most {
		return nil, &apiError{status: http.StatusTooManyRequests, kind: "RateLimitError", busy: true,
			message: "client has " + strconv.Itoa(c.most) + " requests in hand, which is its limit; wait for an answer first"}
	}
	if c.inHand == nil {
		c.inHand = map[string]int{}
	}
	c.inHand[client]++
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.inHand[client]--; c.inHand[client] == 0 {
			delete(c.inHand, client)
		}
	}, nil
}

// clientOf is the name of the request's key or, where that has none, the header X-Client-Id, which a gateway in front
// should set, or the address that the request comes from.
func clientOf(r *http.Request) string {
	if key := keyOf(r); key != "" {
		return "key " + key
	}
	if id := r.Header.Get("X-Client-Id"); id != "" {
		return "id " + id
	}
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return host
}
