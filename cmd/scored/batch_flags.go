package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/url"
	"strconv"
	"strings"
	"time"

	"scored/app"
	"scored/batch"
)

const batchUsage = `usage: scored batch IN OUT --model-path MODEL [flags]
       scored batch IN OUT --url URL [flags]

Scores every line of IN and writes the answers to OUT in the same order. IN is a file, a folder or
a pattern of files, or - for stdin; OUT is a file, a folder if IN is more than one file, or - for
stdout. Names tell the form: .jsonl (OpenAI's batch form, or bodies of any dialect), .csv, .tsv or
.parquet, and .gz or .zst behind the first three. OUT is .jsonl or .csv. The exit status is 0 if
every line has scores, 3 if some have none, which OUT tells, and 1 if the run did not end; --resume
goes on from there.

`

// batchFlags is the command line of scored batch. The embedded config is that of the
// engine; with --url only its limits count.
type batchFlags struct {
	*config
	options batch.Options
	in, out string      // the words
	shard   batch.Shard // of shardText

	url, key  string // of a server; "" for url is a model in this process
	timeout   time.Duration
	tries     int
	quiet     bool
	shardText string
	format    string // of the output; "" is by the output's name
	model     string // that bodies of rows name
	labels    string // texts
	labelIDs  string // or token ids
	softmax   bool
}

// The defaults of what is in hand. So many lines of one item fill several of the largest
// steps. A server has other clients, and its own queue.
const (
	linesInHand       = 512
	linesInHandRemote = 64
	itemsInHand       = 8192
	// mostLinesInHand bounds --concurrency: each line in hand has a goroutine, and with
	// --url a connection.
	mostLinesInHand = 1 << 14
)

// parseBatch reads the command line of scored batch. What it cannot know to be wrong
// before files are opened is for batchCommand.
func parseBatch(args []string, env lookup, stderr io.Writer) (*batchFlags, error) {
	b := &batchFlags{config: newConfig()}
	line := newCommandLine("scored batch", batchUsage)
	b.flags(line.flags)
	words, err := line.read(args, env, stderr)
	if err != nil {
		return nil, err
	}
	if len(words) != 2 {
		return nil, app.UsageError{Err: fmt.Errorf("scored batch takes an input and an output, not %d "+
			"names; scored batch -h tells more", len(words))}
	}
	b.in, b.out = words[0], words[1]
	for _, check := range []func() error{
		func() error { return b.checkEngine(env, stderr) }, b.check,
		func() error { return b.readShard(env) }, b.readTable,
	} {
		if err := check(); err != nil {
			return nil, app.UsageError{Err: err}
		}
	}
	return b, nil
}

// flags defines batch's own flags, and those of serve that concern the model, the engine
// and single requests.
func (b *batchFlags) flags(f *flag.FlagSet) {
	b.remoteFlags(f)
	b.fileFlags(f)
	b.tableFlags(f)
	b.modelFlags(f)
	b.engineFlags(f)
	b.templateFlags(f)
	b.logLevelFlag(f)
	limits := flag.NewFlagSet("", flag.ContinueOnError)
	b.limitFlags(limits)
	// The others bound clients over a network: how many, how long, how much at once.
	for _, name := range []string{"max-queue", "max-held-tokens", "max-labels", "max-scores",
		"max-body", "watchdog-timeout"} {
		one := limits.Lookup(name)
		f.Var(one.Value, name, one.Usage)
	}
}

// remoteFlags defines what concerns a server that scores.
func (b *batchFlags) remoteFlags(f *flag.FlagSet) {
	f.StringVar(&b.url, "url", "", "score with the server there instead of loading a model, e.g. "+
		"http://127.0.0.1:30000")
	f.StringVar(&b.key, "api-key", "", "key of that server")
	f.DurationVar(&b.timeout, "timeout", 10*time.Minute, "longest wait for an answer of that server")
	f.IntVar(&b.tries, "tries", 20, "how often a line is sent that finds the server gone or full, "+
		"within some minutes")
}

