/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* The mapping that an address lies in. */
#ifndef VMALEAK_MAPPING_H
#define VMALEAK_MAPPING_H

#include "maps.h"
#include <bpf/bpf_core_read.h>

struct mapping {
	__u64 start, end; /* of nothing: 0, 0 */
};

static long note_mapping(struct task_struct *task, struct vm_area_struct *vma, struct mapping *m)
{
	m->start = vma->vm_start;
	m->end = vma->vm_end;
	return 0;
}

/* Nothing too where the kernel has no bpf_find_vma (before 5.17; the call is then dead code), and
 * while the lock of the mappings is held for writing: it does not wait. */
static __always_inline struct mapping mapping_of(struct task_struct *task, __u64 addr)
{
	struct mapping m = {};

	if (bpf_core_enum_value_exists(enum bpf_func_id, BPF_FUNC_find_vma))
		bpf_find_vma(task, addr, note_mapping, &m, 0);
	return m;
}

#endif
