package batch

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
)

// csvReader reads CSV as RFC 4180 has it, or with tabs for commas. The first row must
// name the columns. Rows may have any number of fields: one that lacks a needed one is a
// fault of the row alone.
type csvReader struct {
	o      Options
	source *source
	r      *csv.Reader
	n      int64    // index of the next record
	names  []string // of the columns

	query, item, id int // indexes of columns; -1: none
}

// openCSV opens a table with commas, or tabs, between its columns. It fails where a
// needed column is missing.
func openCSV(path string, tabs bool, o Options) (reader, error) {
	s, err := openSource(path, os.Stdin)
	if err != nil {
		return nil, err
	}
	c := &csvReader{o: o, source: s, r: csv.NewReader(s)}
	c.r.FieldsPerRecord = -1 // any number: take reports those that are missing
	c.r.ReuseRecord = true   // the cells are copied before the next read
	if tabs {
		c.r.Comma = '\t'
	}
	if err := c.findColumns(); err != nil {
		return nil, errors.Join(err, s.close())
	}
	return c, nil
}

// close implements reader.
func (c *csvReader) close() error { return c.source.close() }

// findColumns reads the first row and finds the columns that are needed. One that is
// there twice is an error: either could be meant.
func (c *csvReader) findColumns() error {
	names, err := c.r.Read()
	if err == io.EOF {
		return errors.New("input is empty; its first row must name the columns")
	}
	if err != nil {
		return fmt.Errorf("first row cannot be read: %w", c.source.explain(err))
	}
	c.names = slices.Clone(names)
	c.names[0] = strings.TrimPrefix(c.names[0], byteOrderMark) // as Excel writes it
	for _, column := range []struct {
		name string
		at   *int
	}{{c.o.Table.Query, &c.query}, {c.o.Table.Item, &c.item}, {c.o.Table.ID, &c.id}} {
		if *column.at = -1; column.name == "" {
			continue
		}
		if *column.at = slices.Index(c.names, column.name); *column.at < 0 {
			return missingColumn(column.name, c.names)
		}
		if again := slices.Index(c.names[*column.at+1:], column.name); again >= 0 {
			return fmt.Errorf("column %q is there twice, as columns %d and %d; rename one",
				column.name, *column.at+1, *column.at+again+2)
		}
	}
	return nil
}

// next implements reader. A quote inside an unquoted field is a fault of its row. One at
// any other wrong place ends the reading: from there on it is not known where rows begin.
func (c *csvReader) next() (*record, error) {
	cells, err := c.r.Read()
	if err == io.EOF {
		return nil, io.EOF
	}
	record := &record{n: c.n, place: c.source.place()}
	c.n++
	values := row{items: make([]string, 1)}
	var wrong *csv.ParseError
	switch {
	case errors.As(err, &wrong) && errors.Is(err, csv.ErrBareQuote):
		record.line = int64(wrong.StartLine)
		values.fault = faultOf("", "row is no CSV: %v, at column %d", wrong.Err, wrong.Column)
	case errors.As(err, &wrong): // a misplaced quote may have swallowed rows
		return nil, fmt.Errorf("line %d is no CSV: %w; mend it, and go on with --resume",
			wrong.StartLine, wrong.Err)
	case err != nil:
		return nil, fmt.Errorf("row %d cannot be read: %w", record.n+1, c.source.explain(err))
	default:
		line, _ := c.r.FieldPos(0)
		record.line = int64(line)
		c.take(&values.query, &values, cells, c.query)
		c.take(&values.items[0], &values, cells, c.item)
		c.take(&values.id, &values, cells, c.id)
	}
	return c.o.Table.fill(record, &values, c.o.Endpoint, c.o.LineBytes), nil
}

// take reads the cell at an index into to, or notes in values that it is missing.
func (c *csvReader) take(to *string, values *row, cells []string, at int) {
	switch {
	case at < 0:
	case at >= len(cells):
		values.missing(c.names[at], fmt.Sprintf("is missing: the row has %d fields of %d",
			len(cells), len(c.names)))
	default:
		values.set(c.names[at], to, cells[at])
	}
}
