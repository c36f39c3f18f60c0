/*
 * Linked into the tests that count lines (preset coverage), in place of _exit: the counts of a
 * process are written when it leaves by exit, and a child that leaves by _exit, as the one does
 * that writes a checkpoint, would take them with it.
 *
 * Source: gcov(1) __gcov_dump, ld(1) --wrap.
 */
#include <gcov.h>
#include <stdnoreturn.h>

noreturn void __real__exit(int status);
noreturn void __wrap__exit(int status);

noreturn void __wrap__exit(int status)
{
    __gcov_dump();
    __real__exit(status);
}
