#include "engine/main/top_ask.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "engine/admin/admin.h"
#include "engine/base/clock.h"
#include "engine/base/thread.h"
#include "engine/main/control.h"
#include "engine/main/reach_remote.h"

#define NS_A_MS    1000000u
#define LATE_NS    1000000000u /* an answer that takes so long is trouble */
#define LATE_WORDS "the engine has not answered yet"

/* ---- one question ---------------------------------------------------------------------------- */

/* Takes the request. A connection that broke is made anew the next time. */
static enum status ask(struct top_target *target, json_t *request, json_t **ret_reply,
                       struct problem *problem)
{
    bool refused = false;
    json_t *reply = NULL;
    enum status status;
    if (request == NULL)
        return problem_set(problem, STATUS_NO_MEMORY, "out of memory");
    if (target->reach.address == NULL) {
        status = control_ask(target->reach.directory, request, &reply, problem);
        if (status == STATUS_OK)
            status = admin_check_reply(reply, ret_reply, &refused, problem);
    } else {
        status = reach_ask_remote(&target->reach, request, ret_reply, &refused, problem);
        if (status != STATUS_OK && !refused) {
            flyover_close(target->reach.client);
            target->reach.client = NULL;
        }
    }
    json_decref(request);
    return status;
}

enum status top_ask_json(struct top_target *target, json_t **ret_figures, struct problem *problem)
{
    return ask(target, json_pack("{s:s}", "do", "figures"), ret_figures, problem);
}

static bool wants_stuck(const struct top_target *target, const struct top_sample *sample)
{
    return sample->stuck > 0 &&
           (sample->stuck != target->last.stuck ||
            clock_now_ns() - target->stuck_asked_ns >= TOP_STUCK_EVERY_MS * (uint64_t)NS_A_MS);
}

static enum status ask_stuck(struct top_target *target, struct top_sample *sample,
                             struct problem *problem)
{
    json_t *list = NULL;
    enum status status = ask(
        target,
        json_pack("{s:s, s:s, s:i}", "do", "list", "state", "STUCK", "limit", (int)TOP_STUCK_MAX),
        &list, problem);
    if (status == STATUS_OK)
        top_sample_read_stuck(list, sample);
    target->stuck_asked_ns = clock_now_ns();
    json_decref(list);
    return status;
}

enum status top_ask(struct top_target *target, struct top_sample *ret_sample,
                    struct problem *problem)
{
    json_t *figures = NULL;
    enum status status = top_ask_json(target, &figures, problem);
    if (status != STATUS_OK)
        return status;
    bool is_read = top_sample_read(figures, ret_sample);
    json_decref(figures);
    if (!is_read)
        return problem_set(problem, STATUS_IO, "what the engine answered has no figures");
    if (wants_stuck(target, ret_sample)) {
        status = ask_stuck(target, ret_sample, problem);
    } else if (ret_sample->stuck > 0) {
        ret_sample->stuck_count = target->last.stuck_count;
        memcpy(ret_sample->stuck_sagas, target->last.stuck_sagas, sizeof ret_sample->stuck_sagas);
    }
    target->last = *ret_sample;
    return status;
}

/* ---- a thread that asks ---------------------------------------------------------------------- */

struct top_asking {
    struct top_target *target;
    uint32_t interval_ms;
    int news_fd;
    pthread_mutex_t lock;
    /* Under the lock. */
    struct top_news news;
    uint64_t asked_ns; /* 0: no question is under way */
};

static void tell(const struct top_asking *asking)
{
    static const uint64_t one = 1;
    ssize_t written = write(asking->news_fd, &one, sizeof one);
    (void)written; /* one that is full is as good */
}

static void note(struct top_asking *asking, enum status status, const struct top_sample *sample,
                 const struct problem *problem)
{
    struct top_news *news = &asking->news;
    pthread_mutex_lock(&asking->lock);
    if (status == STATUS_OK) {
        news->sample = *sample;
        news->samples_count++;
    } else {
        snprintf(news->trouble, sizeof news->trouble, "%.*s", (int)sizeof news->trouble - 1,
                 problem->text);
        if (!news->has_trouble)
            news->trouble_ns = asking->asked_ns;
    }
    news->has_trouble = status != STATUS_OK;
    asking->asked_ns = 0;
    pthread_mutex_unlock(&asking->lock);
    tell(asking);
}

static void begin_question(struct top_asking *asking, uint64_t now_ns)
{
    pthread_mutex_lock(&asking->lock);
    asking->asked_ns = now_ns;
    pthread_mutex_unlock(&asking->lock);
}

static void *run(void *context)
{
    struct top_asking *asking = context;
    static struct top_sample sample;
    for (;;) {
        struct problem problem = {0};
        uint64_t began_ns = clock_now_ns();
        begin_question(asking, began_ns);
        enum status status = top_ask(asking->target, &sample, &problem);
        note(asking, status, &sample, &problem);
        uint64_t next_ns = began_ns + asking->interval_ms * (uint64_t)NS_A_MS;
        uint64_t now_ns = clock_now_ns();
        uint64_t pause_ns = next_ns > now_ns ? next_ns - now_ns : NS_A_MS;
        const struct timespec pause = {(time_t)(pause_ns / 1000000000u),
                                       (long)(pause_ns % 1000000000u)};
        nanosleep(&pause, NULL);
    }
    return NULL;
}

enum status top_ask_start(struct top_target *target, uint32_t interval_ms,
                          struct top_asking **ret_asking, struct problem *problem)
{
    struct top_asking *asking = calloc(1, sizeof *asking);
    if (asking == NULL)
        return problem_set(problem, STATUS_NO_MEMORY, "out of memory");
    asking->target = target;
    asking->interval_ms = interval_ms;
    pthread_mutex_init(&asking->lock, NULL);
    asking->news_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    pthread_t thread;
    int error = asking->news_fd < 0 ? -1 : thread_start(&thread, "fly-ask", NULL, run, asking);
    if (error != 0) {
        free(asking);
        return problem_set(problem, STATUS_NO_MEMORY, "no thread can be made to ask the engine");
    }
    pthread_detach(thread);
    *ret_asking = asking;
    return STATUS_OK;
}

int top_ask_fd(const struct top_asking *asking)
{
    return asking->news_fd;
}

void top_ask_news(struct top_asking *asking, struct top_news *ret_news)
{
    uint64_t rung;
    ssize_t bytes = read(asking->news_fd, &rung, sizeof rung);
    (void)bytes;
    pthread_mutex_lock(&asking->lock);
    *ret_news = asking->news;
    uint64_t asked_ns = asking->asked_ns;
    pthread_mutex_unlock(&asking->lock);
    if (ret_news->has_trouble || asked_ns == 0 || clock_now_ns() - asked_ns < LATE_NS)
        return;
    ret_news->has_trouble = true;
    ret_news->trouble_ns = asked_ns;
    strcpy(ret_news->trouble, LATE_WORDS);
}
