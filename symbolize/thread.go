package symbolize

import (
	"strings"
	"time"
	"unicode/utf8"
)

// Thread is what is known of one thread, alive or dead. TID and StartTicks
// together identify it: TIDs are used again.
type Thread struct {
	TID        int
	NSTID      int       // its TID in the PID namespace of its process: the nid of a thread dump
	StartTicks uint64    // since boot, 1/100 s
	StartedAt  time.Time // the same as a date, exact to 10 ms
	Comm       string    // up to 15 bytes, made valid UTF-8; may hold control characters
	Name       *string   // the JVM's name, made valid UTF-8, cut at 4 KiB; nil: unknown; may be ""
	Pool       string    // Pool of the name, of the comm if the name is unknown
	Alive      bool      // at the last Refresh
	GoneAt     time.Time // when a Refresh first missed it; zero while alive
}

// Label is what to show for the thread: its name, if it has none its comm. An
// empty Java name stays empty.
func (t Thread) Label() string {
	if t.Name != nil {
		return *t.Name
	}
	return t.Comm
}

// threadKey identifies a thread.
type threadKey struct {
	tid   int
	start uint64
}

// entry is the Namer's record of a thread.
type entry struct {
	Thread
	seen     bool   // an event of it was seen
	named    bool   // Name is as of its present comm
	nameless bool   // a dump that had to know it did not (a native thread)
	tickets  int    // dumps asked for before it was known
	goneTick uint64 // boot ticks of the Refresh that missed it
	used     uint64 // Namer.clock of the last time it was asked for
}

func (e *entry) key() threadKey { return threadKey{e.TID, e.StartTicks} }

// open reports whether a dump could tell something new of the thread.
func (e *entry) open() bool { return e.Alive && !e.named && !e.nameless }

// wanted reports whether somebody needs it: events of the thread were seen.
func (e *entry) wanted() bool { return e.seen && e.open() }

// setComm notes the comm of now. A new comm makes the Java name stale (kept,
// but asked for again), and a thread that had none may have one now.
func (e *entry) setComm(comm string) {
	comm = validText(comm)
	if comm == e.Comm {
		return
	}
	e.Comm = comm
	e.named, e.nameless = false, false
	if e.Name == nil {
		e.Pool = Pool(comm)
	}
}

// maxName bounds a thread's name: a hostile JVM has many, and they are kept when their threads have died.
const maxName = 4 << 10

// kept is what is kept of a name.
func kept(name string) string {
	if len(name) > maxName {
		end := maxName
		for end > maxName-utf8.UTFMax && !utf8.RuneStart(name[end]) {
			end--
		}
		name = strings.Clone(name[:end])
	}
	return validText(name)
}

func (e *entry) setName(name string) {
	name = kept(name)
	e.Name, e.named, e.nameless = &name, true, false
	e.Pool = Pool(name)
}
