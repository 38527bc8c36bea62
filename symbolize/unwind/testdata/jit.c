// Calls through code that no file describes: made at run time, with a frame pointer.
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static volatile int sink;

__attribute__((noinline)) void leaf(void)
{
	pause(); // line 10
	sink++;
}

int main(void)
{
	// push %rbp; mov %rsp,%rbp; call *%rdi; pop %rbp; ret
	static const char code[] = "\x55\x48\x89\xe5\xff\xd7\x5d\xc3";
	char *made = mmap(0, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	memcpy(made, code, sizeof code);
	((void (*)(void (*)(void)))made)(leaf); // line 20
	return sink;
}
