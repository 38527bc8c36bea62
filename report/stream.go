package report

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"

	"vmaleak/leak"
)

// The export is written and read element by element: a document of a million
// mappings is never held as text.

// streamed are the types whose fields are written one by one, and whose lists
// of structs are written one element a line.
var streamed = map[reflect.Type]bool{
	reflect.TypeFor[leak.Snapshot](): true,
	reflect.TypeFor[leak.Entry]():    true,
}

// field is one field of a streamed type.
type field struct {
	name  string
	index int
}

func fields(t reflect.Type) []field {
	var out []field
	for i := range t.NumField() {
		if f := t.Field(i); f.IsExported() {
			name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
			out = append(out, field{name, i})
		}
	}
	return out
}

// writer writes JSON; the first error stays.
type writer struct {
	*bufio.Writer
	scratch bytes.Buffer
	enc     *json.Encoder
	err     error
}

func newWriter(w io.Writer) *writer {
	j := &writer{Writer: bufio.NewWriterSize(w, 1<<16)}
	j.enc = json.NewEncoder(&j.scratch)
	j.enc.SetEscapeHTML(false)
	return j
}

// plain writes v as encoding/json does, without a newline.
func (j *writer) plain(v any) {
	j.scratch.Reset()
	if err := j.enc.Encode(v); err != nil && j.err == nil {
		j.err = err
	}
	j.Write(bytes.TrimRight(j.scratch.Bytes(), "\n"))
}

// value writes v; indent is the white space of its line.
func (j *writer) value(v reflect.Value, indent string) {
	if v.Kind() == reflect.Pointer && !v.IsNil() && streamed[v.Type().Elem()] {
		v = v.Elem()
	}
	inner := indent + " "
	switch {
	case streamed[v.Type()]:
		j.WriteByte('{')
		for i, f := range fields(v.Type()) {
			if i > 0 {
				j.WriteByte(',')
			}
			j.WriteString("\n" + inner + `"` + f.name + `": `)
			j.value(v.Field(f.index), inner)
		}
		j.WriteString("\n" + indent + "}")
	case v.Kind() == reflect.Slice && v.Len() > 0 && isStruct(v.Type().Elem()):
		j.WriteByte('[')
		for i := range v.Len() {
			if i > 0 {
				j.WriteByte(',')
			}
			j.WriteString("\n" + inner)
			if e := v.Index(i); e.CanAddr() && e.Kind() != reflect.Pointer {
				j.value(e.Addr(), inner)
			} else {
				j.value(e, inner)
			}
		}
		j.WriteString("\n" + indent + "]")
	default:
		j.plain(v.Interface())
	}
}

func isStruct(t reflect.Type) bool {
	return t.Kind() == reflect.Struct || t.Kind() == reflect.Pointer && t.Elem().Kind() == reflect.Struct
}

// reader reads JSON token by token.
type reader struct{ *json.Decoder }

func newReader(r io.Reader) reader { return reader{json.NewDecoder(r)} }

// value reads into v what writer.value wrote, or any JSON of the same meaning.
// Unknown fields are skipped.
func (r reader) value(v reflect.Value) error {
	t := v.Type()
	switch {
	case t.Kind() == reflect.Pointer && streamed[t.Elem()]:
		v.Set(reflect.New(t.Elem()))
		return r.object(v.Elem())
	case t.Kind() == reflect.Slice && isStruct(t.Elem()):
		return r.list(v)
	}
	return r.Decode(v.Addr().Interface())
}

func (r reader) open(want json.Delim) (null bool, err error) {
	tok, err := r.Token()
	if err != nil {
		return false, err
	}
	if tok == nil {
		return true, nil
	}
	if tok != want {
		return false, fmt.Errorf("found %v where %v must be", tok, want)
	}
	return false, nil
}

func (r reader) object(v reflect.Value) error {
	if null, err := r.open('{'); err != nil || null {
		return errors.Join(err, nullObject(null))
	}
	known := fields(v.Type())
	for r.More() {
		tok, err := r.Token()
		if err != nil {
			return err
		}
		name, _ := tok.(string)
		i := 0
		for i < len(known) && known[i].name != name {
			i++
		}
		if i == len(known) {
			var skip json.RawMessage
			if err := r.Decode(&skip); err != nil {
				return err
			}
			continue
		}
		if err := r.value(v.Field(known[i].index)); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if s, ok := v.Addr().Interface().(*leak.Snapshot); ok && name == "schema" {
			if err := version(s.Schema); err != nil {
				return err
			}
		}
	}
	_, err := r.Token()
	return err
}

func nullObject(null bool) error {
	if null {
		return errors.New("null where an object must be")
	}
	return nil
}

func (r reader) list(v reflect.Value) error {
	null, err := r.open('[')
	if err != nil || null {
		return err
	}
	v.Set(reflect.MakeSlice(v.Type(), 0, 0))
	for i := 0; r.More(); i++ {
		v.Grow(1)
		v.SetLen(i + 1)
		if err := r.value(v.Index(i)); err != nil {
			return fmt.Errorf("[%d]: %w", i, err)
		}
	}
	_, err = r.Token()
	return err
}
