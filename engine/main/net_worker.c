#include "engine/main/net_worker.h"

#include <stddef.h>

#include "engine/main/reach_remote.h"

#define FLUSH_EVERY 256u

/* As tools/orders/order.asl.json, of services for which there is no plug-in. */
#define STEP(name, service, forward, backward, more)                                               \
    "\"" name "\":{\"Type\":\"Task\",\"Resource\":\"service:" service "." forward "\","            \
    "\"Compensate\":{\"Resource\":\"service:" service "." backward "\"},\"ResultPath\":null," more \
    "}"
const char net_worker_text[] = "{\"StartAt\":\"Record\",\"States\":{" STEP(
    "Record", "bench_order", "record", "void",
    "\"Next\":\"Reserve\"") "," STEP("Reserve", "bench_inventory", "reserve", "release",
                                     "\"Next\":\"Charge\"") "," STEP("Charge", "bench_payment",
                                                                     "charge", "refund",
                                                                     "\"Next\":\"Confirm\"") ","
                                                                                             "\"Con"
                                                                                             "firm"
                                                                                             "\":{"
                                                                                             "\"Typ"
                                                                                             "e\":"
                                                                                             "\"Tas"
                                                                                             "k\","
                                                                                             "\"Res"
                                                                                             "ource"
                                                                                             "\":"
                                                                                             "\"ser"
                                                                                             "vice:"
                                                                                             "bench"
                                                                                             "_conf"
                                                                                             "irmat"
                                                                                             "ion."
                                                                                             "confi"
                                                                                             "rm\","
                                                                                             "\"Res"
                                                                                             "ultPa"
                                                                                             "th\":"
                                                                                             "null,"
                                                                                             "\"End"
                                                                                             "\":"
                                                                                             "true}"
                                                                                             "}}";

static const struct {
    const char *service;
    const char *handlers[2];
    uint32_t handlers_count;
} services[] = {
    {"bench_order", {"record", "void"}, 2},
    {"bench_inventory", {"reserve", "release"}, 2},
    {"bench_payment", {"charge", "refund"}, 2},
    {"bench_confirmation", {"confirm"}, 1},
};

enum status net_worker_open(struct net_worker *worker, const struct flyover_client_options *options,
                            uint32_t credit, struct problem *problem)
{
    enum flyover_status status = flyover_connect(options, &worker->client);
    if (status != FLYOVER_OK)
        return problem_set(problem, reach_status(status), "%s", flyover_connect_problem());
    for (size_t i = 0; i < sizeof services / sizeof services[0]; i++) {
        status = flyover_register(worker->client, services[i].service, services[i].handlers,
                                  services[i].handlers_count, credit);
        if (status != FLYOVER_OK)
            return problem_set(problem, reach_status(status), "as a worker: %s",
                               flyover_problem(worker->client));
    }
    return STATUS_OK;
}

/* A registration that was refused after a cut. */
static void look_at_answers(struct net_worker *worker, struct problem *problem)
{
    struct flyover_answer_message answer;
    while (flyover_next(worker->client, &answer, 0))
        if (answer.kind == FLYOVER_REFUSED_REQUEST && problem->status == STATUS_OK)
            problem_set(problem, reach_status(answer.status), "as a worker: %s", answer.problem);
}

uint64_t net_worker_turn(struct net_worker *worker, bool look, struct problem *problem)
{
    struct flyover_invocation invocation;
    uint64_t count = 0;
    while (flyover_next_invocation(worker->client, &invocation, 0)) {
        /* One that is late was handed out again: it is done there. */
        enum flyover_status status = flyover_answer_done(worker->client, invocation.id, NULL, 0);
        count += status == FLYOVER_OK;
        if (count % FLUSH_EVERY == 0)
            flyover_flush(worker->client);
    }
    flyover_flush(worker->client);
    if (look)
        look_at_answers(worker, problem);
    if (flyover_is_lost(worker->client) && problem->status == STATUS_OK)
        problem_set(problem, STATUS_IO, "as a worker: %s", flyover_problem(worker->client));
    return count;
}

void net_worker_close(struct net_worker *worker)
{
    flyover_close(worker->client);
    worker->client = NULL;
}
