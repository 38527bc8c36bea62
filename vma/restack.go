package vma

// Restack puts the number of its stack in the place of every ticket among the
// rows, and makes rows of brk and mprotect one that only their tickets kept
// apart. number may return the ticket itself, of a stack that is not known yet.
func (s *Space) Restack(number func(ticket uint32) uint32) {
	for p := (pos{}); !s.rows.end(p); {
		ticket := s.rows.stack(p)
		if ticket < Ticket {
			p = s.rows.next(p)
			continue
		}
		stack := number(ticket)
		if stack == ticket {
			p = s.rows.next(p)
			continue
		}
		s.rows.setStack(p, stack)
		a := s.rows.at(p)
		if a.Op != OpBrk && a.Op != OpMprotect {
			p = s.rows.next(p)
			continue
		}
		s.insertAt(s.rows.remove(p, p.i+1), a)
		p = s.rows.seek(a.End)
	}
}
