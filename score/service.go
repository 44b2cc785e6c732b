package score

import "fmt"

// service says whether the server takes requests, and why not. queue.mu must be held
// for all of it but over.
type service struct {
	draining bool          // no request is admitted any more
	closed   bool          // besides, no job is queued any more
	lost     *Error        // why no device will run a step again; nil while they may
	over     chan struct{} // closed when a device is lost and all jobs in hand have failed
}

func newService() service { return service{over: make(chan struct{})} }

// refusal returns the error of every new request, or nil if requests are taken.
func (s *service) refusal() error {
	if s.lost != nil {
		return s.lost
	}
	if s.draining || s.closed {
		return Errorf(Unavailable, "", "server is shutting down; send the request to another replica")
	}
	return nil
}

// lose records that a device is lost and why. It returns false if one was lost before;
// otherwise the caller must fail the jobs in hand and then close over.
func (s *service) lose(device int, cause error) bool {
	if s.lost != nil {
		return false
	}
	s.lost = &Error{Kind: Unavailable, Message: "device is lost and this server ends; send the " +
		"request to another replica",
		Err: fmt.Errorf("device %d is lost: %w", device, cause)}
	return true
}
