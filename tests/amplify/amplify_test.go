// Package amplify bounds the cost of a request by the bytes that its client sends. It has
// a table of bodies and sends each to the real binary, with bounds of CPU time, of memory
// and of a neighbour's wait. `go test -v` prints the table.
package amplify

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"scored/tests/process"
)

// enableEnv is set by `make amplify`, which runs this test alone.
const enableEnv = "SCORED_AMPLIFY"

func TestMain(m *testing.M) { os.Exit(process.WithBinary(m.Run)) }

// The bounds. Times are in units of the ordinary request of 1 MB that is measured in the
// same run, so that they hold on a slow or busy machine too. Where that request takes 300
// ms, these are 300 ms, 100 and 500 ns a byte.
const (
	floorUnits   = 1.0     // of CPU, for any body
	readUnits    = 1.0 / 3 // of CPU for each 1 MB to be read
	encodedUnits = 5.0 / 3 // for each 1 MB to be tokenized
	computeUnits = 2.0     // times what its rows and tokens cost in the honest requests
	delayUnits   = 3.0     // of a neighbour's delay beside an honest request
	memoryBound  = 200 << 20
	crowdBound   = 2 << 30 // of all requests together, and everything but the weights: see docs/operating.md, "Limits"

	tries    = 3                // a body that breaks a bound is measured again: other processes can only add
	patience = 60 * time.Second // with one body
	most     = 8 << 30          // bytes of memory, beyond which the server is ended
)

func TestAmplification(t *testing.T) {
	if os.Getenv(enableEnv) == "" {
		t.Skip("measures, so nothing else may run: make amplify")
	}
	s := launch(t)
	u := s.calibrate(t)
	fmt.Println(u)
	fmt.Println(head)
	for _, b := range bodies() {
		t.Run(b.name, func(in *testing.T) {
			var c cost
			s, c = s.within(t, b, u)
			fmt.Println(c.line(b))
			if b.status != anyStatus && (b.status != c.status || b.field != c.field) {
				in.Errorf("status %d with field %q, want %d with %q", c.status, c.field, b.status, b.field)
			}
			for _, what := range c.broken {
				in.Error(what)
			}
		})
	}
}

// within measures a body until it keeps its bounds, at most as often as tries says. It
// returns the server that runs afterwards.
func (s *server) within(t *testing.T, b body, u *units) (*server, cost) {
	t.Helper()
	for n := 1; ; n++ {
		c := s.measure(t, b)
		c.broken = c.breaks(b, u)
		left := c.before > memoryBound/20 // left by other bodies, and not yet given back
		if c.end != "" || c.memory > memoryBound && left {
			s.kill()
			base := s.base
			s = launch(t)
			s.base, s.spare = base, u.neighbour
		}
		if len(c.broken) == 0 || c.end != "" || n == tries {
			return s, c
		}
		u.delay = max(u.delay, s.measure(t, ordinary()).delay) // the machine may be busier now
	}
}

// units are costs on this machine, in this run.
type units struct {
	text       time.Duration // CPU of an ordinary request of 1 MB, nearly all of it to read and tokenize
	token, row float64       // seconds of CPU of the honest requests, by their tokens and by their rows
	label      float64       // by their rows and labels
	longRow    float64       // and by their rows with a long prefix
	delay      time.Duration // of a neighbour beside an honest request
	neighbour  float64       // seconds of CPU of a neighbour's request
}

func (u *units) String() string {
	return fmt.Sprintf("an ordinary 1 MB takes %v of CPU, a token %.0f µs, a row %.0f µs, a label %.0f µs, a row with a long prefix %.0f µs; a neighbour waits %v and takes %.0f µs",
		u.text, u.token*1e6, u.row*1e6, u.label*1e6, u.longRow*1e6, u.delay, u.neighbour*1e6)
}

