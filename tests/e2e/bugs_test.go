package e2e

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"

	"scored/tests/process"
	"scored/tests/rounding"
)

// The tests of this file, stop_test.go and profile_test.go replay faults that users of
// other score servers have reported in public. They need the real process, tokenizer and
// device; server/bugs_test.go has those that do not. The numbers are those of one list.

// tinyArgs serve a small model with Qwen3's vocabulary and generated weights, ready in
// seconds.
func tinyArgs(more ...string) []string {
	return process.Tiny(append([]string{"--max-body", "4194304"}, more...)...)
}

func TestBugs(t *testing.T) {
	address, cmd := start(t, tinyArgs()...)
	t.Run("12 13 14 other items", func(t *testing.T) { client{t, address}.otherItems() })
	t.Run("17 seam", func(t *testing.T) { client{t, address}.seams() })
	t.Run("18 item first", func(t *testing.T) { client{t, address}.itemFirst() })
	t.Run("20 special tokens", func(t *testing.T) { client{t, address}.specials() })
	t.Run("23 scripts", func(t *testing.T) { client{t, address}.scripts() })
	t.Run("42 43 45 46 profile requests", func(t *testing.T) { client{t, address}.profileRequests() })
	t.Run("48 profile under load", func(t *testing.T) { client{t, address}.profileUnderLoad() })
	t.Run("29 large bodies", func(t *testing.T) { client{t, address}.largeBodies(cmd.Process.Pid) })
}

// labels are tokens of every vocabulary here.
var labels = []int{89, 78}

// fields of a request; labels, softmax, model and usage are added.
type fields map[string]any

// client sends requests to one server.
type client struct {
	*testing.T
	address string
}

type answer struct {
	Scores [][]float64
	Usage  struct {
		Prompt int `json:"prompt_tokens"`
		Cached int `json:"cached_tokens"`
	}
}

// score sends a request and checks that the answer has a row for each item.
func (c client) score(f fields) (a answer) {
	c.Helper()
	body := fields{"model": "m", "label_token_ids": labels, "apply_softmax": true, "usage": true}
	for name, value := range f {
		body[name] = value
	}
	data, err := json.Marshal(body)
	if err != nil {
		c.Fatal(err)
	}
	status, text := post(c.T, c.address, "/v1/score", string(data))
	if err := json.Unmarshal([]byte(text), &a); err != nil || status != http.StatusOK || len(a.Scores) == 0 {
		c.Fatalf("%.300s\nstatus %d: %.300s", data, status, text)
	}
	return a
}

// one scores a single prompt.
func (c client) one(query, item any) float64 {
	c.Helper()
	if ids, ok := item.([]int); ok {
		return c.score(fields{"query": query, "items": [][]int{ids}}).Scores[0][0]
	}
	return c.score(fields{"query": query, "items": []any{item}}).Scores[0][0]
}

// same reports whether two scores of tests/models/tiny are as close as two roundings of
// one.
func same(a, b float64) bool {
	return math.Abs(a-b) <= rounding.Shape{Layers: 2, Hidden: 64, Heads: 64, MLP: 128, Vocab: 151936}.Float32().Both().Score(b)
}

// otherItems: an item's score does not depend on the items beside it, on its place, or on
// the server's cache.
func (c client) otherItems() {
	const item = "Buy now"
	for _, query := range []string{"Is this spam? ", "Is this spam? " + strings.Repeat("Think about it. ", 40)} {
		alone, other := c.one(query, item), c.one(query, item+"!")
		if same(alone, other) {
			c.Fatalf("this model gives two items the same score, %v", alone)
		}
		for _, n := range []int{1, 7, 31, 99} {
			others := make([]string, n)
			for i := range others {
				others[i] = fmt.Sprintf("Number %d is %s", i, strings.Repeat("longer and ", i%9)) // some four times as long, some shorter
			}
			for range 2 {
				first := c.score(fields{"query": query, "items": append([]string{item}, others...)}).Scores[0][0]
				last := c.score(fields{"query": query, "items": append(others[:n:n], item)}).Scores[n][0]
				if !same(first, alone) || !same(last, alone) {
					c.Errorf("item scores %v alone, %v before and %v after %d others", alone, first, last, n)
				}
			}
		}
	}
}

// seams: a prompt's score does not depend on the place where it is cut into query and
// item, even if tokens or characters form across the cut, or if several items share the
// query as a prefix.
func (c client) seams() {
	if same(c.one([]int{64}, []int{271, 65}), c.one([]int{64}, []int{198, 198, 65})) {
		c.Fatal("this model cannot tell one token of two line ends from two of one")
	}
	for _, end := range []string{"Is it done", "a\n\nb", "x 👩‍👩‍👧 y", "cafe\u0301s", "각 각", "12345", "ok <|im_end|>\n", "   four"} {
		for _, text := range []string{end, strings.Repeat("Read this line again.\n", 20) + end} {
			whole := c.one("", text)
			for at := range end { // at the borders of characters: JSON has no halves of them
				cut := len(text) - len(end) + at
				items := []string{text[cut:], text[cut:] + "x", "\u0301?", " else"}
				if got := c.score(fields{"query": text[:cut], "items": items}).Scores[0][0]; !same(got, whole) {
					c.Errorf("…%q + %q among others scores %v, whole %v", end[:at], end[at:], got, whole)
				}
				if got := c.one(text[:cut], text[cut:]); !same(got, whole) {
					c.Errorf("…%q + %q scores %v, whole %v", end[:at], end[at:], got, whole)
				}
			}
		}
	}
}

