/*
 * sqs_stub: as much of SQS's JSON protocol as a bridge needs, answered at once by a process of its
 * own on loopback: ReceiveMessage, DeleteMessageBatch, SendMessageBatch,
 * ChangeMessageVisibilityBatch and GetQueueAttributes, of one queue whose messages are all alike
 * and are never given twice. Nothing is checked and no signature is looked at: it is there so that
 * the server is not what is measured. A receive that finds nothing waits STUB_WAIT_MS.
 *
 * Threads: one process, one epoll. Memory: STUB_CONNECTIONS_MAX connections of fixed size.
 */
#ifndef BENCH_SQS_STUB_H
#define BENCH_SQS_STUB_H

#include <stdatomic.h>
#include <stdint.h>
#include <sys/types.h>

#define STUB_CONNECTIONS_MAX 256u
#define STUB_WAIT_MS         1000

/* What a message's body is. */
#define STUB_BODY "{\"order\":123456,\"sku\":\"85123A\",\"quantity\":6,\"price\":2.55}"

/* Shared with the process. */
struct sqs_stub {
    _Atomic uint64_t stock;    /* messages that may still be received; set by who measures */
    _Atomic uint64_t requests; /* of all kinds */
    _Atomic uint64_t received, deleted, sent;
    _Atomic uint32_t delay_us; /* what each answer but an empty receive's waits; 0: none */
    uint16_t port;
    pid_t pid;
};

/* Ends with whoever opened it. Aborts where it cannot be had. */
struct sqs_stub *sqs_stub_open(void);
void sqs_stub_close(struct sqs_stub *stub);

#endif
