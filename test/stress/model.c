#include "stress.h"
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#ifndef MREMAP_DONTUNMAP
#define MREMAP_DONTUNMAP 4
#endif

/* The simplest model there is of an address space: one byte for each page of
 * the arenas. It shows that the calls of this program are what they are meant
 * to be, and says what the kernel makes of each. */

#define ANON 0x80
#define OPAQUE 0x40

struct window {
	unsigned long base, pages;
	unsigned char *is, *seen;
};

static unsigned char is_arena[1 << 14], seen_arena[1 << 14], is_racy[RACY_PAGES],
	seen_racy[RACY_PAGES];
static struct window window[] = {
	{ARENA_BASE, sizeof(is_arena), is_arena, seen_arena},
	{RACY_BASE, RACY_PAGES, is_racy, seen_racy},
};
bool model_on;

static unsigned char *cell(unsigned long addr, bool seen)
{
	for (struct window *v = window; v < window + 2; v++)
		if (addr - v->base < v->pages * page)
			return (seen ? v->seen : v->is) + (addr - v->base) / page;
	return NULL;
}

static unsigned char get(unsigned long addr)
{
	unsigned char *c = cell(addr, false);

	return c ? *c : 0;
}

static void fill(unsigned long addr, unsigned long len, unsigned char v, bool seen)
{
	for (unsigned char *c; len; addr += page, len -= page)
		if ((c = cell(addr, seen)))
			*c = v;
}

void model_mmap(unsigned long addr, unsigned long len, int prot, bool anon)
{
	fill(addr, len, (unsigned char)((anon ? ANON : OPAQUE) | prot), false);
}

void model_munmap(unsigned long addr, unsigned long len)
{
	fill(addr, len, 0, false);
}

/* Up to the first hole, which is where mprotect stops with ENOMEM. */
void model_mprotect(unsigned long addr, unsigned long len, int prot)
{
	for (; len && get(addr); addr += page, len -= page)
		fill(addr, page, (unsigned char)((get(addr) & (ANON | OPAQUE)) | prot), false);
}

static char text[8 << 20];

static void read_row(const char *line)
{
	char *p;
	unsigned long start = strtoul(line, &p, 16), end = strtoul(p + 1, &p, 16), inode;
	unsigned char v = 0;

	for (int i = 0; i < 3; i++)
		if (p[1 + i] != '-')
			v |= (unsigned char)(1 << i);
	strtoul(p + 6, &p, 16); /* offset */
	strtoul(p, &p, 16); /* major:minor */
	strtoul(p + 1, &p, 16);
	inode = strtoul(p, &p, 10);
	while (*p == ' ')
		p++;
	v |= inode == 0 && *p == '\n' ? ANON : OPAQUE;
	if (cell(start, true) || cell(end - page, true))
		fill(start, end - start, v, true);
}

static void read_maps(void)
{
	int fd = open("/proc/self/maps", O_RDONLY);
	size_t n = 0;
	ssize_t got;

	while ((got = read(fd, text + n, sizeof(text) - 1 - n)) > 0)
		n += (size_t)got;
	close(fd);
	text[n] = 0;
	memset(seen_arena, 0, sizeof(seen_arena));
	memset(seen_racy, 0, sizeof(seen_racy));
	for (char *p = text; *p; p = strchr(p, '\n') + 1)
		read_row(p);
}

/*
 * in place     shrink: the tail is unmapped, over any areas; grow: more of the same
 * equal, fixed page by page; under a hole of the source the destination stays
 * else         the destination is all like the first page (one area only)
 */
void model_mremap(unsigned long addr, unsigned long old, unsigned long new, int flags,
		  unsigned long got)
{
	unsigned char first = get(addr);

	if (got == addr && !(flags & MREMAP_FIXED)) {
		if (new < old)
			fill(addr + new, old - new, 0, false);
		else
			fill(addr + old, new - old, first, false);
		return;
	}
	if (!cell(addr, false)) { /* not in the model: take the kernel's word */
		read_maps();
		for (unsigned long i = 0; i < new && cell(got + i, true); i += page)
			*cell(got + i, false) = *cell(got + i, true);
		return;
	}
	if (old == new) {
		for (unsigned long i = 0; i < old; i += page) {
			unsigned char v = get(addr + i);

			if (!v)
				continue;
			fill(got + i, page, v, false);
			if (!(flags & MREMAP_DONTUNMAP))
				fill(addr + i, page, 0, false);
		}
		return;
	}
	if (!(flags & MREMAP_DONTUNMAP))
		fill(addr, old, 0, false);
	fill(got, new, first, false);
}

long model_check(void)
{
	long bad = 0;

	read_maps();
	for (struct window *v = window; v < window + 2; v++)
		for (unsigned long i = 0; i < v->pages; i++)
			if (v->is[i] != v->seen[i] && bad++ < 5)
				note("%lx: model %02x, kernel %02x", v->base + i * page, v->is[i],
				     v->seen[i]);
	return bad;
}
