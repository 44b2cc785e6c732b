package amplify

import (
	"slices"
	"strings"
	"time"
)

// bodies is the table: the bodies that a client may send, with their answers. The bounds
// are in amplify_test.go.
func bodies() []body {
	return slices.Concat(honest(), products(), manyItems(), labels(), longTexts(), shapes(), reranking(), dialects(), impatient(), others(), crowds())
}

// honest requests are admitted and computed, and share no token. Their cost is that of
// their tokens and rows.
func honest() []body {
	kilobyte := `"%d ` + strings.Repeat(words, 84) + `"`
	return []body{
		{name: "100 items of 1 kB", plain: true, build: scoring(query, numbered(100, kilobyte), label), status: 200, kind: computed},
		{name: "1,000 tokens x 2,000 items", build: scoring(text(500, words), numbered(2000, `"item %d"`), is("[1,2]")), status: 200, kind: computed},
		{name: "100 items x 1,000 distinct labels", plain: true, build: scoring(query, numbered(100, `"%d"`), numbered(1000, "%d")), status: 200, kind: computed, labels: 1000},
		{name: "2,200 tokens x 200 items", build: scoring(list(2200, "7"), numbered(200, "[%d]"), label), status: 200, kind: longPrefix},
		{name: "20 items of 2,000 ids", plain: true, build: scoring(idQuery, numbered(20, "[%d"+strings.Repeat(",7", 2000)+"]"), label), status: 200, kind: computed},
		{name: "5,000 items of a number", build: scoring(query, numbered(5000, `"%d"`), label), status: 200, kind: computed},
		{name: "item first: 30 items x 1,000 tokens", build: scoring(text(500, words), numbered(30, `"item %d "`), label, itemFirst), status: 200, kind: computed},
		{name: "rerank: 100 documents of 1 kB", path: "/v1/rerank", plain: true, build: ranking(text(10, words), numbered(100, kilobyte)), status: 200, kind: computed},
		{name: "rerank: 1,000 tokens x 2,000 documents", path: "/v1/rerank", build: ranking(text(500, words), numbered(2000, `"document %d"`)), status: 200, kind: computed},
	}
}

// products multiply a query with items, documents or labels.
func products() []body {
	long, ids := text(83_000, words), list(300_000, "7")
	return []body{
		{name: "query of 1 MB x 8,000 items", build: scoring(long, list(8000, `"a"`), label), status: 400, field: "items[0]"},
		{name: "query of 1 MB x 8,000 items, not zipped", plain: true, build: scoring(long, list(8000, `"a"`), label), status: 400, field: "items[0]"},
		{name: "query of 1 MB x 8,000 items, partial", build: scoring(long, list(8000, `"a"`), label, partial), status: 200},
		{name: "query of 1 MB x 300 items, item first", build: scoring(long, list(300, `"a"`), label, itemFirst), status: 400, field: "items[0]"},
		{name: "query of 1 MB x 300 items, item first, partial", build: scoring(long, list(300, `"a"`), label, itemFirst, partial), status: 200},
		{name: "query of 1 MB x 200 items, truncate", build: scoring(long, list(200, `"a"`), label, truncate), status: 200, kind: longPrefix},
		{name: "query of 1 MB x 20 items, item first, truncate", build: scoring(long, list(20, `"a"`), label, itemFirst, truncate), status: 200, kind: longPrefix},
		{name: "query of 300,000 ids x 4,000 items", build: scoring(ids, list(4000, "[1]"), label), status: 400, field: "items[0]"},
		{name: "query of 300,000 ids x 60,000 items", build: scoring(ids, list(60_000, "[1]"), label), status: 400, field: "items[0]"},
		{name: "query of 300,000 ids x 4,000 items, partial", build: scoring(ids, list(4000, "[1]"), label, partial), status: 200},
		{name: "query of 300,000 ids x 4,000 items, item first", build: scoring(ids, list(4000, "[1]"), label, itemFirst), status: 400, field: "items[0]"},
		{name: "query of 300,000 ids x 200 items, truncate", build: scoring(ids, list(200, "[1]"), label, truncate), status: 200, kind: longPrefix},
		{name: "query of 30 million ids", build: scoring(list(30*million, "7"), idItem, label), status: 413, field: "query"},
		{name: "query of 7 million ids", build: scoring(list(7*million, "7"), idItem, label), status: 400, field: "items[0]"},
		{name: "query of 7 million ids, truncate", build: scoring(list(7*million, "7"), idItem, label, truncate), status: 200, kind: longPrefix},
		{name: "query of 2,200 ids x 60,000 items", build: scoring(list(2200, "7"), list(60_000, "[1]"), label), status: 413, field: "items"},
		{name: "query of 2,200 ids x 60,000 items, item first", build: scoring(list(2200, "7"), list(60_000, "[1]"), label, itemFirst), status: 413, field: "items"},
		{name: "query of 2,000 tokens x 60,000 items", build: scoring(text(1000, words), list(60_000, `"a"`), label), status: 413, field: "items"},
		{name: "query of 2,000 tokens x 60,000 items, item first", build: scoring(text(1000, words), list(60_000, `"a"`), label, itemFirst), status: 413, field: "items"},
		{name: "query of 2,000 tokens x 60,000 items, item first, partial", build: scoring(text(1000, words), list(60_000, `"a"`), label, itemFirst, partial), status: 413, field: "items"},
		{name: "query of 5 kB, one word, x 100 items", plain: true, build: scoring(text(5000, "x"), list(100, `"a"`), label), status: 200, kind: longPrefix},
		{name: "query of 5 kB, one word, x 1,500 items", plain: true, build: scoring(text(5000, "x"), list(1500, `"a"`), label), status: 413, field: "query"},
		{name: "query of 5 kB, one word, x 1,500 items, truncate", plain: true, build: scoring(text(5000, "x"), list(1500, `"a"`), label, truncate), status: 413, field: "query"},
		{name: "query of 5 kB, one word, x 1,500 items, item first", plain: true, build: scoring(text(5000, "x"), list(1500, `"a"`), label, itemFirst), status: 413, field: "query"},
		{name: "query of 5 kB of blanks x 1,500 items, partial", plain: true, build: scoring(text(5000, " "), list(1500, `"a"`), label, partial), status: 413, field: "query"},
		{name: "query of 1.5 MB, one word, x 60,000 items", build: scoring(text(1_500_000, "x"), list(60_000, `"a"`), label), status: 400, field: "items[0]"},
	}
}

