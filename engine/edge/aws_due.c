/* Requests that wait for their time: a binary heap, the next one first. */
#include <assert.h>

#include "engine/edge/aws_parts.h"

static bool is_before(const struct aws_job *a, const struct aws_job *b)
{
    return a->due_ms != b->due_ms ? a->due_ms < b->due_ms : a->due_no < b->due_no;
}

static void put(struct aws *aws, uint32_t index, struct aws_job *job)
{
    aws->heap[index] = job;
    job->heap_index = index;
}

static void sift_up(struct aws *aws, uint32_t index, struct aws_job *job)
{
    while (index > 0 && is_before(job, aws->heap[(index - 1) / 2])) {
        put(aws, index, aws->heap[(index - 1) / 2]);
        index = (index - 1) / 2;
    }
    put(aws, index, job);
}

static void sift_down(struct aws *aws, uint32_t index, struct aws_job *job)
{
    for (;;) {
        uint32_t child = 2 * index + 1;
        if (child >= aws->heap_count)
            break;
        if (child + 1 < aws->heap_count && is_before(aws->heap[child + 1], aws->heap[child]))
            child++;
        if (!is_before(aws->heap[child], job))
            break;
        put(aws, index, aws->heap[child]);
        index = child;
    }
    put(aws, index, job);
}

void aws_due_push(struct aws *aws, struct aws_job *job, int64_t due_ms)
{
    assert(aws->heap_count < AWS_REQUESTS_MAX);
    job->place = AWS_DUE;
    job->due_ms = due_ms;
    job->due_no = aws->due_no++;
    sift_up(aws, aws->heap_count++, job);
}

void aws_due_remove(struct aws *aws, struct aws_job *job)
{
    uint32_t index = job->heap_index;
    assert(index < aws->heap_count && aws->heap[index] == job);
    struct aws_job *last = aws->heap[--aws->heap_count];
    if (last == job)
        return;
    sift_up(aws, index, last);
    sift_down(aws, last->heap_index, last);
}

struct aws_job *aws_due_pop(struct aws *aws)
{
    if (aws->heap_count == 0)
        return NULL;
    struct aws_job *job = aws->heap[0];
    aws_due_remove(aws, job);
    return job;
}
