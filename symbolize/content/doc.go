// Package content tells what is in a process's memory: it reads a bounded sample of pages that are in memory, without
// stopping the process, and looks for what an engineer would recognize: text and its format, dates, records that repeat.
//
//	Read       ranges -> pagemap -> pages that are in memory -> process_vm_readv of a few of them, spread evenly
//	Analyze    bytes -> Findings; pure
//
// A page that is not in memory is never read: reading would bring it there. What is read is another program's data: it may
// be secret, and it may be made to deceive, so every search is bounded and nothing of it is ever interpreted.
package content
