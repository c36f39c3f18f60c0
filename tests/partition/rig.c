#include "tests/partition/rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/partition/scripted.h"

int64_t rig_now_ms;

static int64_t wall_ms(void)
{
    return rig_now_ms;
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
        .built_in = {&scripted_service},
        .built_in_count = 1,
        .history_bytes = UINT64_MAX,
        .threadless = true,
        .wall_ms = wall_ms,
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
    if (partition_poll(rig->partition, &worked, &problem) != STATUS_OK)
        fail_msg("%s", problem.text);
    struct reply reply;
    uint32_t replies_count = 0;
    while (partition_next_reply(rig->partition, &reply))
        replies_count++;
    return replies_count;
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
