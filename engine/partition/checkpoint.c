#include "engine/partition/checkpoint.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "engine/base/image.h"

#define MAGIC    0x4b4843594c46u /* "FLYCHK" */
#define UNNAMED  "checkpoint.new"
#define NICENESS 5
/* The newest version whose definitions do not say when they were made. */
#define VERSION_TIMELESS 3u

static bool path_of(char path[PATH_MAX], const char *directory, const char *name)
{
    int bytes = snprintf(path, PATH_MAX, "%s/%s", directory, name);
    return bytes > 0 && bytes < PATH_MAX;
}

static bool path_of_block(char path[PATH_MAX], const char *directory, uint64_t block_no)
{
    char name[64];
    snprintf(name, sizeof name, "checkpoint-%" PRIu64, block_no);
    return path_of(path, directory, name);
}

/* ---- writing ----------------------------------------------------------------------------------
 */

static void write_state(struct image *image, const struct partition_state *state,
                        const struct checkpoint_place *place)
{
    image_write_u64(image, MAGIC);
    image_write_u64(image, IMAGE_VERSION);
    image_write_u64(image, place->block_no);
    image_write_u64(image, place->block_crc);
    image_write_u64(image, place->epoch);
    image_write_u64(image, (uint64_t)place->now_ms);
    image_write_u64(image, place->journal_bytes);
    image_write_u64(image, place->milestones_count);
    image_write(image, place->milestones, place->milestones_count * sizeof *place->milestones);
    image_write_u64(image, state->services_count);
    for (uint32_t i = 0; i < state->services_count; i++) {
        image_write(image, state->services[i].name, sizeof state->services[i].name);
        tables_write_image(state->services[i].tables, image);
    }
    core_write_image(state->core, image);
    uint32_t plans_count = core_plans_count(state->core);
    image_write_u64(image, plans_count);
    for (uint32_t i = 0; i < plans_count; i++) {
        const struct partition_definition *definition = &state->definitions[i];
        image_write(image, core_plan(state->core, i)->name, FLYOVER_NAME_BYTES_MAX + 1);
        image_write_u64(image, definition->made.block_no);
        image_write_u64(image, (uint64_t)definition->made.now_ms);
        image_write_u64(image, definition->text_bytes);
        image_write(image, definition->text, definition->text_bytes);
    }
}

/* Static, and one at a time: the child of a program with threads must not take memory. */
static struct image written;

enum status checkpoint_write(const char *directory, const struct partition_state *state,
                             const struct checkpoint_place *place)
{
    char path[PATH_MAX];
    if (!path_of(path, directory, UNNAMED))
        return STATUS_INVALID;
    int file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (file < 0)
        return STATUS_IO;
    image_init(&written, file);
    write_state(&written, state, place);
    enum status status = image_finish_write(&written);
    close(file);
    if (status != STATUS_OK)
        unlink(path);
    return status;
}

/* Before it has run at all, while it still waits for the engine's. */
static void send_off_cpu_of_engine(pid_t child)
{
    cpu_set_t engine, others;
    if (sched_getaffinity(0, sizeof engine, &engine) != 0)
        return;
    CPU_ZERO(&others);
    for (size_t cpu = 0; cpu < CPU_SETSIZE; cpu++)
        if (!CPU_ISSET(cpu, &engine))
            CPU_SET(cpu, &others);
    /* Refused where the process may use no other: then it stays. */
    sched_setaffinity(child, sizeof others, &others);
}

/* Not fork(): that waits for malloc's locks, and looks in the child at heaps that it has not got
 * (region_leave_out_of_forks). The child takes no memory and no lock. Sanitizers leave nothing out,
 * and want to know of a fork, so that they do not watch over the child of many threads. */
static pid_t fork_plainly(void)
{
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    return fork();
#else
    return _Fork();
#endif
}

/* SCHED_BATCH is nothing but that: who wakes up as such takes the CPU from nobody. Without it the
 * child, made on the engine's CPU, would run before its parent goes on, and whoever else wants that
 * CPU as well. The child inherits it, and keeps it. */
static pid_t fork_and_go_on(void)
{
    struct sched_param none = {0};
    int policy = sched_getscheduler(0);
    bool is_changed = policy == SCHED_OTHER && sched_setscheduler(0, SCHED_BATCH, &none) == 0;
    pid_t child = fork_plainly();
    if (child == 0)
        return 0;
    if (child > 0)
        send_off_cpu_of_engine(child);
    if (is_changed)
        sched_setscheduler(0, policy, &none);
    return child;
}

