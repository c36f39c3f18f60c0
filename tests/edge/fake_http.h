/*
 * fake_http: http.h and aws.h without a network: it waits for what modules wait for, and can be
 * woken. For tests of the frame.
 */
#ifndef TESTS_EDGE_FAKE_HTTP_H
#define TESTS_EDGE_FAKE_HTTP_H

#include <stdatomic.h>
#include <stdint.h>

/* Since the program began. */
extern _Atomic uint32_t fake_http_open, fake_http_wakes, fake_aws_open;
extern _Atomic uint64_t fake_http_waits;
/* The next open says that it cannot. */
extern bool fake_http_refuses, fake_aws_refuses;
/* Called by aws_turn; its value is what aws_turn says. NULL: never. */
extern int64_t (*fake_aws_turn)(void);

#endif
