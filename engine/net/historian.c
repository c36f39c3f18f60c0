#include "engine/net/historian.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "engine/admin/admin.h"
#include "engine/admin/life.h"
#include "engine/admin/redrive.h"
#include "engine/admin/saga_list.h"
#include "engine/base/thread.h"

struct errands {
    struct errand *first, *last;
};

struct historian {
    struct partition *partition;
    struct asker asker; /* of the engine that this is part of */
    bool has_thread;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t news;   /* for the thread */
    struct history *index; /* the thread's; NULL: not asked for yet */
    /* Under the lock. */
    struct errands waiting, done;
    json_t *question; /* of the thread, for the engine */
    json_t *answer;
    bool is_stopping;
    /* The engine's. */
    _Atomic bool has_news; /* to be looked at */
    bool has_job;
    struct admin_job job;
};

static void append(struct errands *errands, struct errand *errand)
{
    errand->next = NULL;
    if (errands->first == NULL)
        errands->first = errand;
    else
        errands->last->next = errand;
    errands->last = errand;
}

/* ---- the thread: questions ----------------------------------------------------------------------
 */

static void tell_engine(struct historian *historian)
{
    atomic_store(&historian->has_news, true);
    partition_wake(historian->partition);
}

/* Next: historian_turn, on the engine's thread. */
static enum status ask_engine(void *context, json_t *request, json_t **ret_reply, bool *ret_refused,
                              struct problem *problem)
{
    struct historian *historian = context;
    *ret_refused = false;
    pthread_mutex_lock(&historian->lock);
    if (!historian->is_stopping) {
        historian->question = json_incref(request);
        tell_engine(historian);
    }
    while (historian->answer == NULL && !historian->is_stopping)
        pthread_cond_wait(&historian->news, &historian->lock);
    json_t *answer = historian->answer;
    historian->answer = NULL;
    pthread_mutex_unlock(&historian->lock);
    if (answer == NULL)
        return problem_set(problem, STATUS_IN_USE, "the engine is stopping: ask again later");
    return admin_check_reply(answer, ret_reply, ret_refused, problem);
}

/* ---- the thread: errands ------------------------------------------------------------------------
 */

static enum status check_fields(const json_t *request, struct problem *problem)
{
    const char *key;
    json_t *value;
    json_object_foreach(
        (json_t *)(uintptr_t)request, key,
        value) if (strcmp(key, "do") != 0 && strcmp(key, "saga") != 0 &&
                   strcmp(key, "name") !=
                       0) return problem_set(problem, STATUS_INVALID,
                                             "it knows no field \"%.80s\"; it knows: saga name",
                                             key);
    return STATUS_OK;
}

/* The saga that is meant, as `show` tells it: the caller's. */
static enum status look(struct historian *historian, const json_t *request, json_t **ret_look,
                        struct problem *problem)
{
    bool refused;
    enum status status = check_fields(request, problem);
    if (status != STATUS_OK)
        return status;
    json_t *show = json_copy((json_t *)(uintptr_t)request);
    json_object_set_new(show, "do", json_string("show"));
    status = asker_ask(&historian->asker, show, ret_look, &refused, problem);
    json_decref(show);
    return status;
}

static enum status tell_life(struct historian *historian, const json_t *request, json_t **ret_reply,
                             struct problem *problem)
{
    json_t *shown = NULL;
    enum status status = look(historian, request, &shown, problem);
    if (status != STATUS_OK)
        return status;
    uint64_t saga_id = (uint64_t)json_integer_value(json_object_get(shown, "saga"));
    status = life_tell(&historian->asker, saga_id, NULL, ret_reply, problem);
    if (status == STATUS_OK)
        json_object_set(*ret_reply, "state", json_object_get(shown, "state"));
    json_decref(shown);
    return status;
}

static enum status redrive(struct historian *historian, const json_t *request, json_t **ret_reply,
                           struct problem *problem)
{
    json_t *shown = NULL, *prepared = NULL;
    bool refused;
    enum status status = look(historian, request, &shown, problem);
    if (status != STATUS_OK)
        return status;
    uint64_t saga_id = (uint64_t)json_integer_value(json_object_get(shown, "saga"));
    status = redrive_prepare(&historian->asker, saga_id, &prepared, problem);
    if (status == STATUS_OK)
        status = asker_ask(&historian->asker, prepared, ret_reply, &refused, problem);
    json_decref(prepared);
    json_decref(shown);
    return status;
}

