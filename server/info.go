package server

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"scored/score"
)

// Setting is one launch setting as /get_server_info shows it. It holds no secrets.
type Setting struct {
	Name  string
	Value json.RawMessage
}

// handleServerInfo shows the settings and the state, under the peer's names where it has them.
func (s *Server) handleServerInfo(w http.ResponseWriter, r *http.Request) {
	m, ok := s.ready(w, r)
	if !ok {
		return
	}
	var b strings.Builder
	b.WriteByte('{')
	for _, setting := range m.Settings {
		b.WriteString(quote(setting.Name) + ":" + string(setting.Value) + ",")
	}
	load := m.Scorer.Load()
	buckets, longest := m.Scorer.Buckets(), 0
	for _, bucket := range buckets {
		longest = max(longest, bucket.Tokens)
	}
	steps, _ := json.Marshal(buckets) // plain numbers always encode
	fmt.Fprintf(&b, `"status":"ready","max_total_num_tokens":%d,"max_req_input_len":%d,"internal_states":[{"engine_paused":false,`+
		`"waiting_queue_size":%d,"running_batch_size":%d,"waiting_queue_tokens":%d,"requests":%d,"steps":%d,"max_step_tokens":%d,"buckets":%s}],"version":%s}`,
		load.MaxTokens, score.MaxInput(m.ContextLength), load.WaitingRows, load.RunningRows, load.WaitingTokens, load.Requests, load.Steps, longest, steps, quote(s.cfg.Version))
	writeJSON(w, http.StatusOK, b.String())
}

// handleLoad shows the work in hand. The peer's own answer is a 500.
func (s *Server) handleLoad(w http.ResponseWriter, r *http.Request) {
	m, ok := s.ready(w, r)
	if !ok {
		return
	}
	load := m.Scorer.Load()
	writeJSON(w, http.StatusOK, fmt.Sprintf(`{"num_reqs":%d,"num_waiting_reqs":%d,"num_running_reqs":%d,"num_waiting_tokens":%d}`,
		load.WaitingRows+load.RunningRows, load.WaitingRows, load.RunningRows, load.WaitingTokens))
}

// handleFlush empties the prefix cache, unless there is work in hand.
func (s *Server) handleFlush(w http.ResponseWriter, r *http.Request) {
	m, ok := s.ready(w, r)
	if !ok {
		return
	}
	text := "Cache flushed.\nPlease check backend logs for more details. " +
		"(When there are running or waiting requests, the operation will not be performed.)\n"
	dropped, err := m.Scorer.Flush()
	if err != nil {
		writeBare(w, http.StatusBadRequest, text+flushRefused(m.Scorer.Load()))
		return
	}
	if dropped > 0 {
		text += "Flushed items: " + strconv.Itoa(dropped) + "\n"
	}
	writeBare(w, http.StatusOK, text)
}

// flushRefused is the peer's line. Its terms that scoring has no use for stay zero.
func flushRefused(load score.Load) string {
	busy := min(load.RunningRows, 1)
	return fmt.Sprintf("Reason: Cache not flushed because there are pending requests. waiting=%d, grammar=0, pending_dp=0, running=%d, "+
		"cur_batch=%d, last_batch=%d, chunked=False, pending_results=%d, pd_prefill=0, pd_prealloc=0, pd_transfer=0, pd_bootstrap=0\n",
		load.WaitingRows, load.RunningRows, busy, busy, busy)
}
