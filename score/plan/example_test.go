package plan_test

import (
	"fmt"
	"log"

	"scored/score/plan"
)

// Two requests share a step: the first's rows hang on a prefix that the step computes,
// the second's row stands alone.
func Example() {
	ladder, err := plan.NewLadder([]plan.Bucket{
		{Tokens: 256, Rows: 8, Length: 256, Cost: 300}, {Tokens: 256, Rows: 8, Length: 128, Context: 128, Cost: 320}}, 256)
	if err != nil {
		log.Fatal(err)
	}
	planner := plan.NewPlanner(ladder, plan.NewTable(8, 0))
	tokens := func(n int, last int32) []int32 { return append(make([]int32, n), last) }
	jobs := []*plan.Job{
		ladder.NewJob(plan.Prompts{Tokens: [][]int32{tokens(100, 1), tokens(100, 2)}, Labels: []int32{9}}),
		ladder.NewJob(plan.Prompts{Tokens: [][]int32{{5, 6, 7}}, Labels: []int32{9}}),
	}
	step := planner.Next(jobs).Step
	fmt.Println("bucket:", step.Bucket.Tokens, "tokens on", step.Bucket.Context)
	fmt.Println("computed:", step.Computed(), "of", jobs[0].Tokens+jobs[1].Tokens)
	for _, row := range step.Rows {
		fmt.Println("row of", len(row.Tokens), "tokens,", row.Shared, "of its prefix")
	}
	// Output:
	// bucket: 256 tokens on 128
	// computed: 105 of 205
	// row of 101 tokens, 100 of its prefix
	// row of 101 tokens, 100 of its prefix
	// row of 3 tokens, 0 of its prefix
}
