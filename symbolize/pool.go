package symbolize

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Pool is the name of the pool a thread belongs to: its name with the last
// counter replaced by "#", so that the workers of one pool share it and two
// pools do not.
//
//	WorkerPetalGroup-9-5     WorkerPetalGroup-9-#     the pool's own number stays
//	C2 CompilerThread0       C2 CompilerThread#       glued to a word: only at the end
//	GC Thread#3              GC Thread#               no second "#"
//	HikariPool-1 housekeeper HikariPool-# housekeeper
//	G1 Service               G1 Service               a digit inside a word is no counter
//	main                     main
//
// A counter is a run of ASCII digits that no letter follows directly, and that
// no letter precedes unless nothing but punctuation comes after it.
func Pool(name string) string {
	end := len(name)
	for end > 0 {
		to := strings.LastIndexFunc(name[:end], isDigit) + 1
		if to == 0 {
			return name
		}
		from := strings.LastIndexFunc(name[:to], func(r rune) bool { return !isDigit(r) })
		if from < 0 {
			from = 0
		} else {
			_, size := utf8.DecodeRuneInString(name[from:])
			from += size
		}
		if isCounter(name[:from], name[to:]) {
			return strings.TrimSuffix(name[:from], "#") + "#" + name[to:]
		}
		end = from
	}
	return name
}

// isCounter reports whether digits between these two parts are a counter.
func isCounter(before, after string) bool {
	next, _ := utf8.DecodeRuneInString(after)
	if after != "" && isWord(next) {
		return false
	}
	prev, _ := utf8.DecodeLastRuneInString(before)
	if before != "" && unicode.IsLetter(prev) {
		return !strings.ContainsFunc(after, isWord)
	}
	return true
}

func isDigit(r rune) bool { return r >= '0' && r <= '9' }

func isWord(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }
