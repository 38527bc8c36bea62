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

// tasks are the tasks of a process that are proven, by their entry and by their pool; empty where there are several.
type tasks struct{ byEntry, byPool map[string]string }

// maxTasks bounds either; what comes after is as if there were several.
const maxTasks = 1024

func learn(known *map[string]string, key, task string) {
	if *known == nil {
		*known = map[string]string{}
	}
	if one, ok := (*known)[key]; ok && one != task {
		(*known)[key] = ""
	} else if !ok && len(*known) < maxTasks {
		(*known)[key] = task
	}
}

// withTask adds the name of the virtual thread that a stack is of, and where it begins. A name that is not proven to be that
// thread's is not used: if all proven tasks with this entry are one, it is likely one of them. So it is if only the name is known.
func (r *Resolver) withTask(p *process, raw *Raw, s *Stack) *Stack {
	if r.moment == nil && s.entry != "" {
		r.moment = p.vm.java.Capture(p.vm.innerTID(raw.TID), raw.SP, raw.Mem)
	}
	if r.moment == nil {
		return s
	}
	known, task := &p.vm.tasks, s.entry
	switch v := r.moment.Virtual; {
	case v == nil && s.entry != "":
		r.stats.Likely++
		if one := known.byEntry[s.entry]; one != "" {
			task = one
		}
	case v == nil || v.Name == "" && s.entry == "":
	case v.Name == "":
		learn(&known.byEntry, s.entry, task)
	case s.entry != "":
		pool := symbolize.Pool(v.Name)
		task = pool + " " + s.entry
		learn(&known.byEntry, s.entry, task)
		learn(&known.byPool, pool, task)
	default:
		task = symbolize.Pool(v.Name)
		if one := known.byPool[task]; one != "" {
			r.stats.Likely++
			task = one
		}
	}
	if task == "" {
		return s
	}
	named := *s
	named.Task = task
	return r.intern(&named)
}
