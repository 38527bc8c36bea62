package hotspot

const (
	nonclassContext = "_ZN9metaspace16MetaspaceContext23_nonclass_space_contextE"
	classContext    = "_ZN9metaspace16MetaspaceContext20_class_space_contextE"
	usedNonclass    = "_ZN9metaspace15RunningCounters22_used_nonclass_counterE" // until 22
	usedClass       = "_ZN9metaspace15RunningCounters19_used_class_counterE"
	maxNodes        = 1 << 14
	maxNodeSize     = 1 << 40
)

// localNames are the symbols that are of use where libjvm.so is not stripped of them.
var localNames = []string{nonclassContext, classContext, usedNonclass, usedClass, parallelMarks, parallelSummary, zMarkStacks, xMarkStacks}

// metaNode is a range that was reserved for metaspace or for class space.
type metaNode struct{ base, size uint64 }

// metaNodes are the nodes of a context (metaspace or class space), and what its counters say, in bytes.
type metaNodes struct {
	list                []metaNode
	reserved, committed uint64
	used                uint64 // since 22; before, what the word behind happens to be
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

// metaspaceNodes reads the nodes of a context, since JDK 16. Nothing of them is exported, so their structure is recognised by
// what must be equal in it; if it is not, it is as if it were not there.
//
//	MetaspaceContext   name, list, chunks, used words (since 22)
//	VirtualSpaceList   (virtual table,) name, first node, …, reserved words, committed words
//	VirtualSpaceNode   next, base and size in bytes, …, base and size in words
func (vm *VM) metaspaceNodes(name string) (metaNodes, bool) {
	var m metaNodes
	variable, ok := vm.local(name)
	if !ok {
		return m, false
	}
	at, err := vm.raw.u64(variable)
	if err != nil || at == 0 {
		return m, false
	}
	context, err := vm.raw.bytes(at, 4*word)
	if err != nil {
		return m, false
	}
	list, err := vm.raw.bytes(le64(context[word:]), 16*word)
	if err != nil {
		return m, false
	}
	first := 1 // behind the name, before which there is a virtual table
	if le64(list[word:]) == le64(context) {
		first = 2
	}
	m.used = le64(context[3*word:]) * word
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
			return m, true
		}
	}
	return m, false
}

func (vm *VM) metaspaceNode(at uint64) (n metaNode, next uint64, ok bool) {
	b, err := vm.raw.bytes(at, 16*word)
	if err != nil {
		return n, 0, false
	}
	next, n.base, n.size = le64(b), le64(b[word:]), le64(b[2*word:])
	if n.base == 0 || n.base%rootChunk != 0 || n.size == 0 || n.size%rootChunk != 0 || n.size > maxNodeSize || n.base > maxAddress {
		return n, 0, false
	}
	for i := 3; i < 13; i++ {
		if le64(b[i*word:]) == n.base && le64(b[(i+1)*word:]) == n.size/word {
			return n, next, true
		}
	}
	return n, 0, false
}
