// Maps 1,024 pages and writes a mail to every 16th of them, and one page that it then makes unreadable.
// Prints both addresses, and ends when its stdin does.
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int main(void)
{
	const int pages = 1024, every = 16, size = 4096;
	char *p = mmap(NULL, pages * size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char *gone = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED || gone == MAP_FAILED || madvise(p, pages * size, MADV_NOHUGEPAGE))
		return 1;
	for (int i = 0; i < pages; i += every)
		sprintf(p + i * size, "Subject: order %d of roses\r\nTo: petal@example.com\r\n\r\nDear customer,\r\n", i / every);
	strcpy(gone, "secret");
	if (mprotect(gone, size, PROT_NONE))
		return 1;
	printf("%lx %lx\n", (unsigned long)p, (unsigned long)gone);
	fflush(stdout);
	char c;
	while (read(0, &c, 1) > 0)
		;
	return 0;
}