static enum status list(struct historian *historian, json_t *request, json_t **ret_reply,
                        struct problem *problem)
{
    bool refused;
    json_t *cursor = json_incref(json_object_get(request, "cursor"));
    if (cursor != NULL && !json_is_string(cursor)) {
        json_decref(cursor);
        return problem_set(problem, STATUS_INVALID, "\"cursor\" has to be a text");
    }
    json_object_del(request, "cursor");
    enum status status = saga_list(&historian->asker, request, json_string_value(cursor), ret_reply,
                                   &refused, problem);
    json_decref(cursor);
    return status;
}

static const char *verb_of(const json_t *request)
{
    const char *verb = json_string_value(json_object_get(request, "do"));
    return verb == NULL ? "" : verb;
}

static void answer(struct historian *historian, struct errand *errand)
{
    struct problem problem = {0};
    const char *verb = verb_of(errand->request);
    enum status status;
    if (historian->asker.directory == NULL)
        status = problem_set(&problem, STATUS_UNSUPPORTED,
                             "this engine keeps no history: it runs in mode memory");
    else if (strcmp(verb, "list") == 0)
        status = list(historian, errand->request, &errand->reply, &problem);
    else if (strcmp(verb, "redrive") == 0)
        status = redrive(historian, errand->request, &errand->reply, &problem);
    else
        status = tell_life(historian, errand->request, &errand->reply, &problem);
    problem.status = status;
    if (status != STATUS_OK)
        errand->reply = admin_refusal(&problem);
    json_decref(errand->request);
    errand->request = NULL;
}

/* The index stays open, once it was asked for. */
static enum status open_index(struct historian *historian, struct problem *problem)
{
    return historian->index != NULL
               ? STATUS_OK
               : history_open(historian->asker.directory, &historian->index, problem);
}

static enum status look_up(struct historian *historian, struct errand *errand)
{
    struct history_saga saga;
    enum status status = open_index(historian, &errand->problem);
    if (status == STATUS_OK)
        status = history_find(historian->index, errand->saga_id, &saga, &errand->problem);
    if (status == STATUS_NOT_FOUND || (status == STATUS_OK && !saga.has_end))
        return problem_set(&errand->problem, STATUS_NOT_FOUND,
                           "the saga has ended, and how is not kept any more");
    if (status != STATUS_OK)
        return status;
    errand->outcome = saga.outcome;
    memcpy(errand->error_name, saga.error_name, sizeof errand->error_name);
    return STATUS_OK;
}

static void copy_text(char *to, size_t capacity, const char *text)
{
    size_t bytes = strnlen(text, capacity - 1);
    memcpy(to, text, bytes);
    to[bytes] = '\0';
}

static void add_entry(const struct history_entry *entry, uint64_t block_no, uint64_t index,
                      void *context)
{
    struct page *page = context;
    assert(page->count < PAGE_ENTRIES_MAX);
    struct page_entry *added = &page->entries[page->count++];
    *added = (struct page_entry){.saga_id = entry->saga_id,
                                 .block_no = block_no,
                                 .index = index,
                                 .at_ms = entry->ended_ms,
                                 .version = entry->version,
                                 .outcome = entry->outcome};
    copy_text(added->definition, sizeof added->definition, entry->definition);
    copy_text(added->error, sizeof added->error, entry->error_name);
}

static enum status read_page(struct historian *historian, struct errand *errand)
{
    struct page *page = errand->page;
    enum status status = open_index(historian, &errand->problem);
    page->count = 0;
    return status != STATUS_OK
               ? status
               : history_follow(historian->index, &page->next, page->end_no, PAGE_ENTRIES_MAX,
                                add_entry, page, &page->is_done, &errand->problem);
}

static void historian_on_errand(struct historian *historian, struct errand *errand)
{
    switch (errand->kind) {
    case ERRAND_PAGE: errand->status = read_page(historian, errand); break;
    case ERRAND_FIND: errand->status = look_up(historian, errand); break;
    case ERRAND_ASK: answer(historian, errand); break;
    }
}

/* NULL: it is over. */
static struct errand *next_errand(struct historian *historian)
{
    pthread_mutex_lock(&historian->lock);
    while (historian->waiting.first == NULL && !historian->is_stopping)
        pthread_cond_wait(&historian->news, &historian->lock);
    struct errand *errand = historian->is_stopping ? NULL : historian->waiting.first;
    if (errand != NULL)
        historian->waiting.first = errand->next;
    pthread_mutex_unlock(&historian->lock);
    return errand;
}

