package server

import (
	"net"
	"net/http"
	"strconv"
	"sync"
)

// clients bounds how many requests each client has in hand, so that no client can fill
// the queue. It is safe for concurrent use.
type clients struct {
	most int // requests of one client; 0: no bound

	mu sync.Mutex
	// inHand has only clients with requests in hand, so that it does not grow with the
	// number of clients ever seen. mu must be held.
	inHand map[string]int
}

// enter counts a request, or returns an error with status 429 if its client has too many
// in hand. Without an error the caller must call leave once.
func (c *clients) enter(r *http.Request) (leave func(), err error) {
	if c.most == 0 {
		return func() {}, nil
	}
	client := clientOf(r)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.inHand[client] >= c.most {
		return nil, &apiError{status: http.StatusTooManyRequests, kind: "RateLimitError", busy: true,
			message: "client has " + strconv.Itoa(c.most) +
				" requests in hand, which is its limit; wait for an answer first"}
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

// clientOf identifies the client of a request: by the name of its key, else by the
// header X-Client-Id, which a gateway in front should set, else by the address that it
// comes from. A prefix keeps a key's name and a header of the same text apart.
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
