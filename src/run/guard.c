/* SPDX-License-Identifier: MIT */
#include "run/guard.h"

#include <stdint.h>

#if defined(__x86_64__) && defined(__ELF__) && !defined(__ILP32__)
#include <unwind.h>

/* What the frame gives back: in rax what the handler returned, in rdx the exception, or nothing. */
struct guarded {
    int64_t verdict;
    struct _Unwind_Exception *thrown;
};

struct guarded quern_guard_frame(quern_verdict (*run)(quern_job *, void *, void *), quern_job *job, void *thread, void *user);
void quern_guard_landing(void);
_Unwind_Reason_Code quern_guard_personality(int version, _Unwind_Action actions, _Unwind_Exception_Class class,
                                            struct _Unwind_Exception *thrown, struct _Unwind_Context *context);

/* 0x1b: the personality's address is relative to where it is written, in four bytes. At the landing the stack is as behind the call. */
__asm__(".text\n"
        ".hidden quern_guard_frame\n"
        ".globl quern_guard_frame\n"
        ".type quern_guard_frame, @function\n"
        "quern_guard_frame:\n"
        "    .cfi_startproc\n"
        "    .cfi_personality 0x1b, quern_guard_personality\n"
        "    endbr64\n"
        "    pushq %rbp\n"
        "    .cfi_def_cfa_offset 16\n"
        "    .cfi_offset 6, -16\n"
        "    movq %rdi, %rax\n"
        "    movq %rsi, %rdi\n"
        "    movq %rdx, %rsi\n"
        "    movq %rcx, %rdx\n"
        "    callq *%rax\n"
        "    movslq %eax, %rax\n"
        "    xorl %edx, %edx\n"
        "    jmp 1f\n"
        ".hidden quern_guard_landing\n"
        ".globl quern_guard_landing\n"
        "quern_guard_landing:\n"
        "    endbr64\n"
        "1:  popq %rbp\n"
        "    .cfi_def_cfa_offset 8\n"
        "    retq\n"
        "    .cfi_endproc\n"
        ".size quern_guard_frame, . - quern_guard_frame\n");

/* Asked twice: first whether the search ends here, then to go on from here. pthread_exit() passes by. */
__attribute__((visibility("hidden"))) _Unwind_Reason_Code quern_guard_personality(int version, _Unwind_Action actions,
                                                                                  _Unwind_Exception_Class class,
                                                                                  struct _Unwind_Exception *thrown,
                                                                                  struct _Unwind_Context *context)
{
    (void)version;
    (void)class;
    if (actions & _UA_FORCE_UNWIND) return _URC_CONTINUE_UNWIND;
    if (actions & _UA_SEARCH_PHASE) return _URC_HANDLER_FOUND;
    if (!(actions & _UA_HANDLER_FRAME)) return _URC_CONTINUE_UNWIND;
    _Unwind_SetGR(context, __builtin_eh_return_data_regno(0), 0);
    _Unwind_SetGR(context, __builtin_eh_return_data_regno(1), (_Unwind_Word)(uintptr_t)thrown);
    _Unwind_SetIP(context, (_Unwind_Ptr)(uintptr_t)quern_guard_landing);
    return _URC_INSTALL_CONTEXT;
}

quern_verdict guard_call(const quern_handler *handler, quern_job *job, void *thread, bool *has_thrown)
{
    struct guarded guarded = quern_guard_frame(handler->run, job, thread, handler->user);
    *has_thrown = guarded.thrown != NULL;
    if (!guarded.thrown) return (quern_verdict)guarded.verdict;
    _Unwind_DeleteException(guarded.thrown);
    return QUERN_RETRY;
}

#else

quern_verdict guard_call(const quern_handler *handler, quern_job *job, void *thread, bool *has_thrown)
{
    *has_thrown = false;
    return handler->run(job, thread, handler->user);
}

#endif
