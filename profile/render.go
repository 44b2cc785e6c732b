package profile

import (
	"fmt"
	"html/template"
	"io"
	"strings"
	"text/tabwriter"
)

// writeText writes the sections for a terminal.
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

// headRows returns the section's head as rows: one, or none.
func headRows(sec section) [][]string {
	if sec.Head == nil {
		return nil
	}
	return [][]string{sec.Head}
}

// page is an HTML document without scripts that loads nothing.
var page = template.Must(template.New("report").Parse(`<!doctype html>
<html lang="en"><meta charset="utf-8"><title>scored profile</title>
<style>
body { font: 14px/1.5 system-ui, sans-serif; margin: 2em auto; max-width: 72em; padding: 0 1em; color: #222; background: #fff }
h2 { font-size: 1.1em; margin: 2em 0 .5em }
table { border-collapse: collapse; font-variant-numeric: tabular-nums }
th, td { text-align: left; padding: .2em 1.5em .2em 0; border-bottom: 1px solid #ddd; vertical-align: top }
th { font-weight: 600; color: #666 }
td:first-child { max-width: 36em; overflow-wrap: anywhere }
</style>
{{range .}}<h2>{{.Title}}</h2>
<table>{{if .Head}}<tr>{{range .Head}}<th>{{.}}</th>{{end}}</tr>{{end}}
{{range .Rows}}<tr>{{range .}}<td>{{.}}</td>{{end}}</tr>
{{end}}</table>
{{end}}</html>
`))

// writeHTML writes the sections as one HTML page.
func writeHTML(w io.Writer, sections []section) error { return page.Execute(w, sections) }