// fileFlags defines how files are read and written.
func (b *batchFlags) fileFlags(f *flag.FlagSet) {
	o := &b.options
	f.StringVar(&o.Endpoint, "endpoint", "/v1/score", "path for lines that are bodies, and for rows")
	f.BoolVar(&o.Resume, "resume", false, "go on with a run that did not end, and leave alone files "+
		"that are done; begins where there is none")
	f.StringVar(&b.shardText, "shard", "", "I/N: of a folder's or pattern's files those of part I "+
		"of N, from 0; N alone: part JOB_COMPLETION_INDEX")
	f.IntVar(&o.Concurrency, "concurrency", 0, "lines in hand at once; 0: 512, with --url 64")
	f.IntVar(&o.Window, "window", 1<<15, "lines among which those of one query are brought together")
	f.Int64Var(&o.WindowBytes, "window-bytes", 128<<20,
		"bytes of bodies that end a window sooner; three windows are in memory")
	f.StringVar(&b.format, "output-format", "", "jsonl or csv (default: by OUT's name, else jsonl)")
	f.BoolVar(&b.quiet, "quiet", false, "no progress on stderr")
}

// tableFlags defines how rows of CSV and Parquet become bodies.
func (b *batchFlags) tableFlags(f *flag.FlagSet) {
	t := &b.options.Table
	f.StringVar(&t.Query, "query-column", "",
		"of CSV and Parquet: column of the query (default: no query)")
	f.StringVar(&t.Item, "item-column", "", "of CSV and Parquet: column of the item (required)")
	f.StringVar(&t.ID, "id-column", "", "of CSV and Parquet: column that becomes custom_id "+
		"(default: line-N)")
	f.StringVar(&b.labels, "labels", "", "of CSV and Parquet: labels as texts of one token, comma "+
		"separated, or as a JSON list")
	f.StringVar(&b.labelIDs, "label-token-ids", "", "of CSV and Parquet: labels as token ids, comma "+
		"separated")
	f.BoolVar(&b.softmax, "apply-softmax", true, "of CSV and Parquet: the labels share 1")
}

// checkEngine checks the flags of the model and the engine, or of the server that is to
// score. It sets model. Logs go to stderr.
func (b *batchFlags) checkEngine(env lookup, stderr io.Writer) error {
	b.model = cmp.Or(b.ServedModelName, b.ModelPath, "scored")
	if b.url != "" {
		return b.checkRemote()
	}
	if b.ModelPath == "" {
		return errors.New("flag --model-path is missing; name a folder or hub id, or a server with " +
			"--url")
	}
	if err := b.readVariables(env); err != nil {
		return err
	}
	return b.config.check(stderr)
}

// checkRemote checks the flags of a server. What only a model in this process could heed
// is refused, so that nobody takes it for heeded.
func (b *batchFlags) checkRemote() error {
	if address, err := url.Parse(b.url); err != nil || address.Host == "" || address.RawQuery != "" {
		return fmt.Errorf("flag --url is %q; give it as http://HOST:PORT", b.url)
	}
	if b.Template != "" || b.TemplateSystem != "" {
		return errors.New("flags --url and --template exclude each other; start the server with " +
			"--template")
	}
	if b.ModelPath != "" {
		return errors.New("flags --url and --model-path exclude each other; the server has its model")
	}
	return app.CheckFields(b.config, "Options.MaxQueue", "Options.MaxBody") // of which check makes use
}