// cost has the costs of one body.
type cost struct {
	sent, unzipped, answer int64
	status                 int
	field                  string
	took, cpu, delay       time.Duration
	base                   int64   // resident bytes at rest
	before, memory, kept   int64   // resident bytes above base: before, at the peak, and after
	refused                int     // of a crowd, with 503
	rows, tokens           float64 // computed
	neighbour              error   // the first answer other than 200 that the neighbour got meanwhile
	end                    string  // why the server had to be ended; "" if it went on
	broken                 []string
}

// breaks lists the bounds that are broken.
func (c *cost) breaks(b body, u *units) (broken []string) {
	if c.end != "" {
		return []string{c.end}
	}
	clients := float64(max(b.crowd, 1))
	unit, megabytes := u.text.Seconds(), clients*float64(max(c.sent, c.unzipped))/1e6
	cpu := floorUnits*unit*clients + readUnits*unit*megabytes
	if b.kind&encoded != 0 {
		cpu += encodedUnits * unit * megabytes
	}
	if b.kind&computed != 0 {
		cpu += computeUnits * (u.token*c.tokens + c.rows*float64(max(b.places, 1))*(u.row+u.label*float64(b.labels)))
	}
	if b.kind&longPrefix != 0 {
		cpu += computeUnits * (u.token*c.tokens + c.rows*u.longRow)
	}
	if c.cpu.Seconds() > cpu {
		broken = append(broken, fmt.Sprintf("%.2f s of CPU, %.2f s at most", c.cpu.Seconds(), cpu))
	}
	if c.neighbour != nil {
		broken = append(broken, c.neighbour.Error())
	}
	memory := int64(memoryBound)
	if b.crowd > 0 {
		memory = crowdBound - c.base
	}
	if c.memory > memory {
		broken = append(broken, fmt.Sprintf("%d MB of memory, %d MB at most", c.memory>>20, memory>>20))
	}
	if longest := time.Duration(max(delayUnits, clients) * float64(u.delay)); c.delay > longest { // a step of each client
		broken = append(broken, fmt.Sprintf("a neighbour waits %v, %v at most", c.delay, longest))
	}
	return broken
}

const head = "sent kB  unzipped kB  status  answer kB  took s  CPU s  memory MB  kept MB  neighbour ms  body, field of the error, bounds that are broken"

func (c *cost) line(b body) string {
	text := fmt.Sprintf("%7.1f  %11d  %6d  %9d  %6.2f  %5.2f  %9d  %7d  %12d  %s", float64(c.sent)/1e3, c.unzipped/1000, c.status, c.answer/1000,
		c.took.Seconds(), c.cpu.Seconds(), c.memory>>20, c.kept>>20, c.delay.Milliseconds(), b.name)
	if c.field != "" {
		text += " [" + c.field + "]"
	}
	if c.refused > 0 {
		text += fmt.Sprintf(" (%d with 503)", c.refused)
	}
	if len(c.broken) > 0 {
		text += "  !! " + strings.Join(c.broken, "; ")
	}
	return text
}

// ordinary is the request of 1 MB that is the unit of CPU time. Its items are all the
// same, so that there is little to compute.
func ordinary() body {
	return body{name: "ordinary", build: scoring(is(`"q "`), list(200, text(417, words)()), is("[1]")), status: 200, kind: encoded | computed}
}

// calibrate measures the units, once the server is warm.
func (s *server) calibrate(t *testing.T) *units {
	t.Helper()
	one := func(b body) cost {
		c := s.measure(t, b)
		if c.status != b.status || c.end != "" {
			t.Fatalf("%s: status %d %s", b.name, c.status, c.end)
		}
		return c
	}
	for _, b := range append(honest(), ordinary()) { // so that every kind of step has run once
		one(b)
	}
	s.base = s.memory("VmRSS")
	u := &units{}
	const neighbours = 50
	before := s.cpu()
	for range neighbours {
		(&neighbour{}).ask(t.Context(), s)
	}
	u.neighbour = (s.cpu() - before).Seconds() / neighbours
	all := honest()
	text, tokens, rows, labels, long := one(ordinary()), one(all[0]), one(all[1]), one(all[2]), one(all[3])
	u.text = text.cpu
	u.token, u.row = tokens.cpu.Seconds()/tokens.tokens, rows.cpu.Seconds()/rows.rows
	u.label, u.longRow = labels.cpu.Seconds()/(labels.rows*float64(all[2].labels)), long.cpu.Seconds()/long.rows
	u.delay = max(text.delay, tokens.delay, rows.delay, labels.delay)
	s.spare = u.neighbour
	return u
}

