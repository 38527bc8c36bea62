package unwind

import (
	"strings"

	"vmaleak/symbolize"
)

// entryOf is where the task of a virtual thread begins: the outermost function
// that somebody has written and is not the JDK's own. It is empty for stacks of
// other threads.
func entryOf(frames []*Frame) string {
	run := -1
	for i, f := range frames {
		if strings.HasPrefix(f.Function, "java.lang.VirtualThread.run(") {
			run = i
		}
	}
	if run < 1 {
		return ""
	}
	for i := run - 1; i >= 0; i-- {
		java := frames[i].Kind == Java || frames[i].Kind == Inlined && frames[i].Module == ""
		if java && isApplication(frames[i].Function) {
			return frames[i].Function
		}
	}
	return frames[run-1].Function
}

func isApplication(function string) bool {
	if function == "" || strings.Contains(function, "<hidden>") {
		return false
	}
	for _, p := range []string{"java.", "jdk.", "sun."} {
		if strings.HasPrefix(function, p) {
			return false
		}
	}
	return true
}

// withTask adds the name of the virtual thread that is mounted on the thread now.
// It may have been another one when the stack was copied: tasks of one entry have
// names of one kind, and only that is kept.
func (r *Resolver) withTask(p *process, tid int, s *Stack) *Stack {
	if s.entry == "" {
		return s
	}
	named := *s
	named.Task = s.entry
	if v, ok := p.vm.java.MountedVirtualThread(p.vm.innerTID(tid)); ok && v.Name != "" {
		named.Task = symbolize.Pool(v.Name) + " " + s.entry
	}
	return r.intern(&named)
}
