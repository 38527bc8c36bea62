package hotspot

const (
	maxNodes    = 1 << 14
	maxNodeSize = 1 << 40
)

// metaContext is metaspace or class space, by the symbols that lead to its lists and counters.
type metaContext struct {
	context, used        string // since 16; the counter until 22
	list                 string // before 16
	counters, olderNames string // both contexts' in an array, from 9 and before
	index                uint64 // in it
}

var (
	nonclass = metaContext{"_ZN9metaspace16MetaspaceContext23_nonclass_space_contextE", "_ZN9metaspace15RunningCounters22_used_nonclass_counterE",
		"_ZN9Metaspace11_space_listE", "_ZN14MetaspaceUtils11_used_wordsE", "_ZN12MetaspaceAux11_used_wordsE", 1}
	class = metaContext{"_ZN9metaspace16MetaspaceContext20_class_space_contextE", "_ZN9metaspace15RunningCounters19_used_class_counterE",
		"_ZN9Metaspace17_class_space_listE", nonclass.counters, nonclass.olderNames, 0}
)

// localNames are the symbols that are of use where libjvm.so is not stripped of them.
var localNames = []string{nonclass.context, class.context, nonclass.used, class.used, nonclass.list, class.list, class.counters, class.olderNames,
	parallelMarks, parallelSummary, zMarkStacks, xMarkStacks}

// metaNode is a range that was reserved for metaspace or for class space.
type metaNode struct{ base, size uint64 }

// metaNodes are the nodes of a context (metaspace or class space), and what its counters say, in bytes.
type metaNodes struct {
	list                []metaNode
	reserved, committed uint64
	used                uint64
	counted             bool // used is known
}

// local returns the address of a symbol that libjvm.so does not export.
func (vm *VM) local(name string) (uint64, bool) {
	if vm.locals == nil {
		vm.locals = map[string]uint64{}
		if vm.findLocals != nil {
			if found, err := vm.findLocals(); err == nil { // a stripped one: there are other ways
				vm.locals = found
			}
		}
	}
	at, ok := vm.locals[name]
	return at, ok
}

// metaspaceNodes reads the nodes of metaspace or class space. Nothing of them is exported, so their structure is recognised by
// what must be equal in it; if it is not, it is as if it were not there.
//
//	MetaspaceContext   name, list, chunks, used words (since 22)
//	VirtualSpaceList   (virtual table,) name, first node, …, reserved words, committed words; before 16 without name
//	VirtualSpaceNode   next, base and size in bytes, …, base and size in words;
//	                   before 16 next, …, base and size in bytes, …, base and end
func (vm *VM) metaspaceNodes(c *metaContext) (m metaNodes, ok bool) {
	first, at := 0, uint64(0)
	if variable, ok := vm.local(c.context); ok {
		context, err := vm.behind(variable, 4)
		if err != nil {
			return m, false
		}
		at, first = le64(context[word:]), 1
		if name, err := vm.raw.u64(at + word); err == nil && name == le64(context) {
			first = 2
		}
		m.used, m.counted = le64(context[3*word:])*word, vm.version.Major >= 22
		if variable, ok := vm.local(c.used); ok {
			words, err := vm.raw.u64(variable)
			m.used, m.counted = words*word, err == nil
		}
	} else if variable, ok := vm.local(c.list); ok {
		if at, _ = vm.raw.u64(variable); at == 0 {
			return m, false
		}
		for _, name := range []string{c.counters, c.olderNames} {
			if variable, ok := vm.local(name); ok {
				words, err := vm.raw.u64(variable + c.index*word)
				m.used, m.counted = words*word, err == nil
			}
		}
	}
	list, err := vm.raw.bytes(at, 16*word)
	if at == 0 || err != nil {
		return m, false
	}
	var words uint64
	for node := le64(list[first*word:]); node != 0; {
		n, next, ok := vm.metaspaceNode(node)
		if !ok || len(m.list) == maxNodes {
			return m, false
		}
		m.list = append(m.list, n)
		words += n.size / word
		node = next
	}
	if len(m.list) == 0 {
		return m, false
	}
	for i := first + 1; i < 15; i++ {
		if committed := le64(list[(i+1)*word:]); le64(list[i*word:]) == words && committed <= words {
			m.reserved, m.committed = words*word, committed*word
			m.counted = m.counted && m.used <= m.committed
			return m, true
		}
	}
	return m, false
}

// behind returns the first words of what the variable refers to.
func (vm *VM) behind(variable uint64, words int) ([]byte, error) {
	at, err := vm.raw.u64(variable)
	if err != nil {
		return nil, err
	}
	return vm.raw.bytes(at, words*word)
}

func (vm *VM) metaspaceNode(at uint64) (n metaNode, next uint64, ok bool) {
	b, err := vm.raw.bytes(at, 16*word)
	if err != nil {
		return n, 0, false
	}
	next = le64(b)
	places, unit, again := []int{1}, uint64(rootChunk), func() uint64 { return n.size / word }
	if vm.version.Major < sinceChunks {
		places, unit, again = []int{2, 3}, pageSize, func() uint64 { return n.base + n.size }
	}
	for _, place := range places {
		n.base, n.size = le64(b[place*word:]), le64(b[(place+1)*word:])
		if n.base == 0 || (n.base|n.size)%unit != 0 || n.size == 0 || n.size > maxNodeSize || n.base > maxAddress {
			continue
		}
		for i := place + 2; i < 14; i++ {
			if le64(b[i*word:]) == n.base && le64(b[(i+1)*word:]) == again() {
				return n, next, true
			}
		}
	}
	return n, 0, false
}