// manyItems are bodies with more rows than the server takes, or with rows that all fail.
func manyItems() []body {
	return []body{
		{name: "8 million items", build: scoring(query, list(8*million, `"a"`), label), status: 413, field: "items"},
		{name: "8 million items, partial", build: scoring(query, list(8*million, `"a"`), label, partial), status: 413, field: "items"},
		{name: "65,537 items", plain: true, build: scoring(query, list(65_537, `"a"`), label), status: 413, field: "items"},
		{name: "10 million items of no text", build: scoring(query, list(10*million, `""`), label), status: 413, field: "items"},
		{name: "8 million items of ids", build: scoring(idQuery, list(8*million, "[1]"), label), status: 413, field: "items"},
		{name: "15 million items of no ids", build: scoring(idQuery, list(15*million, "[]"), label), status: 413, field: "items"},
		{name: "60,000 empty prompts, partial", build: scoring(is(`""`), list(60_000, `""`), label, partial), status: 200, kind: encoded},
		{name: "60,000 empty prompts", build: scoring(is(`""`), list(60_000, `""`), label), status: 400, field: "items[0]"},
		{name: "3,000 prompts too long, partial", build: scoring(is("[]"), list(3000, list(2400, "7")()), label, partial), status: 200},
		{name: "10,000 items of 2,400 ids, partial", build: scoring(is("[]"), list(10_000, list(2400, "7")()), label, partial), status: 413, field: "items"},
		{name: "10,000 ids that are no tokens", plain: true, build: scoring(idQuery, list(10_000, "[999999999]"), label), status: 400, field: "items[0]"},
		{name: "300 items of 190 kB", plain: true, build: scoring(query, list(300, text(16_000, words)()), label), status: 400, field: "items[0]"},
		{name: "20 items of 190 kB, truncate", plain: true, build: scoring(query, list(20, text(16_000, words)()), label, truncate), status: 200, kind: encoded | longPrefix},
		{name: "300 items of 190 kB, partial", plain: true, build: scoring(query, list(300, text(16_000, words)()), label, partial), status: 200, kind: encoded},
	}
}

