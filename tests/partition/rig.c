#include "tests/partition/rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/partition/scripted.h"

int64_t rig_now_ms;
uint64_t rig_now_ns;
bool rig_held[3];

static int64_t wall_ms(void)
{
    return rig_now_ms;
}

uint64_t rig_read_ns(void)
{
    return rig_now_ns;
}

static bool may_step(enum partition_part part)
{
    return !rig_held[part];
}

static int remove_entry(const char *path, const struct stat *status, int type, struct FTW *walk)
{
    (void)status;
    (void)type;
    (void)walk;
    return remove(path);
}

void rig_remove_directory(const struct rig *rig)
{
    nftw(rig->directory, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

int rig_set_up(void **state)
{
    static struct rig rig;
    strcpy(rig.directory, "/tmp/test_partition_XXXXXX");
    assert_non_null(mkdtemp(rig.directory));
    rig.partition = NULL;
    rig_now_ms = 1000000;
    memset(rig_held, 0, sizeof rig_held);
    scripted_reset();
    *state = &rig;
    return 0;
}

int rig_tear_down(void **state)
{
    struct rig *rig = *state;
    rig_crash(rig);
    rig_remove_directory(rig);
    return 0;
}

struct partition_options rig_options(const struct rig *rig, enum durability durability)
{
    return (struct partition_options){
        .directory = rig->directory,
        .durability = durability,
        .limits = {.sagas_max = 64, .payload_bytes_max = 16u << 20},
        .built_in = {&scripted_service, &scripted_plain},
        .built_in_count = 2,
        .history_bytes = UINT64_MAX,
        .threadless = true,
        .wall_ms = wall_ms,
        .may_step = may_step,
    };
}

void rig_open(struct rig *rig, const struct partition_options *options, const char *definition)
{
    struct problem problem = {0};
    enum status status = partition_open(options, &rig->partition, &problem);
    if (status == STATUS_OK && definition != NULL)
        status = partition_define(rig->partition, "test", "test", definition, strlen(definition),
                                  &rig->plan, &problem);
    if (status != STATUS_OK)
        fail_msg("%s", problem.text);
}

uint32_t rig_turn(struct rig *rig)
{
    bool worked;
    struct problem problem = {0};
    rig_now_ns += PARTITION_SEAL_INTERVAL_NS;
    if (partition_poll(rig->partition, &worked, &problem) != STATUS_OK)
        fail_msg("%s", problem.text);
    struct reply reply;
    uint32_t replies_count = 0;
    while (partition_next_reply(rig->partition, &reply))
        replies_count++;
    return replies_count;
}

void rig_turns(struct rig *rig, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        rig_turn(rig);
}

void rig_settle(struct rig *rig)
{
    for (int i = 0; i < 20000; i++) {
        rig_turn(rig);
        if (partition_is_quiet(rig->partition))
            return;
    }
    fail_msg("the engine does not come to rest");
}

uint64_t rig_records(struct rig *rig)
{
    rig_settle(rig);
    return partition_counts(rig->partition).records;
}

uint32_t rig_define(struct rig *rig, const char *name, const char *definition)
{
    struct problem problem = {0};
    uint32_t plan;
    if (partition_define(rig->partition, name, name, definition, strlen(definition), &plan,
                         &problem) != STATUS_OK)
        fail_msg("%s", problem.text);
    return plan;
}

struct flyover_bytes rig_text(const char *text)
{
    return (struct flyover_bytes){(const uint8_t *)text, (uint32_t)strlen(text)};
}

struct flyover_bytes rig_input(const char *key, const char *value)
{
    static char input[80];
    assert_true(strlen(key) < 32 && strlen(value) < 32);
    int bytes = snprintf(input, sizeof input, "\x81%c%s%c%s", (int)(0xa0 + strlen(key)), key,
                         (int)(0xa0 + strlen(value)), value);
    return (struct flyover_bytes){(const uint8_t *)input, (uint32_t)bytes};
}

enum status rig_try_start(struct rig *rig, uint32_t plan, const char *key, const char *value)
{
    return partition_start(rig->partition, plan, EVENT_NO_SOURCE, rig_input(key, value), 1);
}

uint64_t rig_start(struct rig *rig, uint32_t plan, const char *key, const char *value)
{
    assert_int_equal(rig_try_start(rig, plan, key, value), STATUS_OK);
    return core_saga_id_last(partition_state(rig->partition)->core);
}

struct core_totals rig_totals(const struct rig *rig)
{
    return core_totals(partition_state(rig->partition)->core);
}

int64_t rig_done(const struct rig *rig, const char *letter)
{
    const struct partition_state *state = partition_state(rig->partition);
    uint32_t service = partition_state_find_service(state, "test");
    assert_true(service < PARTITION_SERVICES_MAX);
    return tables_count_of(state->services[service].tables, SCRIPTED_DONE, rig_text(letter));
}

static enum status replay_block(void *context, const struct block_header *header,
                                const uint8_t *body, struct problem *problem)
{
    return partition_state_replay(context, header, body, NULL, NULL, problem);
}

void rig_replay(const struct rig *rig, char ret_digest[PARTITION_DIGEST_BYTES])
{
    struct problem problem = {0};
    struct partition_state *state;
    struct journal *journal;
    struct journal_options options = {.directory = rig->directory, .read_only = true};
    assert_int_equal(partition_state_open(&state), STATUS_OK);
    assert_int_equal(journal_open(&options, &journal, &problem), STATUS_OK);
    struct recovery_options recovery = {
        .directory = rig->directory, .on_block = replay_block, .context = state};
    struct recovery_report report;
    if (recovery_run(journal, &recovery, &report, &problem) != STATUS_OK)
        fail_msg("%s", problem.text);
    partition_state_digest(state, ret_digest);
    journal_close(journal);
    partition_state_close(state);
}

void rig_assert_replay_agrees(struct rig *rig)
{
    char live[PARTITION_DIGEST_BYTES], replayed[PARTITION_DIGEST_BYTES];
    rig_stop(rig, live);
    rig_replay(rig, replayed);
    assert_string_equal(live, replayed);
}

void rig_assert_error(const struct rig *rig, const char *name)
{
    const struct core_error *errors;
    assert_int_equal(core_errors(partition_state(rig->partition)->core, &errors), 1);
    assert_string_equal(errors[0].name, name);
}

uint32_t rig_checkpoints(const struct rig *rig, uint64_t *ret_block_nos, uint32_t capacity)
{
    uint32_t count = 0;
    DIR *entries = opendir(rig->directory);
    assert_non_null(entries);
    for (struct dirent *entry = readdir(entries); entry != NULL; entry = readdir(entries)) {
        uint64_t block_no;
        if (sscanf(entry->d_name, "checkpoint-%" SCNu64, &block_no) != 1)
            continue;
        assert_true(count < capacity);
        uint32_t at = count++;
        for (; at > 0 && ret_block_nos[at - 1] < block_no; at--)
            ret_block_nos[at] = ret_block_nos[at - 1];
        ret_block_nos[at] = block_no;
    }
    closedir(entries);
    return count;
}

void rig_damage_checkpoint(const struct rig *rig, uint64_t block_no)
{
    char path[128];
    snprintf(path, sizeof path, "%s/checkpoint-%" PRIu64, rig->directory, block_no);
    int file = open(path, O_RDWR | O_CLOEXEC);
    assert_true(file >= 0);
    uint8_t byte;
    assert_int_equal(pread(file, &byte, 1, 100), 1);
    byte ^= 1;
    assert_int_equal(pwrite(file, &byte, 1, 100), 1);
    close(file);
}

void rig_stop(struct rig *rig, char ret_digest[PARTITION_DIGEST_BYTES])
{
    struct problem problem = {0};
    if (partition_stop(rig->partition, ret_digest, &problem) != STATUS_OK)
        fail_msg("%s", problem.text);
    rig_crash(rig);
}

void rig_crash(struct rig *rig)
{
    partition_free(rig->partition);
    rig->partition = NULL;
}
