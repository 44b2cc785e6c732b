package profile

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"strings"
	"text/tabwriter"
)

// writeText writes the sections for a terminal, as tables with columns of equal width.
func writeText(w io.Writer, sections []section) error {
	table := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
	for i, sec := range sections {
		if i > 0 {
			fmt.Fprintln(table)
		}
		fmt.Fprintln(table, strings.ToUpper(sec.Title))
		for _, row := range append(headRows(sec), sec.Rows...) {
			for j, cell := range row {
				if j > 0 {
					fmt.Fprint(table, "\t")
				}
				fmt.Fprint(table, oneLine(cell))
			}
			fmt.Fprintln(table)
		}
		if err := table.Flush(); err != nil { // here, so that each table has its own column widths
			return err
		}
	}
	return nil
}

// headRows returns the section's head as a list of one row or none.
func headRows(sec section) [][]string {
	if sec.Head == nil {
		return nil
	}
	return [][]string{sec.Head}
}

// reportHTML is the template of a page without scripts that loads nothing, so that it can
// be sent and opened anywhere. The template escapes names of clients and compilers.
//
//go:embed report.html
var reportHTML string

// writeHTML writes the sections as one HTML page.
func writeHTML(w io.Writer, sections []section) error {
	page, err := template.New("report").Parse(reportHTML)
	if err != nil {
		return err
	}
	return page.Execute(w, sections)
}