pid_t checkpoint_fork(const char *directory, const struct partition_state *state,
                      const struct checkpoint_place *place)
{
    pid_t parent = getpid();
    pid_t child = fork_and_go_on();
    if (child != 0)
        return child;
    /* Among the files is the lock of the data directory: with a copy of it here, a parent that is
     * killed would leave it held. */
    close_range(STDERR_FILENO + 1, ~0u, 0);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    /* It ends by what it does wrong, and by nothing that the program has made of that. */
    signal(SIGSEGV, SIG_DFL);
    signal(SIGBUS, SIG_DFL);
    signal(SIGABRT, SIG_DFL);
    if (getppid() != parent)
        _exit(1);
    setpriority(PRIO_PROCESS, 0, NICENESS);
    _exit(checkpoint_write(directory, state, place) == STATUS_OK ? 0 : 1);
}

/* ---- names ------------------------------------------------------------------------------------
 */

static int compare_newest_first(const void *a, const void *b)
{
    uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;
    return left < right ? 1 : (left > right ? -1 : 0);
}

/* The block numbers of the checkpoints in the folder, newest first; at most `capacity` of them. */
static uint32_t list_checkpoints(const char *directory, uint64_t *block_nos, uint32_t capacity)
{
    uint32_t count = 0;
    DIR *entries = opendir(directory);
    if (entries == NULL)
        return 0;
    for (struct dirent *entry = readdir(entries); entry != NULL && count < capacity;
         entry = readdir(entries)) {
        char *end;
        if (strncmp(entry->d_name, "checkpoint-", 11) != 0)
            continue;
        uint64_t block_no = strtoull(entry->d_name + 11, &end, 10);
        if (*end == '\0' && block_no > 0)
            block_nos[count++] = block_no;
    }
    closedir(entries);
    qsort(block_nos, count, sizeof *block_nos, compare_newest_first);
    return count;
}

#define LISTED_MAX 64u

enum status checkpoint_name(const char *directory, uint64_t block_no, uint64_t before_no)
{
    char from[PATH_MAX], to[PATH_MAX];
    if (!path_of(from, directory, UNNAMED) || !path_of_block(to, directory, block_no))
        return STATUS_INVALID;
    int folder = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool done = folder >= 0 && rename(from, to) == 0 && fsync(folder) == 0;
    if (folder >= 0)
        close(folder);
    if (!done)
        return STATUS_IO;
    uint64_t block_nos[LISTED_MAX];
    uint32_t count = list_checkpoints(directory, block_nos, LISTED_MAX);
    for (uint32_t i = 0; i < count; i++)
        if (block_nos[i] != block_no && block_nos[i] != before_no &&
            path_of_block(to, directory, block_nos[i]))
            unlink(to);
    return STATUS_OK;
}

/* ---- reading ----------------------------------------------------------------------------------
 */

static enum status read_services(struct image *image, struct partition_state *state)
{
    uint64_t count = image_read_u64(image);
    if (count > PARTITION_SERVICES_MAX)
        image_refuse(image);
    for (uint64_t i = 0; i < count && image->status == STATUS_OK; i++) {
        struct partition_service *service = &state->services[i];
        image_read(image, service->name, sizeof service->name);
        service->name[FLYOVER_NAME_BYTES_MAX] = '\0';
        enum status status = tables_read_image(image, &service->tables);
        if (status != STATUS_OK)
            return status;
        state->services_count++;
    }
    return STATUS_OK;
}

static enum status read_definition(struct image *image, uint64_t version,
                                   struct partition_state *state, struct problem *problem)
{
    char name[FLYOVER_NAME_BYTES_MAX + 1];
    struct core_moment made = {0};
    image_read(image, name, sizeof name);
    name[FLYOVER_NAME_BYTES_MAX] = '\0';
    if (version > VERSION_TIMELESS) {
        made.block_no = image_read_u64(image);
        made.now_ms = (int64_t)image_read_u64(image);
    }
    uint64_t bytes = image_read_u64(image);
    if (bytes > PLAN_DEFINITION_BYTES_MAX)
        image_refuse(image);
    uint8_t *text = malloc(PLAN_DEFINITION_BYTES_MAX);
    if (text == NULL)
        return STATUS_NO_MEMORY;
    enum status status = STATUS_OK;
    if (image->status == STATUS_OK)
        image_read(image, text, bytes);
    if (image->status == STATUS_OK) {
        struct event event = {.kind = EVENT_DEFINITION};
        event.definition.name =
            (struct flyover_bytes){(const uint8_t *)name, (uint32_t)strlen(name)};
        event.definition.text = (struct flyover_bytes){text, (uint32_t)bytes};
        status = partition_state_apply(state, &made, &event, 0, APPLY_REPLAY, NULL, problem);
    }
    free(text);
    return status;
}