// labels are bodies with many labels, or with labels times rows.
func labels() []body {
	return []body{
		{name: "a million labels, all the same", build: scoring(query, item, list(million, "1")), status: 200, kind: computed},
		{name: "100,000 labels, all the same", build: scoring(query, item, list(100_000, "1")), status: 200, kind: computed},
		{name: "30 million labels, all the same", build: scoring(query, item, list(30*million, "1")), status: 413, field: "label_token_ids"},
		{name: "30,000 distinct labels", build: scoring(query, item, numbered(30_000, "%d")), status: 400, field: "label_token_ids"},
		{name: "150,000 distinct labels", plain: true, build: scoring(query, item, numbered(150_000, "%d")), status: 400, field: "label_token_ids"},
		{name: "2,000 items x 10,000 labels, all the same", build: scoring(query, list(2000, `"a"`), list(10_000, "1")), status: 413, field: "label_token_ids"},
		{name: "2,000 items x 10,000 distinct labels", build: scoring(query, list(2000, `"a"`), numbered(10_000, "%d")), status: 400, field: "label_token_ids"},
		{name: "60,000 items x 1,000 distinct labels", build: scoring(query, list(60_000, `"a"`), numbered(1000, "%d")), status: 413, field: "label_token_ids"},
		{name: "2,000 items x 10,000 labels, with logprobs", build: scoring(idQuery, list(2000, "[1]"), list(10_000, "1"), is(`"return_logprobs":true`)), status: 413, field: "label_token_ids"},
		{name: "20 items of 200 tokens x 8 labels of 6 tokens", plain: true, build: sequences(query, numbered(20, `"%d `+strings.Repeat(words, 100)+`"`), numbered(8, `" lorem ipsum %d"`)),
			status: 200, kind: computed, places: 48},
		{name: "8 items x 1,000 tokens of labels", plain: true, build: sequences(idQuery, numbered(8, "[%d]"), numbered(40, "[%d"+strings.Repeat(",7", 24)+"]")), status: 200, kind: computed, places: 1000},
		{name: "a label of a million tokens", build: sequences(idQuery, idItem, alone(list(million, "7"))), status: 400, field: "label_tokens[0]"},
		{name: "3 million tokens of labels, all the same", build: sequences(idQuery, idItem, list(300_000, "[1,2,3,4,5,6,7,8,9,10]")), status: 413, field: "label_tokens"},
		{name: "200,000 labels of 10 tokens, all the same", build: sequences(idQuery, idItem, list(200_000, "[1,2,3,4,5,6,7,8,9,10]")), status: 200, kind: computed, places: 10},
		{name: "2,000 labels of 2,000 tokens", build: sequences(idQuery, idItem, numbered(2000, "["+strings.Repeat("7,", 2000)+"%d]")), status: 413, field: "label_tokens"},
		{name: "500 labels that share 1,000 tokens", build: sequences(idQuery, idItem, numbered(500, "["+strings.Repeat("7,", 500)+"%d,1]")), status: 400, field: "label_tokens"},
		{name: "2,000 tokens x 1,000 items x 500 labels", build: sequences(list(2000, "7"), list(1000, "[1]"), numbered(500, "[%d,1]")), status: 413, field: "label_tokens"},
		{name: "2,000 tokens x 100 items x 500 labels", build: sequences(list(2000, "7"), list(100, "[1]"), numbered(500, "[%d,1]")), status: 413, field: "items"},
		{name: "a million labels as texts of 3 tokens, all the same", build: sequences(query, item, list(500_000, `"a b c"`)), status: 200, kind: computed, places: 3},
		{name: "1,000 labels as texts of 4 kB", plain: true, build: sequences(query, item, list(1000, text(340, words)())), status: 200, kind: encoded | computed, places: 700},
		{name: "20 items x 500 positions", plain: true, build: scoring(idQuery, numbered(20, "[%d"+strings.Repeat(",7", 499)+"]"), label, positions(500)), status: 200, kind: computed, places: 500},
		{name: "an item x 2,000 positions x 30 labels", build: scoring(idQuery, alone(list(2000, "7")), numbered(30, "%d"), positions(2000)), status: 200, kind: computed, places: 2000, labels: 30},
		{name: "60,000 items x 2,000 positions", build: scoring(idQuery, list(60_000, "[1]"), label, positions(2000)), status: 413, field: "score_positions"},
		{name: "an item x 2,000 positions x 1,000 labels", build: scoring(idQuery, alone(list(2000, "7")), numbered(1000, "%d"), positions(2000)), status: 413, field: "score_positions"},
		{name: "10 million positions", build: scoring(idQuery, idItem, label, field("score_positions", list(10*million, "0"))), status: 413, field: "score_positions"},
		{name: "2 million positions", build: scoring(idQuery, idItem, label, field("score_positions", list(2*million, "0"))), status: 400, field: "score_positions"},
		{name: "2,000 positions that are none", plain: true, build: scoring(idQuery, numbered(10_000, "[%d]"), label, field("score_positions", list(2000, "99"))), status: 413, field: "score_positions"},
		{name: "a million labels below zero", build: scoring(query, item, list(million, "-1")), status: 400, field: "label_token_ids"},
		{name: "10,000 labels of 4,000 digits", plain: true, build: scoring(query, item, list(10_000, strings.Repeat("9", 4000))), status: 400, field: "label_token_ids"},
		{name: "a label as a text of 30 MB", build: naming(query, item, alone(text(30*million, "x"))), status: 400, field: "labels[0]"},
		{name: "1,000 labels as texts of 30 kB", plain: true, build: naming(query, item, list(1000, text(30_000, "x")())), status: 400, field: "labels[0]"},
		{name: "a million labels as texts, all the same", build: naming(query, item, list(million, `"a"`)), status: 200, kind: computed},
		{name: "100,000 distinct labels as texts", plain: true, build: naming(query, item, numbered(100_000, `"%d"`)), status: 400, field: "labels[10]"},
	}
}

