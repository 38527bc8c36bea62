package leak

// StacksInUse returns the numbers of the stacks that the books still need, after
// what holds nothing has gone to accounts without a stack. The caller may give
// the other numbers to new stacks. It looks at every row.
func (l *Ledger) StacksInUse() map[uint32]bool {
	used := map[uint32]bool{}
	for _, k := range l.known {
		used[k.stack] = true
	}
	for _, spaces := range [...][]*Space{l.live, l.ended} {
		for _, s := range spaces {
			if s.vm == nil { // its entry is made
				continue
			}
			s.foldAccounts(true)
			for t := range s.allBooks() {
				for k := range t.accounts {
					used[k.stack] = true
				}
			}
			if s.blocks != nil {
				s.blocks.fold(func(a *blockSum) bool { return a.count == 0 })
				for k := range s.blocks.accounts {
					used[k.stack] = true
				}
			}
			for a := range s.vm.All() {
				used[l.stackOf(a.Stack)] = true
			}
			for i := range s.floats {
				used[l.stackOf(s.floats[i].Stack)] = true
			}
		}
	}
	delete(used, 0)
	for number := range l.places.ofStack {
		if !used[number] {
			delete(l.places.ofStack, number)
		}
	}
	for _, s := range l.live {
		s.eye = nil
	}
	for number := range l.tasks {
		if !used[number] {
			delete(l.tasks, number)
		}
	}
	return used
}
