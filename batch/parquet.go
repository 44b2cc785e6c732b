package batch

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/parquet-go/parquet-go"
)

// parquetReader reads the needed columns of a Parquet file, one row group after the other
// and page by page, so that memory does not grow with the file. Columns that are not
// needed are not read.
type parquetReader struct {
	o               Options
	file            *os.File
	groups          []parquet.RowGroup
	total, n        int64   // rows in all; rows read
	left            int64   // unread rows of the current group
	query, item, id *column // nil: not needed
}

// openParquet opens a file. The index of its columns is at the end, so a truncated file
// fails here. It needs a file that can be read at any place, so there is none from stdin.
func openParquet(path string, o Options) (r reader, err error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("input cannot be opened: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, file.Close())
		}
	}()
	info, err := file.Stat()
	if err != nil {
		return nil, fmt.Errorf("input cannot be opened: %w", err)
	}
	t := &parquetReader{o: o, file: file}
	err = guarded(func() error {
		// Bloom filters and page indexes serve searches. All rows are read here.
		p, err := parquet.OpenFile(file, info.Size(), parquet.SkipBloomFilters(true),
			parquet.SkipPageIndex(true))
		if err != nil {
			return err
		}
		t.groups, t.total = p.RowGroups(), p.NumRows()
		return t.findColumns(p.Schema())
	})
	if err != nil {
		return nil, err
	}
	return t, nil
}

// guarded calls do and turns its errors and panics into one that says the file is
// damaged. Damage shows only while a file is read, and the library may panic on it.
// io.EOF and a columnError stay as they are.
func guarded(do func() error) (err error) {
	var missing *columnError
	defer func() {
		if fault := recover(); fault != nil {
			err = fmt.Errorf("%v", fault)
		}
		if err != nil && err != io.EOF && !errors.As(err, &missing) {
			err = fmt.Errorf("parquet file is cut short or damaged: %w; fetch it again, and go on "+
				"with --resume", err)
		}
	}()
	return do()
}

// columnError reports a column that is missing or has the wrong type.
type columnError struct{ error }

// findColumns finds the columns that the table needs.
func (t *parquetReader) findColumns(schema *parquet.Schema) error {
	for _, want := range []struct {
		name string
		to   **column
		list bool
	}{{t.o.Table.Query, &t.query, false}, {t.o.Table.Item, &t.item, true},
		{t.o.Table.ID, &t.id, false}} {
		if want.name == "" {
			continue
		}
		c, err := findColumn(schema, want.name, want.list)
		if err != nil {
			return &columnError{err}
		}
		*want.to = c
	}
	return nil
}

// findColumn finds a column of texts or integers or, with list, one that may hold lists
// of these. Lists are groups in a Parquet schema, so the column is the one leaf below the
// name.
func findColumn(schema *parquet.Schema, name string, list bool) (*column, error) {
	var leaves [][]string
	for _, path := range schema.Columns() { // from the root to a leaf
		if path[0] == name {
			leaves = append(leaves, path)
		}
	}
	if len(leaves) == 0 {
		var names []string
		for _, field := range schema.Fields() {
			names = append(names, field.Name())
		}
		return nil, missingColumn(name, names)
	}
	leaf, ok := schema.Lookup(leaves[0]...)
	lists := 0
	if list {
		lists = 1
	}
	if !ok || len(leaves) > 1 || leaf.MaxRepetitionLevel > lists {
		return nil, fmt.Errorf("column %q is nested; it must hold texts", name)
	}
	switch kind := leaf.Node.Type().Kind(); kind {
	case parquet.ByteArray, parquet.FixedLenByteArray, parquet.Int32, parquet.Int64:
	default:
		return nil, fmt.Errorf("column %q is of type %s; it must hold texts", name, kind)
	}
	return &column{name: name, index: leaf.ColumnIndex, repeated: leaf.MaxRepetitionLevel > 0}, nil
}

// next implements reader.
func (t *parquetReader) next() (r *record, err error) {
	err = guarded(func() error {
		for t.left == 0 {
			if len(t.groups) == 0 {
				return io.EOF
			}
			if err := t.nextGroup(); err != nil {
				return err
			}
		}
		r, err = t.row()
		return err
	})
	if err != nil && err != io.EOF {
		err = fmt.Errorf("row %d cannot be read: %w", t.n+1, err)
	}
	return r, err
}

// nextGroup goes to the next row group. There must be one.
func (t *parquetReader) nextGroup() error {
	group := t.groups[0]
	t.groups, t.left = t.groups[1:], group.NumRows()
	for _, c := range t.columns() {
		if err := c.begin(group); err != nil {
			return err
		}
	}
	return nil
}

// columns returns the columns that are read.
func (t *parquetReader) columns() (all []*column) {
	for _, c := range []*column{t.query, t.item, t.id} {
		if c != nil {
			all = append(all, c)
		}
	}
	return all
}

// row reads one row of the current group. A null in a needed column is a fault of the
// row.
func (t *parquetReader) row() (*record, error) {
	record := &record{n: t.n, line: t.n + 1, place: float64(t.n+1) / float64(max(1, t.total))}
	var values row
	for _, c := range t.columns() { // each has its own place in the group
		texts, null, err := c.row()
		if err == io.EOF {
			err = io.ErrUnexpectedEOF // the group has more rows than the column
		}
		if err != nil {
			return nil, err
		}
		if null {
			values.missing(c.name, "is null")
			continue
		}
		if c == t.item {
			values.items = make([]string, len(texts))
		}
		for i, text := range texts {
			switch c {
			case t.item:
				values.set(c.name, &values.items[i], text)
			case t.query:
				values.set(c.name, &values.query, text)
			case t.id:
				values.set(c.name, &values.id, text)
			}
		}
	}
	t.n++
	t.left--
	return t.o.Table.fill(record, &values, t.o.Endpoint, t.o.LineBytes), nil
}

// close implements reader. It closes the columns and the file.
func (t *parquetReader) close() error {
	var err error
	for _, c := range t.columns() {
		err = errors.Join(err, c.end())
	}
	return errors.Join(err, t.file.Close())
}
