package unwind

// cache is a bounded map that forgets what has not been asked for lately: it
// keeps two generations, and a hit in the older one moves to the younger.
type cache[K comparable, V any] struct {
	limit      int         // of one generation
	weigh      func(V) int // nil: each value weighs 1
	weight     int         // of young
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
	if c.weight >= c.limit {
		c.old, c.young, c.weight = c.young, make(map[K]V, len(c.young)), 0
	}
	c.young[k] = v
	if c.weigh == nil {
		c.weight = len(c.young)
	} else {
		c.weight += c.weigh(v)
	}
}

func (c *cache[K, V]) clear() {
	c.old = nil
	clear(c.young)
	c.weight = 0
}
