/*
 * status: how an operation can fail, in one list.
 *
 * A function that can fail for a reason outside the program returns `enum status` and leaves its
 * `ret_` parameters untouched when it does. Where an operator will read the reason, it also fills
 * a `struct problem` (caller's memory) with a sentence that says what is wrong and what to do.
 * A bug is an assert, never a status; a step that says no is an event, never a status.
 *
 * Class: RETRY  the caller may try again later, nothing was done.
 *        REJECT the input is at fault, trying again gives the same answer.
 *        FATAL  stop acknowledging and exit; what was acknowledged before is safe.
 */
#ifndef ENGINE_BASE_STATUS_H
#define ENGINE_BASE_STATUS_H

#define STATUS_LIST(X)                                                                             \
    X(OK, RETRY, "done")                                                                           \
    X(BUSY, RETRY, "no room now, try again")                                                       \
    X(END, REJECT, "nothing more to read")                                                         \
    X(NOT_FOUND, REJECT, "not found")                                                              \
    X(EXISTS, REJECT, "exists already")                                                            \
    X(INVALID, REJECT, "invalid input")                                                            \
    X(TOO_LARGE, REJECT, "larger than the limit")                                                  \
    X(UNSUPPORTED, REJECT, "not supported")                                                        \
    X(NO_PERMISSION, REJECT, "no permission")                                                      \
    X(IN_USE, REJECT, "in use by another process")                                                 \
    X(NEWER_FORMAT, REJECT, "made by a newer version")                                             \
    X(BAD_PLUGIN, REJECT, "the plug-in cannot be used")                                            \
    X(CORRUPT, FATAL, "damaged data")                                                              \
    X(GAP, FATAL, "a block is missing")                                                            \
    X(LOST, FATAL, "acknowledged blocks are missing")                                              \
    X(NO_SPACE, FATAL, "no space left on the device")                                              \
    X(NO_MEMORY, FATAL, "out of memory")                                                           \
    X(IO, FATAL, "input/output error")

enum status {
#define X(name, class, text) STATUS_##name,
    STATUS_LIST (X)
#undef X
};

enum status_class { STATUS_CLASS_RETRY, STATUS_CLASS_REJECT, STATUS_CLASS_FATAL };

#define NODISCARD __attribute__((warn_unused_result))

const char *status_name(enum status status);
const char *status_text(enum status status);
enum status_class status_class(enum status status);
/* The status of this name; STATUS_INVALID where there is none. */
enum status status_find(const char *name);

/* The reason of a failure, for the person who has to mend it. */
struct problem {
    enum status status;
    char text[1024];
};

/* Formats the sentence into `problem` (which may be NULL) and returns `status`. */
enum status problem_set(struct problem *problem, enum status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
