package unwind

// Options of a Resolver.
type Options struct{}

// Stats counts what a Resolver has done.
type Stats struct {
	Resolved uint64 // calls of Resolve
	Repeated uint64 // of these, answered by a stack known before
	Retried  uint64 // walks made twice, since something had changed under the first
}

// Resolver names stacks. One goroutine owns it.
type Resolver struct {
	stats Stats
}

// NewResolver returns a Resolver that knows no process yet.
func NewResolver(Options) *Resolver { return &Resolver{} }

// Prepare reads the modules of a process and their tables, so that its first
// stack does not wait for them. It is not needed.
func (r *Resolver) Prepare(pid int) error { return nil }

// Resolve names the frames of a stack. It never returns nil, and equal stacks
// are one pointer.
func (r *Resolver) Resolve(raw *Raw) *Stack {
	r.stats.Resolved++
	return &Stack{Status: Failed, Reason: "not in any module"}
}

// Forget drops what is kept of a process that has ended.
func (r *Resolver) Forget(pid int) {}

// Stats returns the counts so far.
func (r *Resolver) Stats() Stats { return r.stats }