// longTexts are single texts. Those of 30 MB have more bytes than any prompt can have.
// Those of 250 kB are about the longest texts without a place to cut them that are read.
func longTexts() (all []body) {
	for _, c := range []struct {
		name, piece string
		far         int  // repeats that make some 30 MB
		near        int  // and 1.5 MB
		whole       bool // it has no place to cut it, so it is refused even with truncation
	}{
		{"one word", "x", 30 * million, 1_500_000, true},
		{"blanks", " ", 30 * million, 1_500_000, true},
		{"words", words, 2_500_000, 125_000, false},
		{"digits", "7", 30 * million, 1_500_000, false},
		{"line ends", `\n`, 15 * million, 750_000, true},
		{"Chinese", "日本語の文章。", 1_400_000, 70_000, false},
		{"emoji", "😀👩‍👩‍👧‍👦", 1_000_000, 50_000, true},
		{"combining characters", "e\u0301\u0323", 6 * million, 300_000, true},
		{"letters of Hangul", "\u1112\u1161\u11ab", 3_300_000, 160_000, true},
		{"special tokens", "<|im_end|>", 3 * million, 150_000, true},
		{"beginnings of special tokens", "<|im_", 6 * million, 300_000, true},
		{"escapes", `\u0041`, 5 * million, 250_000, true},
	} {
		cut := body{name: "30 MB of " + c.name + ", truncate", build: scoring(query, alone(text(c.far, c.piece)), label, truncate), status: 200, kind: longPrefix}
		if c.whole {
			cut.status, cut.field, cut.kind = 400, "items[0]", 0
		}
		all = append(all, cut,
			body{name: "30 MB of " + c.name, build: scoring(query, alone(text(c.far, c.piece)), label), status: 400, field: "items[0]"},
			body{name: "1.5 MB of " + c.name, build: scoring(query, alone(text(c.near, c.piece)), label), status: 400, field: "items[0]"},
			body{name: "250 kB of " + c.name + ", truncate", build: scoring(query, alone(text(c.near/6, c.piece)), label, truncate), status: 200, kind: encoded | longPrefix})
	}
	return append(all,
		body{name: "item of 30 MB, item first, truncate", build: scoring(query, alone(text(2_500_000, words)), label, truncate, itemFirst), status: 200, kind: longPrefix},
		body{name: "item of 30 million ids, truncate", build: scoring(idQuery, alone(list(30*million, "7")), label, truncate), status: 413, field: "items"},
		body{name: "item of 7 million ids, truncate", build: scoring(idQuery, alone(list(7*million, "7")), label, truncate), status: 200, kind: longPrefix},
		body{name: "special tokens as plain text, 1.5 MB", build: scoring(query, alone(text(150_000, "<|im_end|>")), label, is(`"split_special_tokens":true`)), status: 400, field: "items[0]", kind: encoded})
}

