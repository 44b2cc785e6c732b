// Command client scores, reranks and compares pairs on a running server, through the
// client that oapi-codegen has generated from the API's own document. Its argument is the
// server's address. It ends with status 1 at the first answer that is not as expected.
package main

import (
	"context"
	"log"
	"math"
	"os"

	"clients/api"
)

func main() {
	client, err := api.NewClientWithResponses(os.Args[1])
	check(err == nil, err)
	score(client)
	rerank(client)
	pairs(client)
	listed, err := client.ModelsWithResponse(context.Background())
	check(err == nil && listed.JSON200 != nil && len(listed.JSON200.Data) == 1, listed)
}

// score sends a score as it should be, with a salt, and without labels.
func score(client *api.ClientWithResponses) {
	ctx := context.Background()
	var query api.ScoreRequest_Query
	check(query.FromScoreRequestQuery0("Is it? ") == nil, "query")
	var items api.ScoreRequest_Items
	check(items.FromScoreRequestItems1([]string{"yes", "no"}) == nil, "items")
	labels, yes := []int{1, 2, 3}, true
	request := api.ScoreRequest{Model: "m", Query: &query, Items: &items, LabelTokenIds: &labels,
		ApplySoftmax: &yes, Usage: &yes}

	scored, err := client.ScoreWithResponse(ctx, nil, request)
	check(err == nil && scored.JSON200 != nil && len(scored.JSON200.Scores) == 2, scored)
	check(scored.JSON200.Usage.PromptTokens > 0, scored)
	double := false
	for _, row := range scored.JSON200.Scores {
		sum := 0.0
		for _, p := range *row {
			sum += p
			double = double || float64(float32(p)) != p
		}
		check(math.Abs(sum-1) < 1e-12, *row)
	}
	check(double, "scores have only the digits of float32")

	tenant := "tenant"
	request.CacheSalt = &tenant
	salted, err := client.ScoreWithResponse(ctx, nil, request)
	check(err == nil && salted.JSON200 != nil && len(salted.JSON200.Scores) == 2, salted)

	request.LabelTokenIds = nil
	refused, err := client.ScoreWithResponse(ctx, nil, request)
	check(err == nil && refused.JSON400 != nil, refused)
	check(*refused.JSON400.Message == "label_token_ids must be provided", refused)
}

// rerank sends three documents and asks for the best two.
func rerank(client *api.ClientWithResponses) {
	var query api.RerankQuery
	check(query.FromRerankQuery0("q") == nil, "query")
	all := make([]api.RerankDocument, 3)
	for i, s := range []string{"a", "b", "c"} {
		check(all[i].FromRerankDocument0(s) == nil, s)
	}
	var documents api.RerankRequest_Documents
	check(documents.FromRerankRequestDocuments1(all) == nil, "documents")
	two := 2

	ranked, err := client.RerankWithResponse(context.Background(), nil,
		api.RerankRequest{Query: query, Documents: documents, TopN: &two})
	check(err == nil && ranked.JSON200 != nil && len(ranked.JSON200.Results) == 2, ranked)
	first, second := ranked.JSON200.Results[0], ranked.JSON200.Results[1]
	check(first.RelevanceScore >= second.RelevanceScore, ranked.JSON200)
	check(first.Document.Text == "abc"[first.Index:first.Index+1], ranked.JSON200)
	check(ranked.JSON200.Meta.Tokens.InputTokens == ranked.JSON200.Usage.PromptTokens, ranked.JSON200)
}

// pairs sends one text on each side.
func pairs(client *api.ClientWithResponses) {
	var left, right api.PairText
	check(left.FromPairText0("q") == nil && right.FromPairText0("a") == nil, "texts")
	var queries api.PairsRequest_Text1
	check(queries.FromPairText(left) == nil, "text_1")
	var texts api.PairsRequest_Text2
	check(texts.FromPairsRequestText21([]api.PairText{right}) == nil, "text_2")

	compared, err := client.PairsWithResponse(context.Background(), nil,
		api.PairsRequest{Text1: &queries, Text2: &texts})
	check(err == nil && compared.JSON200 != nil && len(compared.JSON200.Data) == 1, compared)
	check(compared.JSON200.Data[0].Score > 0, compared)
}

// check ends the program with got if ok is false.
func check(ok bool, got any) {
	if !ok {
		log.Fatalf("%+v", got)
	}
}