// check holds batch's own flags to their bounds, and fills in those that follow from
// others.
func (b *batchFlags) check() error {
	o := &b.options
	if o.Concurrency == 0 {
		o.Concurrency = linesInHand
		if b.url != "" {
			o.Concurrency = linesInHandRemote
		}
	}
	for _, fault := range []struct {
		found bool
		text  string
	}{
		{o.Concurrency < 0, "flag --concurrency must be 0 or more"},
		{o.Window < 1 || o.WindowBytes < 1 || b.tries < 1 || b.timeout <= 0,
			"flags --window, --window-bytes, --tries and --timeout must be above 0"},
		{o.Concurrency > mostLinesInHand,
			fmt.Sprintf("flag --concurrency must be at most %d", mostLinesInHand)},
		{!strings.HasPrefix(o.Endpoint, "/"),
			fmt.Sprintf("flag --endpoint is %q; it must be a path such as /v1/score", o.Endpoint)},
		{o.Resume && b.out == "-", "flag --resume needs an output that is a file, not -"},
	} {
		if fault.found {
			return errors.New(fault.text)
		}
	}
	// More than half of the queue would leave no room for the next line beside one that
	// waits.
	o.Items, o.LineBytes = min(itemsInHand, b.MaxQueue/2+1), int(b.MaxBody)
	return nil
}

// readFormat reads how results are written: by --output-format, else by the output's
// name, else as JSON lines. CSV has a column for each label, so labels must be known
// before the first row: those of the flags, as rows have no others.
func (b *batchFlags) readFormat(labels []string) error {
	b.options.Format = batch.JSONLines{}
	switch b.format {
	case "jsonl":
		return nil
	case "":
		if batch.IsCSV(b.out) {
			break
		}
		if batch.IsTable(b.out) {
			return fmt.Errorf("output %s is named after a format that is read and not written; name it "+
				".jsonl or .csv, or give --output-format", b.out)
		}
		return nil
	case "csv":
	default:
		return fmt.Errorf("flag --output-format is %q; it must be jsonl or csv", b.format)
	}
	if len(labels) == 0 {
		return errors.New("output as CSV has a column for each label; give --labels or " +
			"--label-token-ids, and CSV or Parquet to score")
	}
	b.options.Format = batch.CSV{Labels: labels}
	return nil
}

// readShard reads --shard. An Indexed Job of Kubernetes sets JOB_COMPLETION_INDEX.
func (b *batchFlags) readShard(env lookup) error {
	b.shard = batch.Shard{Of: 1}
	if b.shardText == "" {
		return nil
	}
	index, of, both := strings.Cut(b.shardText, "/")
	from := "flag --shard"
	if !both {
		index, _ = env("JOB_COMPLETION_INDEX")
		of, from = b.shardText, "environment variable JOB_COMPLETION_INDEX"
	}
	var err error
	if b.shard.Of, err = strconv.Atoi(of); err != nil || b.shard.Of < 1 {
		return fmt.Errorf("flag --shard is %q; it must be I/N, such as 0/4, or N", b.shardText)
	}
	if b.shard.Index, err = strconv.Atoi(index); err != nil || b.shard.Index < 0 ||
		b.shard.Index >= b.shard.Of {
		return fmt.Errorf("%s gives part %q of %d; parts are 0 to %d", from, index, b.shard.Of,
			b.shard.Of-1)
	}
	return nil
}

// readTable reads the fields that the bodies of all rows share, and then the output's
// format, which depends on the labels.
func (b *batchFlags) readTable() error {
	t := &b.options.Table
	var names []string
	t.Fields = map[string]any{"model": b.model, "apply_softmax": b.softmax}
	if b.labels != "" && b.labelIDs != "" {
		return errors.New("flags --labels and --label-token-ids exclude each other; give one of them")
	}
	if b.labels != "" {
		texts := strings.Split(b.labels, ",")
		if b.labels[0] == '[' && json.Unmarshal([]byte(b.labels), &texts) != nil {
			return fmt.Errorf("flag --labels is %q; it must be a JSON list of texts, or texts with commas "+
				"between", b.labels)
		}
		t.Fields["labels"], names = texts, texts
	}
	if b.labelIDs != "" {
		ids := []int{}
		for text := range strings.SplitSeq(b.labelIDs, ",") {
			id, err := strconv.Atoi(strings.TrimSpace(text))
			if err != nil {
				return fmt.Errorf("flag --label-token-ids holds %q; give token ids such as 9454,2753", text)
			}
			ids, names = append(ids, id), append(names, strconv.Itoa(id))
		}
		t.Fields["label_token_ids"] = ids
	}
	return b.readFormat(names)
}