// reranking bodies go to /v1/rerank.
func reranking() []body {
	all := []body{
		{name: "a million documents", build: ranking(query, list(million, `"a"`)), status: 413, field: "documents"},
		{name: "4 million documents", build: ranking(query, list(4*million, `"a"`)), status: 413, field: "documents"},
		{name: "65,537 documents", plain: true, build: ranking(query, list(65_537, `"a"`)), status: 413, field: "documents"},
		{name: "3 million documents as objects", build: ranking(query, list(3*million, `{"text":"a"}`)), status: 413, field: "documents"},
		{name: "3 million documents that are none", build: ranking(query, list(3*million, `{"image":1}`)), status: 413, field: "documents"},
		{name: "query of 1 MB x 100 documents", build: ranking(text(83_000, words), list(100, `"a"`)), status: 400, field: "query"},
		{name: "query of 1 MB x 2,000 documents", build: ranking(text(83_000, words), list(2000, `"a"`)), status: 400, field: "query"},
		{name: "query of 1 MB x 2,000 documents, cut", build: ranking(text(83_000, words), list(2000, `"a"`), is(`"truncate_prompt_tokens":-1`)), status: 400, field: "query"},
		{name: "instruction of 1 MB x 2,000 documents", build: ranking(query, list(2000, `"a"`), field("instruction", text(83_000, words))), status: 400, field: "query"},
		{name: "query of 30 MB", build: ranking(text(2_500_000, words), item), status: 400, field: "query"},
		{name: "query of 1,500 tokens x 60,000 documents", build: ranking(text(750, words), list(60_000, `"a"`)), status: 413, field: "documents"},
		{name: "document of 30 MB", build: ranking(query, alone(text(2_500_000, words))), status: 400, field: "documents[0]"},
		{name: "document of 30 MB, max_tokens_per_doc", build: ranking(query, alone(text(2_500_000, words)), is(`"max_tokens_per_doc":16`)), status: 200, kind: computed},
		{name: "document of 30 MB, one word, max_tokens_per_doc", build: ranking(query, alone(text(30*million, "x")), is(`"max_tokens_per_doc":16`)), status: 400, field: "documents[0]"},
		{name: "document of 30 MB, truncate_prompt_tokens", build: ranking(query, alone(text(2_500_000, words)), is(`"truncate_prompt_tokens":-1`)), status: 200, kind: longPrefix},
		{name: "document of 30 MB, not sent back", build: ranking(query, alone(text(2_500_000, words)), is(`"max_tokens_per_doc":16`), is(`"return_documents":false`)), status: 200, kind: computed},
		{name: "200 documents of 15 kB, max_tokens_per_doc", build: ranking(query, list(200, text(1250, words)()), is(`"max_tokens_per_doc":8`), is(`"return_documents":false`)), status: 200, kind: encoded | computed},
	}
	for i := range all {
		all[i].name = "rerank: " + all[i].name
		all[i].path = "/v1/rerank"
	}
	return all
}

// impatient clients leave, or have little time.
func impatient() []body {
	document := ranking(query, alone(text(2_500_000, words)), is(`"max_tokens_per_doc":16`))
	many := scoring(query, numbered(20_000, `"`+strings.Repeat(words, 20)+`%d"`), label)
	items := scoring(text(800, words), numbered(5000, `"item %d "`), label, itemFirst)
	second, tenth := map[string]string{"X-Request-Timeout-Ms": "1000"}, map[string]string{"X-Request-Timeout-Ms": "100"}
	return []body{
		{name: "rerank: document of 30 MB, client leaves", path: "/v1/rerank", build: document, leave: 200 * time.Millisecond},
		{name: "rerank: document of 30 MB, a second of time", path: "/v1/rerank", build: document, headers: second, status: 200, kind: computed},
		{name: "20,000 items of 50 tokens, client leaves", build: many, leave: 300 * time.Millisecond},
		{name: "20,000 items of 50 tokens, a tenth of a second", build: many, headers: tenth, status: 504},
		{name: "5,000 items x 1,600 tokens, item first, client leaves", build: items, leave: 300 * time.Millisecond},
		{name: "5,000 items x 1,600 tokens, item first, a tenth of a second", build: items, headers: tenth, status: 504},
		{name: "2,000 items x 10,000 labels, a tenth of a second", build: scoring(query, list(2000, `"a"`), list(10_000, "1")), headers: tenth, status: 413, field: "label_token_ids"},
		{name: "20 items of 3 MB, truncate, client leaves", build: scoring(query, list(20, text(250_000, words)()), label, truncate), leave: 300 * time.Millisecond},
	}
}
