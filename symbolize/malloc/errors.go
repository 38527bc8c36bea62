package malloc

import "errors"

var (
	// ErrGone says that the process has ended.
	ErrGone = errors.New("the process is gone")
	// ErrForeign says that the process does not use glibc's malloc, or one that is not known; the error around it says which.
	ErrForeign = errors.New("not glibc's malloc")
	// ErrUnfit says that glibc's malloc is there, but that its arenas are not what they are known to be.
	ErrUnfit = errors.New("glibc's malloc with arenas that do not fit")
	// ErrTime says that not even the arenas could be listed within the time given.
	ErrTime = errors.New("malloc's arenas could not be listed in time")
)
