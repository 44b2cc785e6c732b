package amplify

// crowds are bodies that several clients send at once: the most expensive of each kind.
func crowds() []body {
	all := []body{
		{name: "query of 1 MB x 8,000 items", build: scoring(text(83_000, words), list(8000, `"a"`), label), status: 400, field: "items[0]"},
		{name: "query of 1 MB x 200 items, truncate", build: scoring(text(83_000, words), list(200, `"a"`), label, truncate), status: 200, kind: longPrefix},
		{name: "query of 30 million ids", build: scoring(list(30*million, "7"), idItem, label), status: 413, field: "query"},
		{name: "query of 7 million ids, truncate", build: scoring(list(7*million, "7"), idItem, label, truncate), status: 200, kind: longPrefix},
		{name: "8 million items", build: scoring(query, list(8*million, `"a"`), label), status: 413, field: "items"},
		{name: "20 items of 2,000 ids", build: scoring(idQuery, numbered(20, "[%d"+list(2000, "7")()[2:]), label), status: 200, kind: computed},
		{name: "20 items x 1,000 distinct labels", build: scoring(query, numbered(20, `"%d"`), numbered(1000, "%d")), status: 200, kind: computed, labels: 1000},
		{name: "a million labels, all the same", build: scoring(query, item, list(million, "1")), status: 200, kind: computed},
		{name: "100,000 distinct labels as texts", build: naming(query, item, numbered(100_000, `"%d"`)), status: 400, field: "labels[10]"},
		{name: "30 MB of words, truncate", build: scoring(query, alone(text(2_500_000, words)), label, truncate), status: 200, kind: longPrefix},
		{name: "8 items of 250 kB of emoji, truncate", build: scoring(query, list(8, text(8300, "😀👩‍👩‍👧‍👦")()), label, truncate), status: 200, kind: encoded | longPrefix},
		{name: "8 items of 250 kB of blanks, truncate", build: scoring(query, list(8, text(250_000, " ")()), label, truncate), status: 200, kind: encoded | longPrefix},
		{name: "what unpacks to 400 MB", build: repeat(400*million, " "), status: 413},
		{name: "60 MB of blanks", build: raw(repeat(60*million, " "), scoring(query, item, label)), status: 200},
		{name: "a model's name of 30 MB", build: raw(is(`{"model":`), text(30*million, "m"), is(`,"query":"q","items":["a"],"label_token_ids":[1]}`)), status: 200},
		{name: "30 million brackets", build: repeat(30*million, "["), status: 400},
		{name: "rerank: document of 30 MB, truncate_prompt_tokens", path: "/v1/rerank", build: ranking(query, alone(text(2_500_000, words)), is(`"truncate_prompt_tokens":-1`)), status: 200, kind: longPrefix},
		{name: "rerank: query of 1 MB x 2,000 documents", path: "/v1/rerank", build: ranking(text(83_000, words), list(2000, `"a"`)), status: 400, field: "query"},
		{name: "rerank: 4 million documents", path: "/v1/rerank", build: ranking(query, list(4*million, `"a"`)), status: 413, field: "documents"},
	}
	for i := range all {
		all[i].crowd = 8
		all[i].name = "8 clients: " + all[i].name
	}
	return all
}
