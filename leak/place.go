package leak

import "strings"

// A leak shows with many stacks: they differ in the line of an event loop, in a
// lambda, in who called. Its place does not: the innermost method of an
// application or of one of its libraries.

// placeOf is the place of a stack, "" if nothing tells it.
func placeOf(st *Stack) string {
	jdk, native := "", ""
	for i := range st.Frames {
		f := &st.Frames[i]
		name := methodOf(f)
		switch {
		case name == "":
		case f.Kind == "java" || f.Kind == "inlined":
			if !ofJDK(name) {
				return name
			}
			if jdk == "" {
				jdk = name
			}
		case f.Kind == "native" && native == "" && !ofRuntime(moduleOf(f)):
			native = moduleOf(f) + ":" + name
		}
	}
	if jdk != "" {
		return jdk
	}
	return native
}

// methodOf is the name of f without its parameters and without what is
// numbered anew in every run: lambdas, proxies, accessors.
func methodOf(f *Frame) string {
	if f.Function == nil {
		return ""
	}
	name, _, _ := strings.Cut(*f.Function, "(")
	if i := strings.Index(name, "$$"); i > 0 {
		return name[:i] + "$$"
	}
	return strings.TrimRight(strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' {
			return -1
		}
		return r
	}, name), "$")
}

func moduleOf(f *Frame) string {
	if f.Module == nil {
		return ""
	}
	return (*f.Module)[strings.LastIndexByte(*f.Module, '/')+1:]
}

// ofJDK reports whether a Java method belongs to the platform: it is called for others.
func ofJDK(name string) bool {
	for _, prefix := range [...]string{"java.", "javax.", "jdk.", "sun.", "com.sun."} {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return false
}

// ofRuntime reports whether a module allocates for others: libc, malloc's
// replacements, the virtual machine.
func ofRuntime(module string) bool {
	for _, prefix := range [...]string{"libc.", "libc-", "ld-", "ld.", "libpthread", "libjvm.", "libjemalloc", "libtcmalloc", "libmimalloc", "libstdc++", "[vdso]"} {
		if strings.HasPrefix(module, prefix) {
			return true
		}
	}
	return module == ""
}

// places numbers places from 1.
type places struct {
	ofStack map[uint32]uint32
	ofName  map[string]uint32
	names   []string
}

const maxPlaces = 1 << 14 // the rest is one

// place is the number of the place of a stack's number, 0 if it has none.
func (l *Ledger) place(stack uint32) uint32 {
	if stack == 0 || l.opt.Stack == nil {
		return 0
	}
	p := &l.places
	if n, ok := p.ofStack[stack]; ok {
		return n
	}
	name := ""
	if st := l.opt.Stack(stack); st != nil {
		name = clean(placeOf(st))
	}
	n := uint32(0)
	if name != "" {
		if p.ofName == nil {
			p.ofName = map[string]uint32{}
		}
		n = p.ofName[name]
		if n == 0 && len(p.names) < maxPlaces {
			p.names = append(p.names, name)
			n = uint32(len(p.names))
			p.ofName[name] = n
		}
	}
	if p.ofStack == nil {
		p.ofStack = map[uint32]uint32{}
	}
	p.ofStack[stack] = n
	return n
}
