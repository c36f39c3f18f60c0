#include "tests/edge/http_rig.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/clock.h"

#define UNTIL_NS UINT64_C(60000000000)

static uint32_t ends_count;

static void on_end(void *context, const struct http_answer *answer)
{
    struct outcome *outcome = context;
    const char *type = http_answer_header(answer, "content-type");
    free(outcome->body);
    outcome->ends++;
    outcome->end = answer->end;
    outcome->status = answer->status;
    outcome->body_bytes = answer->body_bytes;
    outcome->body = malloc(answer->body_bytes + 1);
    assert_non_null(outcome->body);
    memcpy(outcome->body, answer->body, answer->body_bytes + 1);
    outcome->order = ++ends_count;
    snprintf(outcome->reason, sizeof outcome->reason, "%s", answer->reason);
    snprintf(outcome->sentence, sizeof outcome->sentence, "%s", answer->sentence);
    snprintf(outcome->type, sizeof outcome->type, "%s", type == NULL ? "" : type);
}

struct http_request http_rig_request(const char *url, struct outcome *outcome)
{
    return (struct http_request){.method = "POST",
                                 .url = url,
                                 .body = "{}",
                                 .body_bytes = 2,
                                 .timeout_ms = 60000,
                                 .answer_bytes_max = 1u << 20,
                                 .on_end = on_end,
                                 .context = outcome};
}

void http_rig_send(struct http *http, const struct http_request *request)
{
    struct problem problem = {0};
    if (http_send(http, request, &problem) != STATUS_OK)
        fail_msg("%s", problem.text);
}

void http_rig_until(struct http *http, const struct outcome *outcomes, uint32_t count)
{
    uint64_t since_ns = clock_now_ns();
    for (uint32_t i = 0; i < count;) {
        if (outcomes[i].ends > 0) {
            i++;
            continue;
        }
        if (clock_now_ns() - since_ns > UNTIL_NS)
            fail_msg("request %u of %u never ended", i, count);
        http_turn(http);
        if (outcomes[i].ends == 0)
            http_wait(http, NULL, 0, 1000);
    }
}

void http_rig_ask(struct http *http, const struct http_request *request, enum http_end end)
{
    struct outcome *outcome = request->context;
    http_rig_send(http, request);
    http_rig_until(http, outcome, 1);
    if (outcome->end != end)
        fail_msg("it ended by %d instead of %d: %s", (int)outcome->end, (int)end,
                 outcome->sentence);
    assert_int_equal(outcome->ends, 1);
}

void http_rig_free(struct outcome *outcomes, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        free(outcomes[i].body);
    memset(outcomes, 0, count * sizeof *outcomes);
}
