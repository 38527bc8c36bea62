// A chain through templates, a namespace and a lambda.
#include <functional>
#include <string>
#include <unistd.h>
#include <vector>

namespace pool
{
template <typename T> class Arena
{
      public:
	__attribute__((noinline)) T *grow(std::vector<T> &v, unsigned n);
};
template <typename T> T *Arena<T>::grow(std::vector<T> &v, unsigned n)
{
	pause(); // line 16
	v.resize(n);
	return v.data();
}
} // namespace pool

int main()
{
	std::vector<std::string> v;
	std::function<std::string *(unsigned)> f = [&](unsigned n) {
		auto *p = pool::Arena<std::string>().grow(v, n); // line 26
		asm volatile("" ::"r"(p) : "memory");
		return p;
	};
	return f(3)->size();
}
