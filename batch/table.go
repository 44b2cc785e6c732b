package batch

import (
	"fmt"
	"maps"
	"strings"
	"unicode/utf8"
)

// Table says how rows become bodies for /v1/score: by the row's query, and its item or,
// in Parquet, its list of items.
type Table struct {
	Query, Item, ID string         // columns; "" for Query: no query; "" for ID: line numbers
	Fields          map[string]any // other fields of every body: model, labels, apply_softmax, ...
}

// row is the needed part of a table's row.
type row struct {
	query, id string
	items     []string
	fault     *fault
}

// set stores a cell. Text that is not UTF-8 is a fault: JSON could not hold it, and the
// encoder would replace bytes without a word.
func (r *row) set(column string, to *string, text string) {
	if !utf8.ValidString(text) && r.fault == nil {
		r.fault = faultOf(column, "field %s is not UTF-8", column)
	}
	*to = text
}

// missing records a fault of a cell, unless there is one already.
func (r *row) missing(column, why string) {
	if r.fault == nil {
		r.fault = faultOf(column, "field %s %s", column, why)
	}
}

// fill completes a record from the row. n, line and place must be set. most is the
// longest body in bytes; of a longer one the record keeps the beginning, for its hash.
func (t Table) fill(record *record, r *row, endpoint string, most int) *record {
	record.method, record.path, record.fault = "POST", endpoint, r.fault
	if record.id = r.id; record.id == "" {
		record.id = fmt.Sprintf("line-%d", record.line)
	}
	if record.fault == nil {
		fields := maps.Clone(t.Fields)
		if fields == nil {
			fields = map[string]any{}
		}
		fields["query"], fields["items"] = r.query, r.items
		record.body = marshal(fields)
		if len(record.body) > most {
			record.fault = faultOf("", "row makes a body of more than %d bytes; shorten it", most)
			record.body = record.body[:most]
		}
	}
	record.derive()
	return record
}

// missingColumn returns the error of a missing column, with the first names that there
// are.
func missingColumn(column string, names []string) error {
	const shown = 30
	more := ""
	if len(names) > shown {
		names, more = names[:shown], ", ..."
	}
	return fmt.Errorf("column %q is missing; there are %s%s", column, strings.Join(names, ", "), more)
}
