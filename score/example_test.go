package score_test

import (
	"context"
	"fmt"
	"log"
	"math"

	"scored/score"
	"scored/score/scoretest"
)

// twoToOne is an engine that knows one thing: whatever the prompt, label 9 is twice as
// likely as label 2.
type twoToOne struct{}

func (twoToOne) Buckets() []score.Bucket {
	return []score.Bucket{{Tokens: 64, Rows: 8, Length: 64, Cost: 1}}
}

func (twoToOne) Pages() int { return scoretest.ManyPages }

func (twoToOne) Run(step *score.Step) (score.Pending, error) {
	answers := make([][]float32, len(step.Rows))
	for i, row := range step.Rows {
		for _, label := range row.Labels {
			answers[i] = append(answers[i], float32(math.Log(map[int32]float64{9: 0.5, 2: 0.25}[label])))
		}
	}
	return scoretest.Done(answers), nil
}

// A Scorer takes requests as token ids where it has no Encoder. Item i is the prompt
// query + item i, and its scores are the probabilities of the labels as the next token.
func Example() {
	scorer, err := score.New(score.Config{Vocab: 100, ContextLength: 64}, nil, twoToOne{})
	if err != nil {
		log.Fatal(err)
	}
	defer scorer.Close()

	request := &score.Request{
		Query:  score.Part{IsTokens: true, Tokens: []int64{7, 8}},
		Items:  []score.Part{{IsTokens: true, Tokens: []int64{1}}, {IsTokens: true, Tokens: []int64{3, 4}}},
		Labels: []score.Label{{ID: 9}, {ID: 2}},
	}
	result, err := scorer.Score(context.Background(), request)
	if err != nil {
		log.Fatal(err)
	}
	for i, scores := range result.Scores {
		fmt.Printf("item %d: %.2f\n", i, scores)
	}
	fmt.Println("prompt tokens:", result.Usage.PromptTokens)

	request.Softmax = true // among the labels alone
	if result, err = scorer.Score(context.Background(), request); err != nil {
		log.Fatal(err)
	}
	fmt.Printf("softmax: %.2f\n", result.Scores[0])
	// Output:
	// item 0: [0.50 0.25]
	// item 1: [0.50 0.25]
	// prompt tokens: 7
	// softmax: [0.67 0.33]
}

// An error of a request names the field at fault.
func ExampleError() {
	scorer, err := score.New(score.Config{Vocab: 100, ContextLength: 64}, nil, twoToOne{})
	if err != nil {
		log.Fatal(err)
	}
	defer scorer.Close()

	_, err = scorer.Score(context.Background(), &score.Request{
		Query:  score.Part{IsTokens: true, Tokens: []int64{7}},
		Items:  []score.Part{{IsTokens: true, Tokens: []int64{1}}, {IsTokens: true, Tokens: []int64{100}}},
		Labels: []score.Label{{ID: 9}},
	})
	fmt.Println(err)
	// Output: items[1][0] (100) exceeds vocabulary size (100)
}
