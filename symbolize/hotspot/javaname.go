package hotspot

import (
	"errors"
	"strings"
)

// hiddenMask stands for what differs from run to run in the name of a class that has no name of its own.
const hiddenMask = "/<hidden>"

var errDescriptor = errors.New("not a method's descriptor")

// className turns an internal name into the dotted one. The VM names the classes of lambdas and method handles itself,
// with an address or a counter at the end: `Foo$$Lambda+0x00007f2c3c000a00`, before 15 `Foo$$Lambda$14`. These ends are
// masked, so that names are equal in all runs: `Foo$$Lambda/<hidden>`.
func className(internal string) string {
	name, hidden := internal, false
	if i := strings.LastIndexByte(name, '+'); i > 0 && strings.HasPrefix(name[i+1:], "0x") && only(name[i+3:], "0123456789abcdef") {
		name, hidden = name[:i], true
	}
	if i := strings.LastIndex(name, "$$Lambda$"); i > 0 && only(name[i+len("$$Lambda$"):], "0123456789") {
		name, hidden = name[:i+len("$$Lambda")], true
	}
	name = strings.ReplaceAll(name, "/", ".")
	if hidden {
		name += hiddenMask
	}
	return name
}

// only says whether s is made of characters of set, and of one at least.
func only(s, set string) bool { return s != "" && strings.Trim(s, set) == "" }

// parameters turns a method's descriptor into the list of its parameters' types, as java.lang.reflect.Method prints it:
// (ILjava/lang/String;[[B)V -> (int,java.lang.String,byte[][]).
func parameters(descriptor string) (string, error) {
	rest, ok := strings.CutPrefix(descriptor, "(")
	if !ok {
		return "", errDescriptor
	}
	var s strings.Builder
	s.WriteByte('(')
	for !strings.HasPrefix(rest, ")") {
		if s.Len() > 1 {
			s.WriteByte(',')
		}
		name, after, ok := typeName(rest)
		if !ok || name == "void" {
			return "", errDescriptor
		}
		s.WriteString(name)
		rest = after
	}
	if _, after, ok := typeName(rest[1:]); !ok || after != "" {
		return "", errDescriptor
	}
	s.WriteByte(')')
	return s.String(), nil
}

var primitives = map[byte]string{
	'B': "byte", 'C': "char", 'D': "double", 'F': "float", 'I': "int", 'J': "long", 'S': "short", 'Z': "boolean", 'V': "void",
}

// maxDimensions is that of an array's type.
const maxDimensions = 255

// typeName reads the type that a descriptor begins with.
func typeName(descriptor string) (name, after string, ok bool) {
	element := strings.TrimLeft(descriptor, "[")
	dimensions := len(descriptor) - len(element)
	if element == "" || dimensions > maxDimensions {
		return "", "", false
	}
	if element[0] == 'L' {
		name, after, ok = strings.Cut(element[1:], ";")
		if !ok || !validClass(name) {
			return "", "", false
		}
		name = className(name)
	} else {
		name, ok = primitives[element[0]]
		after = element[1:]
		if !ok || name == "void" && dimensions > 0 {
			return "", "", false
		}
	}
	return name + strings.Repeat("[]", dimensions), after, true
}

// validClass and validMethod are the rules of the class file format for names: garbage rarely obeys them.
func validClass(internal string) bool {
	return internal != "" && !strings.ContainsAny(internal, ".;[") && !strings.HasPrefix(internal, "/") &&
		!strings.HasSuffix(internal, "/") && !strings.Contains(internal, "//")
}

func validMethod(name string) bool {
	return name == "<init>" || name == "<clinit>" || name != "" && !strings.ContainsAny(name, ".;[/<>")
}
