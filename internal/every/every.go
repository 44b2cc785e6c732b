// Package every calls a function at intervals.
package every

import (
	"sync"
	"time"
)

// Do calls do once in each interval, on a goroutine of its own, until stop is called. No call runs
// or comes after stop has returned. stop may be called again; do must not call it.
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
