package server

import (
	"net/http"
	"runtime"
	"strconv"

	"scored/score"
	"scored/sglang"
)

// tei shows the fields of TEI's /info for a reranker or a classifier:
// https://huggingface.github.io/text-embeddings-inference/#/Text%20Embeddings%20Inference/get_model_info.
// A language model is a reranker of the one class "yes".
func (a *about) tei(w http.ResponseWriter, _ *http.Request, m *loaded) {
	var info struct {
		ModelID   string  `json:"model_id"`
		ModelSHA  *string `json:"model_sha"`
		DType     string  `json:"model_dtype"`
		ModelType struct {
			Reranker   *teiLabels `json:"reranker,omitempty"`
			Classifier *teiLabels `json:"classifier,omitempty"`
		} `json:"model_type"`
		MaxRequests   int     `json:"max_concurrent_requests"`
		MaxInput      int     `json:"max_input_length"`
		MaxBatch      int     `json:"max_batch_tokens"`
		BatchRequests *int    `json:"max_batch_requests"` // null: no bound but the tokens
		MaxTexts      int     `json:"max_client_batch_size"`
		Truncate      bool    `json:"auto_truncate"`
		Workers       int     `json:"tokenization_workers"`
		Version       string  `json:"version"`
		SHA           *string `json:"sha"`
		Docker        *string `json:"docker_label"`
	}
	info.ModelID, info.DType, info.Version = m.served, m.setting("dtype"), a.version
	switch classes := m.classes(); len(classes) {
	case 0:
		info.ModelType.Reranker = labelsOfClasses([]string{"yes"})
	case 1:
		info.ModelType.Reranker = labelsOfClasses(classes)
	default:
		info.ModelType.Classifier = labelsOfClasses(classes)
	}
	load := m.Scorer.Load()
	info.MaxRequests, info.MaxTexts = load.MaxRows, load.MaxRows
	// In TEI a text of max_input_length tokens is taken; MaxInput is the first length that
	// is not.
	info.MaxInput, info.MaxBatch = score.MaxInput(m.ContextLength)-1, m.longestStep()
	info.Workers = runtime.GOMAXPROCS(0)
	writeJSON(w, http.StatusOK, sglang.JSON(info))
}

// teiLabels maps the indexes of a model's classes to names, and names to indexes.
type teiLabels struct {
	Labels map[string]string `json:"id2label"`
	IDs    map[string]int    `json:"label2id"`
}

// labelsOfClasses returns the maps of these names. JSON's keys are strings, so indexes
// are, too.
func labelsOfClasses(names []string) *teiLabels {
	l := &teiLabels{map[string]string{}, map[string]int{}}
	for i, name := range names {
		l.Labels[strconv.Itoa(i)], l.IDs[name] = name, i
	}
	return l
}
