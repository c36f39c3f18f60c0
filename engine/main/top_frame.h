/*
 * top_frame: one screen of `flyover top` as lines of text, for a terminal or for --once.
 *
 *     flyover top  127.0.0.1:7233              2026-11-26 17:27:41 UTC
 *     steps/s      1.23M  ▁▂▃▅▇█▇▅
 *     ...
 *     SERVICE ...                              as many as there is room for
 *     STUCK ...                                the newest
 *
 * Threads: any. Memory: the caller's. Limits: lines are cut at `columns`, TOP_LINES_MAX of them.
 */
#ifndef ENGINE_MAIN_TOP_FRAME_H
#define ENGINE_MAIN_TOP_FRAME_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/main/top_sample.h"

#define TOP_LINES_MAX   80u
#define TOP_COLUMNS_MAX 240u
#define TOP_COLUMNS_MIN 60u
#define TOP_LINES_MIN   16u
#define TOP_LINE_BYTES  (4u * TOP_COLUMNS_MAX + 1)
#define TOP_HISTORY     128u

enum top_style { TOP_PLAIN, TOP_TITLE, TOP_HEAD, TOP_ALERT };

/* What is to be seen. */
struct top_view {
    const char *where;               /* whose figures */
    const struct top_sample *sample; /* NULL: none has come yet */
    const struct top_rates *rates;
    const char *trouble; /* a sentence: the engine does not answer; NULL: it does */
    uint64_t trouble_s;  /* for how long */
    double steps[TOP_HISTORY], sagas[TOP_HISTORY]; /* a second; oldest first */
    uint32_t history_count;
    uint32_t interval_ms;
    bool is_live; /* someone looks on, and may press keys */
    bool is_utf8;
    uint32_t columns, lines;
};

struct top_frame {
    uint32_t lines_count;
    enum top_style styles[TOP_LINES_MAX];
    char lines[TOP_LINES_MAX][TOP_LINE_BYTES];
};

void top_frame_make(const struct top_view *view, struct top_frame *ret_frame);

#endif
