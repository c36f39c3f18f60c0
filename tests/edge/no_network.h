/*
 * no_network: http.h and aws.h without a network: it waits for what modules wait for, and can be
 * woken. For tests of the frame.
 */
#ifndef TESTS_EDGE_NO_NETWORK_H
#define TESTS_EDGE_NO_NETWORK_H

#include <stdatomic.h>
#include <stdint.h>

/* Since the program began. */
extern _Atomic uint32_t no_http_open, no_http_wakes, no_aws_open;
extern _Atomic uint64_t no_http_waits;
/* The next open says that it cannot. */
extern bool no_http_refuses, no_aws_refuses;
/* Called by aws_turn; its value is what aws_turn says. NULL: never. */
extern int64_t (*no_aws_turn)(void);

#endif
