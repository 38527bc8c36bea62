package report

// Line is s as it may be shown on a terminal, in at most n columns: control characters are replaced, and what is too long
// loses its middle.
func Line(s string, n int) string { return cut(s, n) }

// Wrap is text as it may be shown on a terminal, in lines of at most n columns, all but the first indented. It ends with a
// newline.
func Wrap(text, indent string, n int) string { return wrap(text, indent, n) }

// Size is a number of bytes in at most five characters: "384M".
func Size(n uint64) string { return size(n) }

// Exact is a number with its thousands separated: "16,781,312".
func Exact(n uint64) string { return exact(n) }