static enum status read_state(struct image *image, struct partition_state *state,
                              struct checkpoint_place *place, struct problem *problem)
{
    image_expect_u64(image, MAGIC);
    uint64_t version = image_read_u64(image);
    if (version != IMAGE_VERSION && version != VERSION_TIMELESS)
        image_refuse(image);
    place->block_no = image_read_u64(image);
    place->block_crc = (uint32_t)image_read_u64(image);
    place->epoch = (uint32_t)image_read_u64(image);
    place->now_ms = (int64_t)image_read_u64(image);
    place->journal_bytes = image_read_u64(image);
    place->milestones_count = (uint32_t)image_read_u64(image);
    if (place->milestones_count > MILESTONES_MAX)
        image_refuse(image);
    else
        image_read(image, place->milestones, place->milestones_count * sizeof *place->milestones);
    enum status status = image->status == STATUS_OK ? read_services(image, state) : STATUS_CORRUPT;
    struct core *core = NULL;
    if (status == STATUS_OK && image->status == STATUS_OK)
        status = core_read_image(image, &core);
    if (core == NULL)
        return status == STATUS_OK ? STATUS_CORRUPT : status;
    status = partition_state_take_core(state, core);
    uint64_t plans_count = image_read_u64(image);
    for (uint64_t i = 0; i < plans_count && status == STATUS_OK && image->status == STATUS_OK; i++)
        status = read_definition(image, version, state, problem);
    return status;
}

/* STATUS_CORRUPT: this one is no use, whatever the reason. */
static enum status read_checkpoint(const char *directory, uint64_t block_no,
                                   struct partition_state *state, struct checkpoint_place *place,
                                   struct problem *problem)
{
    char path[PATH_MAX];
    int file = path_of_block(path, directory, block_no) ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    struct image *image = malloc(sizeof *image);
    if (file < 0 || image == NULL) {
        free(image);
        if (file >= 0)
            close(file);
        return image == NULL ? STATUS_NO_MEMORY : STATUS_CORRUPT;
    }
    image_init(image, file);
    enum status status = read_state(image, state, place, problem);
    if (image->status != STATUS_OK)
        status = STATUS_CORRUPT;
    if (status == STATUS_OK)
        status = image_finish_read(image);
    if (status == STATUS_OK && place->block_no != block_no)
        status = STATUS_CORRUPT;
    free(image);
    close(file);
    return status;
}

/* One of those listed, into `state`; `*ret_place` stays as it is where it is no use. */
static enum status load_one(const char *directory, uint64_t block_no,
                            struct partition_state **state, struct checkpoint_place *ret_place,
                            struct problem *problem)
{
    struct checkpoint_place place = {0};
    enum status status = read_checkpoint(directory, block_no, *state, &place, problem);
    if (status == STATUS_OK) {
        *ret_place = place;
        return STATUS_OK;
    }
    /* What was half read is thrown away. */
    partition_state_close(*state);
    *state = NULL;
    enum status opened = partition_state_open(state);
    return status == STATUS_NO_MEMORY ? status : opened;
}

enum status checkpoint_load(const char *directory, uint64_t block_no_max,
                            struct partition_state **state, struct checkpoint_place *ret_place,
                            struct problem *problem)
{
    uint64_t block_nos[LISTED_MAX];
    uint32_t count = list_checkpoints(directory, block_nos, LISTED_MAX);
    *ret_place = (struct checkpoint_place){0};
    enum status status = STATUS_OK;
    for (uint32_t i = 0; i < count && status == STATUS_OK && ret_place->block_no == 0; i++)
        if (block_nos[i] <= block_no_max)
            status = load_one(directory, block_nos[i], state, ret_place, problem);
    return status;
}

enum status checkpoint_load_oldest(const char *directory, uint64_t first_kept_no,
                                   struct partition_state **state,
                                   struct checkpoint_place *ret_place, struct problem *problem)
{
    uint64_t block_nos[LISTED_MAX];
    uint32_t count = list_checkpoints(directory, block_nos, LISTED_MAX);
    *ret_place = (struct checkpoint_place){0};
    enum status status = STATUS_OK;
    while (count-- > 0 && status == STATUS_OK && ret_place->block_no == 0)
        if (block_nos[count] + 1 >= first_kept_no)
            status = load_one(directory, block_nos[count], state, ret_place, problem);
    return status;
}

uint64_t checkpoint_oldest_no(const char *directory, uint64_t first_kept_no)
{
    uint64_t block_nos[LISTED_MAX];
    uint32_t count = list_checkpoints(directory, block_nos, LISTED_MAX);
    while (count > 0 && block_nos[count - 1] + 1 < first_kept_no)
        count--;
    return count == 0 ? 0 : block_nos[count - 1];
}
