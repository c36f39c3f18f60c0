/* What is remembered of each thing that is asked: its bucket, its rate, its clock, its key. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "engine/edge/aws_parts.h"

static struct aws_target **chain_of(struct aws *aws, const char *name)
{
    uint32_t hash = 2166136261u;
    for (; *name != '\0'; name++)
        hash = (hash ^ (unsigned char)*name) * 16777619u;
    return &aws->targets[hash % AWS_TARGET_CHAINS];
}

static void free_target(struct aws *aws, struct aws_target **link)
{
    struct aws_target *target = *link;
    *link = target->next;
    aws->targets_count--;
    free(target->name);
    free(target);
}

/* The one that nobody holds and was not used for longest. */
static void forget_one(struct aws *aws)
{
    struct aws_target **oldest = NULL;
    for (uint32_t i = 0; i < AWS_TARGET_CHAINS; i++)
        for (struct aws_target **link = &aws->targets[i]; *link != NULL; link = &(*link)->next)
            if ((*link)->holders == 0 && (oldest == NULL || (*link)->used_no < (*oldest)->used_no))
                oldest = link;
    if (oldest != NULL)
        free_target(aws, oldest);
}

static struct aws_target *add_target(struct aws *aws, const char *name)
{
    if (aws->targets_count >= AWS_TARGETS_IDLE_MAX)
        forget_one(aws);
    struct aws_target *target = calloc(1, sizeof *target);
    char *copy = strdup(name);
    if (target == NULL || copy == NULL) {
        free(target);
        free(copy);
        return NULL;
    }
    target->name = copy;
    throttle_init(&target->throttle);
    struct aws_target **chain = chain_of(aws, name);
    target->next = *chain;
    *chain = target;
    aws->targets_count++;
    return target;
}

struct aws_target *aws_target_hold(struct aws *aws, const char *name)
{
    struct aws_target *target = *chain_of(aws, name);
    while (target != NULL && strcmp(target->name, name) != 0)
        target = target->next;
    if (target == NULL)
        target = add_target(aws, name);
    if (target == NULL)
        return NULL;
    target->holders++;
    target->used_no = ++aws->used_no;
    return target;
}

void aws_target_release(struct aws_target *target)
{
    assert(target->holders > 0);
    target->holders--;
}

void aws_targets_free(struct aws *aws)
{
    for (uint32_t i = 0; i < AWS_TARGET_CHAINS; i++)
        while (aws->targets[i] != NULL)
            free_target(aws, &aws->targets[i]);
}
