package unwind

// cache is a bounded map that forgets what has not been asked for lately: it
// keeps two generations, and a hit in the older one moves to the younger.
type cache[K comparable, V any] struct {
	limit      int // of one generation
	young, old map[K]V
}

func newCache[K comparable, V any](limit int) *cache[K, V] {
	return &cache[K, V]{limit: max(limit/2, 1), young: map[K]V{}}
}

func (c *cache[K, V]) get(k K) (V, bool) {
	v, ok := c.young[k]
	if ok {
		return v, true
	}
	if v, ok = c.old[k]; ok {
		c.put(k, v)
	}
	return v, ok
}

func (c *cache[K, V]) put(k K, v V) {
	if len(c.young) >= c.limit {
		c.old, c.young = c.young, make(map[K]V, len(c.young))
	}
	c.young[k] = v
}

func (c *cache[K, V]) clear() {
	c.old = nil
	clear(c.young)
}
