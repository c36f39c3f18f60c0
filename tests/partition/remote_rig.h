/*
 * remote_rig: the rig's engine with services in other processes, whose worker is the test. A lane
 * is named by its service and handler: "far.a".
 */
#ifndef TESTS_PARTITION_REMOTE_RIG_H
#define TESTS_PARTITION_REMOTE_RIG_H

#include "engine/partition/remote.h"
#include "tests/partition/rig.h"

struct partition_options remote_rig_options(const struct rig *rig);
void remote_rig_open(struct rig *rig, const char *definition);
uint32_t remote_rig_lane(struct rig *rig, const char *name);
/* The next call of that lane; where none comes in some turns, the test fails. */
struct remote_invocation remote_rig_take(struct rig *rig, const char *lane);
/* Its answer, of these bytes (NULL: none), and the error Far.No. */
enum status remote_rig_done(struct rig *rig, const char *lane, const struct remote_invocation *call,
                            const char *output);
enum status remote_rig_failed(struct rig *rig, const char *lane,
                              const struct remote_invocation *call, bool retryable);
/* The worker does not do it. */
void remote_rig_give_back(struct rig *rig, const char *lane, const struct remote_invocation *call);

#endif
