package every

import (
	"testing"
	"testing/synctest"
	"time"
)

// TestDo: a call in each interval, and none after the stop, which may come twice.
func TestDo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		calls := 0
		stop := Do(time.Second, func() { calls++ })
		time.Sleep(3500 * time.Millisecond)
		stop()
		time.Sleep(time.Minute)
		if stop(); calls != 3 {
			t.Errorf("%d calls in three and a half seconds, want 3", calls)
		}
	})
}
