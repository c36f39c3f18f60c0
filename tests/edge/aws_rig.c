#include "tests/edge/aws_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct aws_rig_tag tags[AWS_RIG_ENDS_MAX];

void aws_rig_on_end(void *context, const struct aws_answer *answer)
{
    struct aws_rig_tag *tag = context;
    struct aws_rig *rig = tag->rig;
    assert_true(rig->ends_count < AWS_RIG_ENDS_MAX);
    struct aws_rig_end *end = &rig->ends[rig->ends_count++];
    end->no = tag->no;
    end->ok = answer->ok;
    end->retryable = answer->retryable;
    end->end = answer->http.end;
    end->status = answer->http.status;
    snprintf(end->error, sizeof end->error, "%s", answer->error);
    snprintf(end->message, sizeof end->message, "%s", answer->message);
    char *text =
        answer->json != NULL ? json_dumps(answer->json, JSON_COMPACT | JSON_ENCODE_ANY) : NULL;
    snprintf(end->json, sizeof end->json, "%s", text != NULL ? text : "");
    free(text);
}

static void on_retry(void *context)
{
    ((struct aws_rig_tag *)context)->rig->retries++;
}

int aws_rig_setup(void **state)
{
    struct aws_rig *rig = calloc(1, sizeof *rig);
    canned_world_init(&rig->canned);
    canned_set(&rig->canned, "AWS_ACCESS_KEY_ID", "AKIDEXAMPLE");
    canned_set(&rig->canned, "AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY");
    canned_set(&rig->canned, "AWS_REGION", "us-east-1");
    canned_set(&rig->canned, "AWS_EC2_METADATA_DISABLED", "true");
    rig->http = canned_http();
    *state = rig;
    return 0;
}

int aws_rig_teardown(void **state)
{
    struct aws_rig *rig = *state;
    aws_close(rig->aws);
    canned_http_free(rig->http);
    free(rig);
    return 0;
}

void aws_rig_open(struct aws_rig *rig, const char *config)
{
    struct problem problem;
    json_t *json = config != NULL ? json_loads(config, 0, NULL) : NULL;
    enum status status = aws_open_in(&rig->canned.world, rig->http, json, &rig->aws, &problem);
    json_decref(json);
    if (status != STATUS_OK)
        fail_msg("%s", problem.text);
}

struct aws_request aws_rig_request(struct aws_rig *rig, int no)
{
    tags[no] = (struct aws_rig_tag){rig, no};
    return (struct aws_request){
        .service = "sqs",
        .target = "AmazonSQS.SendMessage",
        .body = "{}",
        .body_bytes = 2,
        .timeout_ms = 30000,
        .answer_bytes_max = 65536,
        .on_end = aws_rig_on_end,
        .on_retry = on_retry,
        .context = &tags[no],
    };
}

void aws_rig_send(struct aws_rig *rig, int no)
{
    struct problem problem;
    struct aws_request request = aws_rig_request(rig, no);
    if (aws_send(rig->aws, &request, &problem) != STATUS_OK)
        fail_msg("%s", problem.text);
}

void aws_rig_turn(struct aws_rig *rig, int64_t ms)
{
    canned_pass_ms(&rig->canned, ms);
    for (int i = 0; i < 100 && aws_turn(rig->aws) == 0; i++)
        ;
}

void aws_rig_contains(const char *text, const char *part)
{
    if (strstr(text, part) == NULL)
        fail_msg("\"%s\" is not in \"%s\"", part, text);
}