static void *run(void *context)
{
    struct historian *historian = context;
    struct errand *errand;
    while ((errand = next_errand(historian)) != NULL) {
        historian_on_errand(historian, errand);
        pthread_mutex_lock(&historian->lock);
        append(&historian->done, errand);
        pthread_mutex_unlock(&historian->lock);
        tell_engine(historian);
    }
    return NULL;
}

/* ---- the engine's thread ------------------------------------------------------------------------
 */

bool historian_wants(const struct historian *historian, const json_t *request)
{
    const char *verb = verb_of(request);
    if (strcmp(verb, "list") == 0)
        return historian->has_thread;
    return strcmp(verb, "history") == 0 ||
           (strcmp(verb, "redrive") == 0 && json_object_get(request, "event") == NULL);
}

/* Next: historian_on_errand, on its thread. */
void historian_send_errand(struct historian *historian, struct errand *errand)
{
    if (!historian->has_thread) {
        historian_on_errand(historian, errand);
        errand->is_done = true;
        return;
    }
    pthread_mutex_lock(&historian->lock);
    append(&historian->waiting, errand);
    pthread_cond_signal(&historian->news);
    pthread_mutex_unlock(&historian->lock);
}

static void take_news(struct historian *historian)
{
    pthread_mutex_lock(&historian->lock);
    struct errand *done = historian->done.first;
    historian->done.first = NULL;
    if (historian->question != NULL) {
        admin_begin(&historian->job, historian->question);
        historian->question = NULL;
        historian->has_job = true;
    }
    pthread_mutex_unlock(&historian->lock);
    while (done != NULL) {
        struct errand *errand = done;
        done = errand->next;
        errand->is_done = true;
    }
}

bool historian_turn(struct historian *historian, struct partition *partition)
{
    bool worked = atomic_exchange(&historian->has_news, false);
    if (worked)
        take_news(historian);
    if (!historian->has_job || !admin_turn(&historian->job, partition, &worked))
        return worked;
    historian->has_job = false;
    pthread_mutex_lock(&historian->lock);
    historian->answer = admin_end(&historian->job);
    pthread_cond_signal(&historian->news);
    pthread_mutex_unlock(&historian->lock);
    return true;
}

/* ---- opening and closing ------------------------------------------------------------------------
 */

static enum status start_thread(struct historian *historian, struct problem *problem)
{
    int error = thread_start(&historian->thread, "fly-history", NULL, run, historian);
    historian->has_thread = error == 0;
    return error == 0 ? STATUS_OK
                      : problem_set(problem, STATUS_IO,
                                    "the thread that reads history cannot be started: %s",
                                    strerror(error));
}

enum status historian_open(const char *directory, struct partition *partition,
                           struct historian **ret_historian, struct problem *problem)
{
    struct historian *historian = calloc(1, sizeof *historian);
    if (historian == NULL)
        return problem_set(problem, STATUS_NO_MEMORY, "out of memory");
    historian->partition = partition;
    historian->asker =
        (struct asker){.directory = directory, .ask = ask_engine, .context = historian};
    pthread_mutex_init(&historian->lock, NULL);
    pthread_cond_init(&historian->news, NULL);
    /* Jansson's tables are seeded once, before there are threads that would both do it. */
    json_object_seed(0);
    enum status status = directory == NULL ? STATUS_OK : start_thread(historian, problem);
    if (status != STATUS_OK) {
        historian_close(historian);
        return status;
    }
    *ret_historian = historian;
    return STATUS_OK;
}

static void drop_requests(struct errand *errand)
{
    for (; errand != NULL; errand = errand->next) {
        json_decref(errand->request);
        errand->request = NULL;
    }
}

void historian_close(struct historian *historian)
{
    if (historian == NULL)
        return;
    pthread_mutex_lock(&historian->lock);
    historian->is_stopping = true;
    pthread_cond_signal(&historian->news);
    pthread_mutex_unlock(&historian->lock);
    if (historian->has_thread)
        pthread_join(historian->thread, NULL);
    history_close(historian->index);
    drop_requests(historian->waiting.first);
    if (historian->has_job)
        json_decref(admin_end(&historian->job));
    json_decref(historian->question);
    json_decref(historian->answer);
    pthread_mutex_destroy(&historian->lock);
    pthread_cond_destroy(&historian->news);
    free(historian);
}
