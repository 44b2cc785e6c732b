package batch

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/parquet-go/parquet-go"
)

// inRows is a table's rows as a test has them.
type inRow struct {
	Name  string   `parquet:"name,optional"`
	Query string   `parquet:"query,dict"`
	Item  *string  `parquet:"item,optional"`
	Many  []string `parquet:"many,list"`
	Price float64  `parquet:"price"`
	Count int64    `parquet:"count"`
}

func writeParquet(t *testing.T, path string, all []inRow) {
	t.Helper()
	file := create(t, path)
	w := parquet.NewGenericWriter[inRow](file, parquet.MaxRowsPerRowGroup(700), parquet.PageBufferSize(512), parquet.Compression(&parquet.Zstd))
	if _, err := w.Write(all); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
}

func columns() Options {
	o := options()
	o.Table = Table{Query: "query", Item: "item", Fields: map[string]any{"model": "m", "labels": []string{" yes", " no"}}}
	return o
}

// records reads a file to its end.
func records(t *testing.T, path string, o Options) (all []*record, err error) {
	t.Helper()
	r, err := openReader(path, o)
	if err != nil {
		return nil, err
	}
	for {
		one, err := r.next()
		if err == io.EOF {
			return all, r.close()
		}
		if err != nil {
			return all, errors.Join(err, r.close())
		}
		all = append(all, one)
	}
}

// bodyOf reads what would be sent.
func bodyOf(t *testing.T, r *record) (body struct {
	Model, Query string
	Items        []string
	Labels       []string
}) {
	t.Helper()
	if r.fault != nil {
		t.Fatalf("row %d: %v", r.line, r.fault)
	}
	if err := json.Unmarshal(r.body, &body); err != nil {
		t.Fatal(err)
	}
	return body
}

// TestParquet: rows of several row groups and pages come whole and in order, with lists
// and without.
func TestParquet(t *testing.T) {
	var all []inRow
	for i := range 2500 {
		item := fmt.Sprintf("item %d {\"é\"}\n", i)
		all = append(all, inRow{Name: fmt.Sprintf("row %d", i), Query: fmt.Sprintf("query %d", i/300), Item: &item, Count: int64(i)})
		for k := range i % 4 {
			all[i].Many = append(all[i].Many, fmt.Sprintf("%d.%d", i, k))
		}
	}
	all[1234].Item = nil
	path := filepath.Join(t.TempDir(), "in.parquet")
	writeParquet(t, path, all)
	o := columns()
	o.Table.ID = "count"
	got, err := records(t, path, o)
	if err != nil || len(got) != len(all) {
		t.Fatalf("%d rows, %v", len(got), err)
	}
	for i, r := range got {
		if i == 1234 {
			if r.fault == nil || r.fault.field != "item" || r.fault.message != "field item is null" {
				t.Errorf("a null is %+v", r.fault)
			}
			continue
		}
		body := bodyOf(t, r)
		if body.Query != all[i].Query || !slices.Equal(body.Items, []string{*all[i].Item}) || r.id != fmt.Sprint(i) || r.line != int64(i+1) || body.Model != "m" {
			t.Fatalf("row %d is %+v as %q", i, body, r.id)
		}
	}
	o.Table.Item, o.Table.ID = "many", "name"
	if got, err = records(t, path, o); err != nil || len(got) != len(all) {
		t.Fatalf("%d rows, %v", len(got), err)
	}
	for i, r := range got {
		if len(all[i].Many) == 0 {
			if r.fault == nil || r.fault.field != "many" {
				t.Errorf("row %d without items is %+v", i, r.fault)
			}
		} else if body := bodyOf(t, r); !reflect.DeepEqual(body.Items, all[i].Many) || r.id != all[i].Name || r.items != len(all[i].Many) {
			t.Fatalf("row %d is %+v as %q", i, body, r.id)
		}
	}
}

// TestParquetDamaged: a file that is not whole, wherever it ends, is an error that says
// so, and no crash.
func TestParquetDamaged(t *testing.T) {
	item := "an item"
	all := slices.Repeat([]inRow{{Query: "query", Item: &item}}, 2000)
	path := filepath.Join(t.TempDir(), "in.parquet")
	writeParquet(t, path, all)
	data := read(t, path)
	for _, n := range []int{0, 3, 8, len(data) / 3, len(data) - 1} {
		write(t, path, data[:n])
		if _, err := records(t, path, columns()); err == nil || !strings.Contains(err.Error(), "cut short or damaged") {
			t.Errorf("%d of %d bytes: %v", n, len(data), err)
		}
	}
	wrong := 0
	for at := 4; at < len(data)-1; at += 389 { // what is changed may be a value, and then is no damage that can be seen
		changed := slices.Clone(data)
		changed[at] ^= 0x55
		write(t, path, changed)
		if _, err := records(t, path, columns()); err != nil {
			wrong++
		}
	}
	if wrong == 0 {
		t.Error("no changed byte is noticed")
	}
}

