/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* The few kernel types that are read, by name: CO-RE finds their fields on the running kernel. */
#ifndef VMALEAK_KERNEL_H
#define VMALEAK_KERNEL_H

#include <linux/types.h>
#include <stdbool.h>

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

typedef struct {
	int counter;
} atomic_t;

struct thread_info {
	unsigned long flags;
	__u32 status;
};

struct mm_struct {
	atomic_t mm_users;
	unsigned long brk;
};

struct signal_struct {
	atomic_t live;
	int group_exit_code;
	struct mm_struct *oom_mm;
};

struct return_instance {
	unsigned long stack, orig_ret_vaddr;
	struct return_instance *next;
};

struct uprobe_task {
	struct return_instance *return_instances;
};

struct thread_struct {
#if defined(__TARGET_ARCH_x86)
	unsigned long fsbase;
#else
	struct {
		unsigned long tp_value;
	} uw;
#endif
};

struct task_struct {
	struct thread_info thread_info;
	struct mm_struct *mm;
	int pid;
	int tgid;
	int exit_code;
	__u64 start_boottime;
	struct signal_struct *signal;
	struct uprobe_task *utask;
	struct thread_struct thread;
};

struct vm_area_struct {
	unsigned long vm_start;
	unsigned long vm_end;
};

#if defined(__TARGET_ARCH_x86)
struct pt_regs {
	unsigned long r15, r14, r13, r12, bp, bx, r11, r10, r9, r8, ax, cx, dx, si, di, orig_ax, ip,
		cs, flags, sp, ss;
};
#define SYSCALL_NR(regs) ((long)(regs)->orig_ax)
#define THREAD_POINTER(task) ((task)->thread.fsbase)
#define SYSCALL_RET(regs) ((long)(regs)->ax)
#define USER_PC(regs) ((regs)->ip)
#define USER_SP(regs) ((regs)->sp)
#define ARG0(regs) ((regs)->di)
#define ARG1(regs) ((regs)->si)
#define ARG2(regs) ((regs)->dx)
#define ARG3(regs) ((regs)->r10)
#define ARG4(regs) ((regs)->r8)
#define PARM0(regs) ((regs)->di) /* of a function, not of a call of the kernel */
#define PARM1(regs) ((regs)->si)
#define PARM2(regs) ((regs)->dx)
#define RETURNED(regs) ((regs)->ax)
#define RETURN_SLOT 8					 /* what a return takes off the stack */
#define IS_COMPAT(task) ((task)->thread_info.status & 2) /* TS_COMPAT */
#define NR_mmap 9
#define NR_mprotect 10
#define NR_munmap 11
#define NR_brk 12
#define NR_mremap 25
#define NR_madvise 28
#define NR_shmat 30
#define NR_clone 56
#define NR_fork 57
#define NR_execve 59
#define NR_shmdt 67
#define NR_mlock 149
#define NR_munlock 150
#define NR_mlockall 151
#define NR_munlockall 152
#define NR_prctl 157
#define NR_arch_prctl 158
#define NR_io_setup 206
#define NR_io_destroy 207
#define NR_remap_file_pages 216
#define NR_mbind 237
#define NR_set_mempolicy 238
#define NR_migrate_pages 256
#define NR_execveat 322
#define NR_userfaultfd 323
#define NR_mlock2 325
#define NR_pkey_mprotect 329
#elif defined(__TARGET_ARCH_arm64)
struct pt_regs {
	__u64 regs[31];
	__u64 sp, pc, pstate;
	__u64 orig_x0;
	__s32 syscallno;
};
#define SYSCALL_NR(regs) ((long)(regs)->syscallno)
#define THREAD_POINTER(task) ((task)->thread.uw.tp_value)
#define SYSCALL_RET(regs) ((long)(regs)->regs[0])
#define USER_PC(regs) ((regs)->pc)
#define USER_SP(regs) ((regs)->sp)
#define ARG0(regs) ((regs)->orig_x0)
#define ARG1(regs) ((regs)->regs[1])
#define ARG2(regs) ((regs)->regs[2])
#define ARG3(regs) ((regs)->regs[3])
#define ARG4(regs) ((regs)->regs[4])
#define PARM0(regs) ((regs)->regs[0])
#define PARM1(regs) ((regs)->regs[1])
#define PARM2(regs) ((regs)->regs[2])
#define RETURNED(regs) ((regs)->regs[0])
#define RETURN_SLOT 0
#define IS_COMPAT(task) ((task)->thread_info.flags & (1 << 22)) /* TIF_32BIT */
#define NR_io_setup 0
#define NR_io_destroy 1
#define NR_prctl 167
#define NR_arch_prctl -2
#define NR_shmat 196
#define NR_shmdt 197
#define NR_brk 214
#define NR_munmap 215
#define NR_mremap 216
#define NR_clone 220
#define NR_execve 221
#define NR_mmap 222
#define NR_mprotect 226
#define NR_mlock 228
#define NR_munlock 229
#define NR_mlockall 230
#define NR_munlockall 231
#define NR_madvise 233
#define NR_remap_file_pages 234
#define NR_mbind 235
#define NR_set_mempolicy 237
#define NR_migrate_pages 238
#define NR_execveat 281
#define NR_userfaultfd 282
#define NR_mlock2 284
#define NR_pkey_mprotect 288
#define NR_fork -3
#endif
#define NR_io_uring_setup 425
#define NR_io_uring_enter 426
#define NR_clone3 435
#define NR_process_madvise 440
#define NR_map_shadow_stack 453

#pragma clang attribute pop

/* Contexts of classic tracepoints and of the task iterator. */
struct sys_exit_ctx {
	__u64 common;
	long nr;
	long ret;
};

struct sys_enter_ctx {
	__u64 common;
	long nr;
	unsigned long args[6];
};

struct bpf_iter_meta;
struct bpf_iter__task {
	struct bpf_iter_meta *meta;
	struct task_struct *task;
} __attribute__((preserve_access_index));

#endif