// measure sends the body, beside a neighbour, and waits until the server is at rest
// again.
func (s *server) measure(t *testing.T, b body) (c cost) {
	t.Helper()
	data, headers := s.prepare(b, &c)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	watched := s.watch(ctx, cancel)
	counters := s.counters(t)
	s.forgetPeak(t)
	c.base, c.before = s.base, s.memory("VmRSS")-s.base
	before, begin := s.cpu(), time.Now()
	n := s.neighbour(ctx)
	asked, leave := ctx, context.CancelFunc(func() {})
	if b.leave > 0 {
		asked, leave = context.WithTimeout(ctx, b.leave)
	}
	path := b.path
	if path == "" {
		path = "/v1/score"
	}
	s.sendAll(asked, &c, max(b.crowd, 1), path, data, headers)
	c.took = time.Since(begin)
	leave()
	n.end()
	if !s.quiet(ctx) || ctx.Err() != nil {
		c.end = fmt.Sprintf("not at rest after %v", patience)
	}
	c.delay, c.neighbour = n.slowest, n.failure
	c.cpu = max(0, s.cpu()-before-time.Duration(float64(n.requests)*s.spare*1e9))
	c.memory, c.kept = s.memory("VmHWM")-s.base, s.memory("VmRSS")-s.base
	cancel()
	if high := <-watched; high != "" {
		c.end = high
	}
	if c.end == "" {
		after := s.counters(t)
		c.rows = max(0, after["scored_items_total"]-counters["scored_items_total"]-float64(n.requests))
		const computed = `scored_tokens_total{kind="computed"}`
		c.tokens = after[computed] - counters[computed]
	}
	return c
}

// sendAll sends the body from as many clients at once, and notes an answer other than
// 503. Without an answer the status is 0.
func (s *server) sendAll(ctx context.Context, c *cost, clients int, path string, data []byte, headers map[string]string) {
	var mu sync.Mutex
	var all sync.WaitGroup
	for range clients {
		all.Go(func() {
			status, field, size, _ := s.send(ctx, path, data, headers)
			mu.Lock()
			defer mu.Unlock()
			c.answer += size
			if status == http.StatusServiceUnavailable && clients > 1 {
				c.refused++
				return
			}
			c.status, c.field = status, field
		})
	}
	all.Wait()
	if c.refused == clients {
		c.status = http.StatusServiceUnavailable
	}
}

// prepare returns the bytes to send.
func (s *server) prepare(b body, c *cost) (data []byte, headers map[string]string) {
	text := b.build()
	data, headers = []byte(text), map[string]string{}
	for name, value := range b.headers {
		headers[name] = value
	}
	if !b.plain {
		data, headers["Content-Encoding"] = zipped(text), "gzip"
	}
	c.sent, c.unzipped = int64(len(data)), int64(len(text))
	return data, headers
}

// watch ends the server when it takes too much memory, and reports whether it did.
func (s *server) watch(ctx context.Context, cancel context.CancelFunc) <-chan string {
	told := make(chan string, 1)
	go func() {
		for ctx.Err() == nil {
			if s.memory("VmRSS") > most {
				_ = s.cmd.Process.Kill()
				cancel()
				told <- fmt.Sprintf("more than %d MB of memory", most>>20)
				return
			}
			time.Sleep(20 * time.Millisecond)
		}
		told <- ""
	}()
	return told
}
