package batch

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"strings"
)

// CSV writes the scores of tables: an id, a column for each label, and an error for
// rows without scores. A row with several items becomes as many lines.
type CSV struct {
	Labels []string // names of the columns
}

// IsCSV reports whether a path has the extension of CSV.
func IsCSV(path string) bool {
	format, _ := extension(path)
	return format == ".csv"
}

// IsTable reports whether a path has the extension of a table: CSV, TSV or Parquet.
func IsTable(path string) bool {
	format, _ := extension(path)
	return isTable(format)
}

// extension implements Format.
func (CSV) extension() string { return ".csv" }

// head implements Format. It names the columns.
func (c CSV) head() []byte {
	names := append([]string{"id"}, c.Labels...)
	return csvLines(append(names, "error"))
}

// csvLines returns rows as CSV.
func csvLines(rows ...[]string) []byte {
	var b bytes.Buffer
	w := csv.NewWriter(&b)
	_ = w.WriteAll(rows) // writing to a buffer never fails
	return b.Bytes()
}

// line implements Format. The result has a line for each item, or one line with the
// error. Scores stand as the server has written them, digit for digit.
func (c CSV) line(file string, r *record, answer *Answer) (text []byte, failed bool) {
	fault := faultIn(file, r, answer)
	var body struct{ Scores [][]json.Number }
	if fault == nil {
		if err := json.Unmarshal(answer.Body, &body); err != nil {
			fault = &errorOf{Message: fmt.Sprintf("%s:%d: answer holds no scores: %v", file, r.line, err)}
		} else if n := r.items; len(body.Scores) != n {
			fault = &errorOf{Message: fmt.Sprintf("%s:%d: answer holds scores of %d items, not %d",
				file, r.line, len(body.Scores), n)}
		}
	}
	if fault != nil {
		cells := make([]string, len(c.Labels)+2)
		cells[0], cells[len(cells)-1] = r.id, strings.Join(strings.Fields(fault.Message), " ")
		return csvLines(cells), true
	}
	var rows [][]string
	for _, scores := range body.Scores {
		cells := make([]string, len(c.Labels)+2)
		cells[0] = r.id
		for i, score := range scores[:min(len(scores), len(c.Labels))] {
			cells[i+1] = score.String()
		}
		rows = append(rows, cells)
	}
	return csvLines(rows...), false
}

// failed implements Format. It counts rows whose last column, the error, is not empty.
func (CSV) failed(r io.Reader) (n int64, err error) {
	rows := csv.NewReader(r)
	rows.ReuseRecord = true
	_, err = rows.Read() // the head
	for err == nil {
		var cells []string
		if cells, err = rows.Read(); err == nil && cells[len(cells)-1] != "" {
			n++
		}
	}
	if err == io.EOF {
		err = nil
	}
	return n, err
}