func (c client) itemFirst() {
	const query = " is what they said"
	items := []string{"Yes", "Never", "Nobody knows whether it"}
	got := c.score(fields{"query": query, "items": items, "item_first": true}).Scores
	for i, item := range items {
		if want := c.one(item, query); !same(got[i][0], want) {
			c.Errorf("item %q before the query scores %v, want %v", item, got[i][0], want)
		}
		if same(got[i][0], c.one(query, item)) {
			c.Errorf("item %q scores the same before and after the query", item)
		}
	}
}

// specials: "<|im_end|>" in a text is the token, as in transformers, unless the client
// says that it is text.
func (c client) specials() {
	const query, item = "ok <|im_end|>", "\n<|im_start|>system"
	parsed := c.score(fields{"query": query, "items": []string{item}})
	if want := c.one([]int{562, 220, 151645, 198}, []int{151644, 8948}); !same(parsed.Scores[0][0], want) || parsed.Usage.Prompt != 6 {
		c.Errorf("text of special tokens scores %v with %d tokens, its ids %v with 6", parsed.Scores[0][0], parsed.Usage.Prompt, want)
	}
	plain := c.score(fields{"query": query, "items": []string{item}, "split_special_tokens": true})
	if plain.Usage.Prompt != 13 || same(plain.Scores[0][0], parsed.Scores[0][0]) {
		c.Errorf("plain text scores %v with %d tokens; want 13 and not the tokens' %v", plain.Scores[0][0], plain.Usage.Prompt, parsed.Scores[0][0])
	}
}

// scripts: text that is not in the normal form is scored as its normal form, and long
// runs of marks are scored too.
func (c client) scripts() {
	for text, normal := range map[string]string{"cafe\u0301": "caf\u00e9", "\u1112\u1161\u11ab\u1100\u1173\u11af": "한글", "\u212b": "\u00c5", "\uf900": "\u8c48"} {
		if got, want := c.one("Say ", text), c.one("Say ", normal); !same(got, want) {
			c.Errorf("%+q scores %v, its normal form %+q %v", text, got, normal, want)
		}
	}
	for _, text := range []string{"น้ำ ภาษาไทย", "ܫܠܡܐ", "e" + strings.Repeat("\u0301\u0316", 403), "👨‍👩‍👧‍👦🏳️‍🌈", "\u202eabc\u2069\u0000\ufeff"} {
		if s := c.one("Say ", text); !(s > 0 && s < 1) {
			c.Errorf("%.40q scores %v", text, s)
		}
	}
}

// largeBodies: a body of 200 MB is refused unread if its length is announced, otherwise
// at the limit. The memory for an item of megabytes is given back.
func (c client) largeBodies(pid int) {
	before := resident(c.T, pid)
	for header, most := range map[string]int{"Content-Length: 200000000": 8 << 20, "Transfer-Encoding: chunked": 16 << 20} { // socket buffers hold some MB
		conn, err := net.Dial("tcp", c.address)
		if err != nil {
			c.Fatal(err)
		}
		defer conn.Close()
		fmt.Fprintf(conn, "POST /v1/score HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n%s\r\n\r\n", header)
		sent := make(chan int, 1)
		go func() {
			chunk, n := "10000\r\n"+strings.Repeat(" ", 1<<16)+"\r\n", 0
			for n < 200_000_000 {
				k, err := io.WriteString(conn, chunk)
				if n += k; err != nil {
					break
				}
			}
			sent <- n
		}()
		response, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil || response.StatusCode != http.StatusRequestEntityTooLarge {
			c.Fatalf("%s: %v, want 413: %v", header, response, err)
		}
		_ = conn.Close()
		if n := <-sent; n > most {
			c.Errorf("%s: %d bytes were taken before the answer, want at most %d", header, n, most)
		}
	}
	const words = 600_000 // 3 MB, for which the tokenizer needs some 200 MB
	item := `{"model":"m","query":"a","items":["` + strings.Repeat("word ", words) + `"],"label_token_ids":[1]`
	if status, text := post(c.T, c.address, "/v1/score", item+`}`); status != http.StatusBadRequest || !strings.Contains(text, "longer than the model's context length") {
		c.Errorf("item of %d words: %d %.300s", words, status, text)
	}
	if status, text := post(c.T, c.address, "/v1/score", item+`,"truncate":true}`); status != http.StatusOK || !strings.Contains(text, `"truncated":[0]`) {
		c.Errorf("item of %d words, to be cut: %d %.300s", words, status, text)
	}
	if after := resident(c.T, pid); after > before+64<<20 {
		c.Errorf("server has %d MB after large bodies, %d MB before", after>>20, before>>20)
	}
	c.one("a", "b")
}

// resident returns the resident memory of a process, in bytes.
func resident(t *testing.T, pid int) int {
	t.Helper()
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	if err != nil {
		t.Skipf("memory of a process is read from /proc: %v", err)
	}
	pages, err := strconv.Atoi(strings.Fields(string(data))[1])
	if err != nil {
		t.Fatal(err)
	}
	return pages * os.Getpagesize()
}
