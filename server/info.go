package server

import (
	"fmt"
	"net/http"
	"strconv"

	"scored/score"
	"scored/sglang"
)

// settings shows the launch settings and the state, under sglang-jax's names where it
// has them. sglang-jax's fields about memory pools and decoding have no counterpart here
// and are left out. Queue sizes are rows: an item of a request, or a place of it that is
// read.
func (a *about) settings(w http.ResponseWriter, _ *http.Request, m *loaded) {
	var info sglang.Object
	for _, setting := range m.Settings {
		info = append(info, sglang.Member{Key: setting.Name, Value: setting.Value})
	}
	load := m.Scorer.Load()
	state := sglang.Object{{Key: "engine_paused", Value: false},
		{Key: "waiting_queue_size", Value: load.WaitingRows},
		{Key: "running_batch_size", Value: load.RunningRows},
		{Key: "waiting_queue_tokens", Value: load.WaitingTokens}, {Key: "requests", Value: load.Requests},
		{Key: "steps", Value: load.Steps}, {Key: "max_step_tokens", Value: m.longestStep()},
		{Key: "buckets", Value: m.Scorer.Buckets()}}
	info = append(info, sglang.Object{{Key: "status", Value: "ready"},
		{Key: "max_total_num_tokens", Value: load.MaxTokens},
		{Key: "max_req_input_len", Value: score.MaxInput(m.ContextLength)},
		{Key: "internal_states", Value: []sglang.Object{state}},
		{Key: "version", Value: a.version}}...)
	writeJSON(w, http.StatusOK, sglang.JSON(info))
}

// handleLoad shows the work in hand. sglang-jax itself answers 500 here.
func handleLoad(w http.ResponseWriter, _ *http.Request, m *loaded) {
	load := m.Scorer.Load()
	writeJSON(w, http.StatusOK, sglang.JSON(sglang.Object{{Key: "num_reqs",
		Value: load.WaitingRows + load.RunningRows},
		{Key: "num_waiting_reqs", Value: load.WaitingRows},
		{Key: "num_running_reqs", Value: load.RunningRows},
		{Key: "num_waiting_tokens", Value: load.WaitingTokens}}))
}

// handleFlush empties the prefix cache, unless there is work in hand: then it answers
// 400. The texts are sglang-jax's; the line with the number of items is ours.
func handleFlush(w http.ResponseWriter, _ *http.Request, m *loaded) {
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

// flushRefused returns sglang-jax's line. Its counters that do not apply to scoring
// stay zero.
func flushRefused(load score.Load) string {
	busy := min(load.RunningRows, 1)
	return fmt.Sprintf("Reason: Cache not flushed because there are pending requests. waiting=%d, "+
		"grammar=0, pending_dp=0, running=%d, "+
		"cur_batch=%d, last_batch=%d, chunked=False, pending_results=%d, pd_prefill=0, "+
		"pd_prealloc=0, pd_transfer=0, pd_bootstrap=0\n",
		load.WaitingRows, load.RunningRows, busy, busy, busy)
}
