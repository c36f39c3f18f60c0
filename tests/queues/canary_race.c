/*
 * A race on purpose: the producer publishes a slot of the ring and fills it afterwards. Under
 * ThreadSanitizer this program must report a data race. If it does not, then the sanitizer does not
 * see what the ring orders and what it does not, and its silence about the other tests is
 * worthless.
 *
 * The two accesses race in whichever order they happen to run: nothing the consumer does is
 * acquired by the producer, and the release of ring_publish comes before the write.
 */
#include <assert.h>
#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>

#include "queues/ring.h"

static void *produce(void *argument)
{
    struct ring *ring = argument;
    uint32_t count = ring_reserve(ring, 1);
    assert(count == 1);
    uint32_t *slot = ring_slot(ring, 0);
    ring_publish(ring, count);
    *slot = 1;
    return NULL;
}

static void *consume(void *argument)
{
    struct ring *ring = argument;
    while (ring_peek(ring, 1) == 0)
        sched_yield();
    printf("the slot holds %u\n", *(const uint32_t *)ring_front(ring, 0));
    return NULL;
}

int main(void)
{
    struct ring *ring;
    if (ring_open(&ring, 8, sizeof(uint32_t)) != STATUS_OK)
        return 1;
    pthread_t producer, consumer;
    if (pthread_create(&producer, NULL, produce, ring) != 0 ||
        pthread_create(&consumer, NULL, consume, ring) != 0)
        return 1;
    pthread_join(producer, NULL);
    pthread_join(consumer, NULL);
    ring_close(ring);
    return 0;
}
