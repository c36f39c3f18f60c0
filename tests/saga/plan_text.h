/*
 * plan_text: definitions as the tests of plan write them: with ' for ", so that they can be read.
 */
#ifndef TESTS_SAGA_PLAN_TEXT_H
#define TESTS_SAGA_PLAN_TEXT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/saga/plan.h"

#define STATES(states)  "{'StartAt':'A','States':{" states "}}"
#define TASK(fields)    STATES("'A':{'Type':'Task','Resource':'service:s.h','End':true," fields "}")
#define RETRY(fields)   TASK("'Retry':[{'ErrorEquals':['E']," fields "}]")
#define PASS(fields)    STATES("'A':{'Type':'Pass','End':true," fields "}")
#define CHOICE(choices) STATES("'A':{'Type':'Choice','Choices':" choices "},'B':{'Type':'Succeed'}")
#define RULE(fields)    CHOICE("[{'Next':'B'," fields "}]")

/* The saga that is the example everywhere. */
#define ORDER_SAGA                                                                                 \
    "{'Comment':'Carries an order over three services.','StartAt':'Record','States':{"             \
    "'Record':{'Type':'Task','Resource':'service:order.record','ResultPath':null,"                 \
    "'Compensate':{'Resource':'service:order.void'},'Next':'Reserve'},"                            \
    "'Reserve':{'Type':'Task','Resource':'service:inventory.reserve','ResultPath':null,"           \
    "'Compensate':{'Resource':'service:inventory.release'},'Next':'Charge'},"                      \
    "'Charge':{'Type':'Task','Resource':'service:payment.charge','ResultPath':null,"               \
    "'Compensate':{'Resource':'service:payment.refund'},'Retry':[{'ErrorEquals':['Payment.Busy']," \
    "'IntervalSeconds':1,'MaxAttempts':3,'BackoffRate':2,'JitterStrategy':'FULL'}],"               \
    "'Next':'Confirm'},"                                                                           \
    "'Confirm':{'Type':'Task','Resource':'service:confirmation.confirm','FireAndForget':true,"     \
    "'End':true}}}"

/* Owned, and of exactly its size, so that a read beyond it is seen. */
static inline char *plan_text_quote(const char *text, size_t *ret_bytes)
{
    *ret_bytes = strlen(text);
    char *quoted = malloc(*ret_bytes + 1);
    assert_non_null(quoted);
    for (size_t i = 0; i <= *ret_bytes; i++)
        quoted[i] = text[i] == '\'' ? '"' : text[i];
    char *exact = malloc(*ret_bytes == 0 ? 1 : *ret_bytes);
    assert_non_null(exact);
    memcpy(exact, quoted, *ret_bytes);
    free(quoted);
    return exact;
}

static inline enum status plan_text_try(const char *text, struct plan **ret_plan,
                                        struct problem *problem)
{
    size_t bytes = 0;
    char *exact = plan_text_quote(text, &bytes);
    enum status status = plan_compile("order", "order.asl.json", exact, bytes, ret_plan, problem);
    free(exact);
    return status;
}

/* Fails the test, with the definition's fault, where it does not compile. */
static inline struct plan *plan_text_compile(const char *text)
{
    struct plan *plan = NULL;
    struct problem problem = {.text = ""};
    if (plan_text_try(text, &plan, &problem) != STATUS_OK)
        fail_msg("%s\n%s", problem.text, text);
    return plan;
}

static inline struct flyover_bytes plan_text_bytes(const char *text)
{
    return (struct flyover_bytes){.at = (const uint8_t *)text, .count = (uint32_t)strlen(text)};
}

#endif
