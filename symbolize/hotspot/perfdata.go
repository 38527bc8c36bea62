package hotspot

import "fmt"

const maxPerf = 1 << 20 // bytes of the VM's performance counters

// perfCounters reads the VM's performance counters that are numbers: where it keeps them for jstat (-XX:+UsePerfData, the
// default), in its own memory, so that no file has to be trusted.
func (vm *VM) perfCounters() (map[string]uint64, error) {
	f := vm.find()
	startAt, topAt := f.static("PerfMemory", "_start"), f.static("PerfMemory", "_top")
	length, name, data := f.offset("PerfDataEntry", "entry_length"), f.offset("PerfDataEntry", "name_offset"), f.offset("PerfDataEntry", "data_offset")
	vector, typ := f.offset("PerfDataEntry", "vector_length"), f.offset("PerfDataEntry", "data_type")
	first := f.size("PerfDataPrologue")
	if err := f.err(); err != nil {
		return nil, err
	}
	start, err := vm.raw.u64(startAt)
	if err != nil {
		return nil, err
	}
	top, err := vm.raw.u64(topAt)
	if err != nil {
		return nil, err
	}
	if start == 0 || top < start+first || top-start > maxPerf {
		return nil, fmt.Errorf("performance counters from %#x to %#x", start, top)
	}
	text, err := vm.raw.bytes(start, int(top-start))
	if err != nil {
		return nil, err
	}
	return parsePerf(text[first:], perfEntry{length, name, data, vector, typ}), nil
}

// perfEntry is where an entry keeps its parts.
type perfEntry struct{ length, name, data, vector, typ uint64 }

// parsePerf reads entries as far as they make sense.
func parsePerf(text []byte, l perfEntry) map[string]uint64 {
	const head = 20
	counters := map[string]uint64{}
	if max(l.length, l.name, l.data, l.vector, l.typ) > head-4 {
		return counters
	}
	for len(text) >= head {
		size, name, data := uint64(le32(text[l.length:])), uint64(le32(text[l.name:])), uint64(le32(text[l.data:]))
		if size < head || size > uint64(len(text)) {
			break
		}
		entry := text[:size]
		text = text[size:]
		if le32(entry[l.vector:]) != 0 || entry[l.typ] != 'J' || name >= size || data > size-8 || size < 8 {
			continue
		}
		end := name
		for end < size && entry[end] != 0 && end-name < maxName {
			end++
		}
		counters[string(entry[name:end])] = le64(entry[data:])
	}
	return counters
}
