#include "stress.h"
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#ifndef MAP_DROPPABLE
#define MAP_DROPPABLE 0x08
#endif

unsigned long page;
unsigned long block_pages = BLOCK_PAGES_MAX;
int memfd, zerofd;
bool has_droppable;

void calls_init(void)
{
	long r;

	page = (unsigned long)sysconf(_SC_PAGESIZE);
	memfd = memfd_create("stress", MFD_CLOEXEC);
	if (memfd < 0 || ftruncate(memfd, (off_t)(block_pages * page)) < 0)
		note("no memfd: file mappings fail");
	zerofd = open("/dev/zero", O_RDWR | O_CLOEXEC);
	r = sys6(SYS_mmap, 0, (long)page, PROT_READ, MAP_DROPPABLE | MAP_ANONYMOUS, -1, 0);
	has_droppable = !is_err(r);
	if (has_droppable)
		sys2(SYS_munmap, r, page);
}

static void pace(struct worker *w)
{
	w->calls++;
	if (opt.slow_us) {
		struct {
			long sec, nsec;
		} ts = {opt.slow_us / 1000000, opt.slow_us % 1000000 * 1000};

		sys2(SYS_nanosleep, &ts, 0);
	}
}

static unsigned long up(unsigned long len)
{
	return (len + page - 1) & -page;
}

long c_mmap(struct worker *w, unsigned long addr, unsigned long len, int prot, int flags, int fd,
	    unsigned long off)
{
	long r = sys6(SYS_mmap, (long)addr, (long)len, prot, flags, fd, (long)off);
	int type = flags & MAP_TYPE;

	pace(w);
	if (model_on && !is_err(r))
		model_mmap((unsigned long)r, up(len), prot,
			   (flags & MAP_ANONYMOUS) &&
				   (type == MAP_PRIVATE || type == MAP_DROPPABLE));
	return r;
}

long c_munmap(struct worker *w, unsigned long addr, unsigned long len)
{
	long r = sys2(SYS_munmap, addr, len);

	pace(w);
	if (model_on && !is_err(r))
		model_munmap(addr, up(len));
	return r;
}

long c_mprotect(struct worker *w, unsigned long addr, unsigned long len, int prot, bool pkey)
{
	long r = pkey ? sys4(SYS_pkey_mprotect, addr, len, prot, -1)
		      : sys3(SYS_mprotect, addr, len, prot);

	pace(w);
	/* ENOMEM: the part below the first hole has been changed all the same. */
	if (model_on && (r == 0 || r == -ENOMEM) && addr % page == 0)
		model_mprotect(addr, up(len), prot);
	return r;
}

long c_mremap(struct worker *w, unsigned long addr, unsigned long old, unsigned long new, int flags,
	      unsigned long to)
{
	long r = sys5(SYS_mremap, addr, old, new, flags, to);

	pace(w);
	if (model_on && !is_err(r))
		model_mremap(addr, up(old), up(new), flags, (unsigned long)r);
	return r;
}

long c_madvise(struct worker *w, unsigned long addr, unsigned long len, int advice)
{
	pace(w);
	return sys3(SYS_madvise, addr, len, advice);
}

unsigned long c_brk(struct worker *w, unsigned long to)
{
	pace(w);
	return (unsigned long)sys1(SYS_brk, to);
}

/* Writes a zero byte at addr, or does nothing where the page cannot be written. */
void touch(unsigned long addr)
{
	sys3(SYS_read, zerofd, addr, 1);
}
