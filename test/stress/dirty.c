#include "stress.h"
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

/* Calls that fail when they have already changed a part: what a ledger can
 * learn only by looking again. */

static int readonly_fd(void)
{
	static int fd; /* any thread may be the first; all open the same file */

	if (!fd)
		fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	return fd;
}

void dirty_op(struct worker *w)
{
	unsigned long addr, pages;

	pick(w, &addr, &pages);
	switch (below(w, 8)) {
	case 0: /* an mprotect to writable changes what is below it, then fails here */
		c_mmap(w, addr, page, PROT_READ, MAP_SHARED | MAP_FIXED, readonly_fd(), 0);
		break;
	case 1: /* an mremap of several areas moves what is below it, then fails here */
		c_mmap(w, addr, pages * page, PROT_READ, MAP_PRIVATE | MAP_FIXED, zerofd, 0);
		break;
	case 2: /* huge pages cannot be split */
		c_mmap(w, addr & -(2UL << 20), 2UL << 20, PROT_READ,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB | MAP_NORESERVE | MAP_FIXED, -1,
		       0);
		break;
	case 3: /* an attachment onto something that refuses after the old is gone */
		c_mmap(w, addr, pages * page, PROT_READ, MAP_SHARED | MAP_FIXED, 0, 0);
		break;
	default:
		owned_op(w);
	}
}
