package amplify

// dialects are bodies of other dialects. They have products of their own, beside those of
// /v1/score.
func dialects() []body {
	pairs := func(first, second piece) piece {
		return object([]piece{field("text_1", first), field("text_2", second)})
	}
	vertex := func(instances piece, more ...piece) piece {
		return object(append([]piece{field("instances", instances)}, more...))
	}
	texts := func(texts piece) piece { return object([]piece{field("query", query), field("texts", texts)}) }
	passages := func(passages piece) piece { return object([]piece{field("query", query), field("passages", passages)}) }
	wide := scoring(idQuery, list(500, "[2]"), list(1000, "5"))
	return []body{
		{name: "pairs: 500 queries with a document each", path: "/score", build: pairs(numbered(500, `"query %d"`), numbered(500, `"document %d"`)), status: 200, kind: computed},
		{name: "pairs: a million", path: "/score", build: pairs(list(million, `"a"`), list(million, `"b"`)), status: 413, field: "text_1"},
		{name: "pairs: a query of 30 MB among two", path: "/score", build: pairs(raw(is("["), text(2_500_000, words), is(`,"a"]`)), is(`["a","b"]`)), status: 400, field: "text_1[0]"},
		{name: "pairs: a million with two", path: "/score", build: pairs(list(million, `"a"`), is(`["a","b"]`)), status: 413, field: "text_1"},
		{name: "tei: a million texts", path: "/rerank", build: texts(list(million, `"a"`)), status: 413, field: "texts"},
		{name: "nim: a million passages", path: "/v1/ranking", build: passages(list(million, `{"text":"a"}`)), status: 413, field: "passages"},
		{name: "generative: a million items", path: "/generative_scoring", build: scoring(query, list(million, `"a"`), label), status: 413, field: "items"},
		{name: "vertex: a million instances", path: "/vertex", build: vertex(list(million, "{}")), status: 413, field: "instances"},
		{name: "vertex: 1,024 instances of a text", path: "/vertex", build: vertex(numbered(1024, `{"query":"q","texts":["%d"]}`)), status: 200, kind: computed},
		{name: "vertex: 1,024 instances of 500,000 scores", path: "/vertex", build: vertex(list(1024, wide())), status: 413, field: "instances"},
		{name: "vertex: 1,024 instances with a query of 30 MB in parameters", path: "/vertex", build: vertex(list(1024, `{"texts":["a"]}`),
			field("parameters", object([]piece{field("query", text(2_500_000, words))}))), status: 400, field: "parameters"},
	}
}
