// Scores and reranks with the client that oapi-codegen has made, against a running server.
package main

import (
	"context"
	"log"
	"math"
	"os"

	"clients/api"
)

func main() {
	ctx := context.Background()
	client, err := api.NewClientWithResponses(os.Args[1])
	check(err == nil, err)

	var query api.ScoreRequest_Query
	var items api.ScoreRequest_Items
	check(query.FromScoreRequestQuery0("Is it? ") == nil && items.FromScoreRequestItems1([]string{"yes", "no"}) == nil, "texts")
	labels, yes := []int{1, 2, 3}, true
	request := api.ScoreRequest{Model: "m", Query: &query, Items: &items, LabelTokenIds: &labels, ApplySoftmax: &yes, Usage: &yes}
	scored, err := client.ScoreWithResponse(ctx, nil, request)
	check(err == nil && scored.JSON200 != nil && len(scored.JSON200.Scores) == 2 && scored.JSON200.Usage.PromptTokens > 0, scored)
	double := false
	for _, row := range scored.JSON200.Scores {
		sum := 0.0
		for _, p := range *row {
			sum += p
			double = double || float64(float32(p)) != p
		}
		check(math.Abs(sum-1) < 1e-12, *row)
	}
	check(double, "scores have but float32's digits")

	tenant := "tenant"
	request.CacheSalt = &tenant
	salted, err := client.ScoreWithResponse(ctx, nil, request)
	check(err == nil && salted.JSON200 != nil && len(salted.JSON200.Scores) == 2, salted)

	request.LabelTokenIds = nil
	refused, err := client.ScoreWithResponse(ctx, nil, request)
	check(err == nil && refused.JSON400 != nil && *refused.JSON400.Message == "label_token_ids must be provided", refused)

	var text api.RerankQuery
	var documents api.RerankRequest_Documents
	all := make([]api.RerankDocument, 3)
	for i, s := range []string{"a", "b", "c"} {
		check(all[i].FromRerankDocument0(s) == nil, s)
	}
	check(text.FromRerankQuery0("q") == nil && documents.FromRerankRequestDocuments1(all) == nil, "documents")
	two := 2
	ranked, err := client.RerankWithResponse(ctx, nil, api.RerankRequest{Query: text, Documents: documents, TopN: &two})
	check(err == nil && ranked.JSON200 != nil && len(ranked.JSON200.Results) == 2, ranked)
	first, second := ranked.JSON200.Results[0], ranked.JSON200.Results[1]
	check(first.RelevanceScore >= second.RelevanceScore && first.Document.Text == "abc"[first.Index:first.Index+1], ranked.JSON200)
	check(ranked.JSON200.Meta.Tokens.InputTokens == ranked.JSON200.Usage.PromptTokens, ranked.JSON200)

	var left, right api.PairText
	var queries api.PairsRequest_Text1
	var texts api.PairsRequest_Text2
	check(left.FromPairText0("q") == nil && right.FromPairText0("a") == nil, "texts")
	check(queries.FromPairText(left) == nil && texts.FromPairsRequestText21([]api.PairText{right}) == nil, "sides")
	pairs, err := client.PairsWithResponse(ctx, nil, api.PairsRequest{Text1: &queries, Text2: &texts})
	check(err == nil && pairs.JSON200 != nil && len(pairs.JSON200.Data) == 1 && pairs.JSON200.Data[0].Score > 0, pairs)

	listed, err := client.ModelsWithResponse(ctx)
	check(err == nil && listed.JSON200 != nil && len(listed.JSON200.Data) == 1, listed)
}

func check(ok bool, got any) {
	if !ok {
		log.Fatalf("%+v", got)
	}
}
