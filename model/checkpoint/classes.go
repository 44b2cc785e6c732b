package checkpoint

import (
	"fmt"
	"strconv"
	"strings"
)

// mostClasses bounds the classes of a classifier, far above any published one: a class
// is a name in memory, and num_labels alone may name any number.
const mostClasses = 1 << 16

// classes returns the names of a classifier's classes in the order of its logits, and
// the function that turns logits into scores. id2label gives the names, or num_labels
// how many classes there are; their names are then those that transformers gives them.
func (f *configFile) classes() (names []string, activation Activation, err error) {
	n := 2 // transformers' default, which it leaves out of config.json
	switch {
	case len(f.Labels) > 0:
		n = len(f.Labels)
		if f.LabelCount != nil && *f.LabelCount != n {
			return nil, "", fmt.Errorf("field num_labels is %d, but id2label has %d classes", *f.LabelCount,
				n)
		}
	case f.LabelCount != nil:
		n = *f.LabelCount
	}
	if n < 1 || n > mostClasses {
		return nil, "", fmt.Errorf("field num_labels is %d; it must be between 1 and %d", n, mostClasses)
	}
	// Either all classes have names, under the keys "0" … "n-1", or none has.
	for i := range n {
		name, ok := f.Labels[strconv.Itoa(i)]
		if !ok && len(f.Labels) > 0 {
			return nil, "", fmt.Errorf("field id2label has %d classes and lacks class %d", n, i)
		}
		if !ok {
			name = "LABEL_" + strconv.Itoa(i)
		}
		names = append(names, name)
	}
	activation, err = f.activation(n)
	return names, activation, err
}

// activation follows sentence_transformers.activation_fn, by which cross-encoders are
// published, or else problem_type, which names the loss of the training. Without either
// a single class is a probability of its own and several classes share 1, as vLLM has it.
func (f *configFile) activation(classes int) (Activation, error) {
	if name := f.Sentence.Activation; name != nil {
		switch (*name)[strings.LastIndexByte(*name, '.')+1:] {
		case "Sigmoid":
			return SigmoidOf, nil
		case "Identity":
			return Logits, nil
		}
		return "", fmt.Errorf("field sentence_transformers.activation_fn is %q; only Sigmoid and "+
			"Identity are supported", *name)
	}
	problem := ""
	if f.ProblemType != nil {
		problem = *f.ProblemType
	}
	switch {
	case problem == "regression":
		return Logits, nil
	case problem == "multi_label_classification", classes == 1 &&
		(problem == "" || problem == "single_label_classification"):
		return SigmoidOf, nil
	case problem == "", problem == "single_label_classification":
		return SoftmaxOf, nil
	}
	return "", fmt.Errorf("field problem_type is %q; only regression, single_label_classification "+
		"and multi_label_classification are supported", problem)
}