// TestColumns: what is asked for must be there.
func TestColumns(t *testing.T) {
	item := "an item"
	dir := t.TempDir()
	table, text := filepath.Join(dir, "in.parquet"), filepath.Join(dir, "in.csv")
	writeParquet(t, table, []inRow{{Query: "query", Item: &item}})
	write(t, text, []byte("name,query,item,price\n"))
	for _, c := range []struct {
		path   string
		change func(t *Table)
		want   string
	}{
		{table, func(t *Table) { t.Item = "text" }, `column "text" is missing; there are name, query, item, many, price, count`},
		{table, func(t *Table) { t.Query = "many" }, `column "many" is nested`},
		{table, func(t *Table) { t.Item = "price" }, `column "price" is of type DOUBLE`},
		{text, func(t *Table) { t.ID = "id" }, `column "id" is missing; there are name, query, item, price`},
		{text, func(t *Table) { t.Item = "" }, "--item-column"},
		{table, func(t *Table) { t.Item = "" }, "--item-column"},
	} {
		o := columns()
		c.change(&o.Table)
		if _, err := records(t, c.path, o); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v, want %q", err, c.want)
		}
	}
	empty := filepath.Join(dir, "empty.csv")
	write(t, empty, nil)
	if _, err := records(t, empty, columns()); err == nil || !strings.Contains(err.Error(), "must name the columns") {
		t.Errorf("an empty file gives %v", err)
	}
}

// TestCSV: fields may hold quotes, commas and lines; a broken row is an error with its
// line, and those behind it are read.
func TestCSV(t *testing.T) {
	path := filepath.Join(t.TempDir(), "in.csv")
	write(t, path, []byte("\ufeffquery,x,item\r\n"+
		"q1,,\"a \"\"b\"\", c\nd\"\r\n"+
		"q1,,plain {query}\n"+
		"q2,bare \" quote,lost\n"+
		"q2\n"+
		"q3,,\xff\n"+
		"q3,,last"))
	got, err := records(t, path, columns())
	if err != nil || len(got) != 6 {
		t.Fatalf("%d rows, %v", len(got), err)
	}
	for i, want := range []struct {
		line               int64
		query, item, wrong string
	}{{2, "q1", "a \"b\", c\nd", ""}, {4, "q1", "plain {query}", ""}, {5, "", "", "row is no CSV: bare"}, {6, "", "", "field item is missing: the row has 1 fields of 3"},
		{7, "", "", "field item is not UTF-8"}, {8, "q3", "last", ""}} {
		r := got[i]
		if r.line != want.line {
			t.Errorf("row %d is at line %d, want %d", i, r.line, want.line)
		}
		if want.wrong != "" {
			if r.fault == nil || !strings.HasPrefix(r.fault.message, want.wrong) {
				t.Errorf("row %d: %v, want %q", i, r.fault, want.wrong)
			}
			continue
		}
		if body := bodyOf(t, r); body.Query != want.query || !slices.Equal(body.Items, []string{want.item}) || !slices.Equal(body.Labels, []string{" yes", " no"}) {
			t.Errorf("row %d is %+v", i, body)
		}
	}
	write(t, path, []byte("query,item\nq,\"never ends\nq,a\n"))
	if _, err := records(t, path, columns()); err == nil || !strings.Contains(err.Error(), "line 2 is no CSV") {
		t.Errorf("a quote without an end gives %v", err)
	}
	for header, want := range map[string]string{
		"query,item,b,item": `"item" is there twice, as columns 2 and 4`, "query,item,query,b": `"query" is there twice, as columns 1 and 3`, "query,item,b,b": "",
	} {
		write(t, path, []byte(header+"\nq,a,b,c\n"))
		if _, err := records(t, path, columns()); (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("columns %s give %v, want %q", header, err, want)
		}
	}
	tabs := filepath.Join(t.TempDir(), "in.tsv")
	write(t, tabs, []byte("query\titem\nq\ta,b\n"))
	if got, err := records(t, tabs, columns()); err != nil || bodyOf(t, got[0]).Items[0] != "a,b" {
		t.Errorf("tabs: %v", err)
	}
}

// TestCSVOutput: a row's scores stand under their labels, as the answer has them, and
// what has none says why.
func TestCSVOutput(t *testing.T) {
	dir := t.TempDir()
	in, out := filepath.Join(dir, "in.csv"), filepath.Join(dir, "out.csv.gz")
	write(t, in, []byte("id,query,item\na,q,one\nb,q\n\"c,\"\"d\",q,refuse\ne,q,two\n"))
	o := columns()
	o.Table.ID, o.Format = "id", CSV{Labels: []string{" yes", " no"}}
	server := &fixed{body: `{"scores":[[0.25,7.5e-01]]}`}
	if sum := must(t, o, server, in, out); sum.Lines != 4 || sum.Failed != 2 {
		t.Errorf("%+v", sum)
	}
	s, err := openSource(out, nil)
	if err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(s)
	want := "id,\" yes\",\" no\",error\na,0.25,7.5e-01,\nb,,," + in + ":3: field item is missing: the row has 2 fields of 3\n" +
		"\"c,\"\"d\",,," + in + ":4: items[0] is wrong\ne,0.25,7.5e-01,\n"
	if err != nil || string(got) != want {
		t.Errorf("%v\n%s, want\n%s", err, got, want)
	}
	if err := s.close(); err != nil {
		t.Error(err)
	}
	o.Resume = true
	if sum := must(t, o, server, in, out); sum.Failed != 2 || sum.Skipped != 1 {
		t.Errorf("done already: %+v", sum)
	}
}

// fixed answers every body alike, but those that say refuse.
type fixed struct{ body string }

func (f *fixed) Score(_ context.Context, r *Request) (*Answer, error) {
	if strings.Contains(string(r.Body), "refuse") {
		return &Answer{Status: 400, Body: []byte(`{"message":"items[0] is wrong"}`)}, nil
	}
	return &Answer{Status: 200, Body: []byte(f.body)}, nil
}
