package amplify

import "strings"

// shapes are bodies with odd JSON: deep, long, huge or repeated.
func shapes() []body {
	nines := func(n int) string { return strings.Repeat("9", n) }
	valid := func(more piece) piece { return scoring(query, item, label, more) }
	return []body{
		{name: "30 million brackets", build: repeat(30*million, "["), status: 400},
		{name: "a million brackets, closed", build: nested(million, "[", "", "]"), status: 400},
		{name: "5 million objects in one another", build: nested(5*million, `{"a":`, "1", "}"), status: 400},
		{name: "800 brackets, in a query", build: scoring(nested(800, "[", "", "]"), item, label), status: 400},
		{name: "500,000 brackets, in a query", build: scoring(nested(500_000, "[", "", "]"), item, label), status: 400},
		{name: "10,000 lists 900 deep in an unknown field", build: valid(field("x", list(10_000, nested(900, "[", "", "]")()))), status: 413, field: "x"},
		{name: "an id of a million digits", plain: true, build: scoring(list(1, nines(million)), idItem, label), status: 400},
		{name: "an id of 30 million digits", build: scoring(alone(repeat(30*million, "9")), idItem, label), status: 400},
		{name: "2,500 ids of 4,000 digits", plain: true, build: scoring(list(2500, nines(4000)), idItem, label), status: 400, field: "query"},
		{name: "2,500 ids of 4,000 digits, as text", plain: true, build: scoring(list(2500, `"`+nines(4000)+`"`), idItem, label), status: 400, field: "query"},
		{name: "a number with an exponent of a million digits", plain: true, build: scoring(raw(is("[1e"), repeat(million, "9"), is("]")), idItem, label), status: 400},
		{name: "a fraction of 10 million digits", build: scoring(raw(is("[0."), repeat(10*million, "7"), is("]")), idItem, label), status: 400},
		{name: "a key of 30 MB", build: valid(raw(text(30*million, "k"), is(":1"))), status: 200},
		{name: "2 million keys", build: valid(counted(2*million, `"k%d":1`)), status: 413, field: "k699044"},
		{name: "a query 3 million times", build: raw(is("{"), repeat(3*million, `"query":"a",`), is(`"model":"m","items":["a"],"label_token_ids":[1]}`)), status: 413, field: "query"},
		{name: "a model's name of 30 MB", build: raw(is(`{"model":`), text(30*million, "m"), is(`,"query":"q","items":["a"],"label_token_ids":[1]}`)), status: 200},
		{name: "a model's name of 5 million escapes", build: raw(is(`{"model":`), text(5*million, `\u0001`), is(`,"query":"q","items":["a"],"label_token_ids":[1]}`)), status: 200},
		{name: "a model that is 15 million lists", build: raw(is(`{"model":`), list(15*million, "[]"), is(`,"query":"q","items":["a"],"label_token_ids":[1]}`)), status: 413, field: "model"},
		{name: "5 million lone surrogates", build: scoring(text(5*million, `\ud800`), item, label), status: 400, field: "query"},
		{name: "30 MB that are no UTF-8", build: scoring(text(30*million, "\xff"), item, label), status: 400},
		{name: "60 MB of UTF-16", build: raw(is("\xfe\xff\x00\""), repeat(30*million, "\x65\xe5")), status: 413},
		{name: "60 MB of UTF-32", build: raw(is("\x00\x00\xfe\xff\x00\x00\x00\""), repeat(15*million, "\x00\x01\xf6\x00")), status: 400},
		{name: "10 million items of null", build: scoring(query, list(10*million, "null"), label), status: 413, field: "items"},
		{name: "10 million labels of null", build: scoring(query, item, list(10*million, "null")), status: 413, field: "label_token_ids"},
		{name: "no model, a query of 30 MB", build: object([]piece{field("query", text(30*million, "x"))}), status: 400},
		{name: "no model, a query of 30 million control characters", build: object([]piece{field("query", text(30*million, "\x7f"))}), status: 400},
		{name: "three times a text of 15 MB where none may be", build: object([]piece{is(`"model":"m"`), field("items", raw(is("["), text(15*million, "\x7f"), is(",1]")))}), status: 400},
		{name: "10,000 items of 4,000 digits", build: scoring(query, list(10_000, nines(4000)), label), status: 400},
		{name: "12 million ids of true", build: scoring(list(12*million, "true"), idItem, label), status: 413, field: "query"},
		{name: "60 MB of blanks", build: raw(repeat(60*million, " "), scoring(query, item, label)), status: 200},
		{name: "60 MB behind a whole body", build: raw(scoring(query, item, label), repeat(60*million, "x")), status: 400},
	}
}

// others are bodies that are no requests for scores.
func others() []body {
	octets := map[string]string{"Content-Type": "application/octet-stream"}
	return []body{
		{name: "what unpacks to 400 MB", build: repeat(400*million, " "), status: 413},
		{name: "what unpacks to 64 MiB and a byte", build: repeat(64<<20+1, " "), status: 413},
		{name: "60 MB that are no gzip", plain: true, build: repeat(60*million, "x"), headers: map[string]string{"Content-Encoding": "gzip"}, status: 400, field: "Content-Encoding"},
		{name: "a million times nothing, zipped", plain: true, build: func() string { return strings.Repeat(string(zipped("")), million) }, headers: map[string]string{"Content-Encoding": "gzip"}, status: 400},
		{name: "60 MB of another media type", plain: true, build: repeat(60*million, "x"), headers: octets, status: 400},
		{name: "profile: 60 MB of another media type", path: "/start_profile", plain: true, build: repeat(60*million, "x"), headers: octets, status: 413},
		{name: "profile: 60 kB of octets", path: "/start_profile", plain: true, build: repeat(60_000, "\xff"), headers: octets, status: 400},
		{name: "profile: a folder's name of 60 kB", path: "/start_profile", build: object([]piece{field("output_dir", text(60_000, "x"))}), status: 400, field: "output_dir"},
		{name: "profile: a folder's name of 30 MB", path: "/start_profile", build: object([]piece{field("output_dir", text(30*million, "x"))}), status: 413},
		{name: "profile: 10 million stages that are none", path: "/start_profile", build: object([]piece{field("profile_stages", list(10*million, "1"))}), status: 413},
		{name: "profile: 2 million keys, no number of steps", path: "/start_profile", build: object([]piece{is(`"num_steps":"x"`), counted(2*million, `"k%d":1`)}), status: 413},
		{name: "flush: 60 MB", path: "/flush_cache", plain: true, build: repeat(60*million, "x"), status: anyStatus},
		{name: "generate: 60 MB", path: "/generate", plain: true, build: repeat(60*million, "x"), status: 501},
		{name: "no such path: 60 MB", path: "/nothing", plain: true, build: repeat(60*million, "x"), status: 404},
	}
}
