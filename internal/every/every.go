// Package every calls a function at intervals.
package every

import (
	"sync"
	"time"
)

// Do calls do once in each interval, first after one interval, until stop is called.
// The calls are made one after the other on a goroutine of their own; an interval that
// passes during a call is left out. stop waits for a call in progress and ends the
// goroutine: no call runs when it has returned. It may be called again and from any
// goroutine, but not by do.
func Do(interval time.Duration, do func()) (stop func()) {
	quit, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		ticker := time.NewTicker(interval)
		defer ticker.Stop()
		for {
			select {
			case <-quit:
				return
			case <-ticker.C:
				do()
			}
		}
	}()
	return sync.OnceFunc(func() {
		close(quit)
		<-ended
	})
}
