#include <curses.h>
#include <errno.h>
#include <langinfo.h>
#include <locale.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "engine/base/clock.h"
#include "engine/main/command.h"
#include "engine/main/reach_remote.h"
#include "engine/main/report.h"
#include "engine/main/top_ask.h"
#include "engine/main/top_frame.h"

#define COMMAND         "top"
#define INTERVAL_MS_MIN 100
#define INTERVAL_MS_MAX 3600000
#define LOOK_MS         1000 /* at the latest: for how long the engine has been silent */
#define ONCE_COLUMNS    100u
#define NS_A_MS         1000000u

/* ---- options --------------------------------------------------------------------------------- */

struct top_options {
    struct top_target target;
    uint32_t interval_ms;
    bool once, json;
};

enum { KEY_ONCE = 1000, KEY_JSON };

static const struct argp_option options_list[] = {
    {"data", 'd', "DIR", 0, "Of the engine that runs on this data directory", 0},
    {"interval", 'i', "SECONDS", 0, "How often it is asked, 0.1 to 3600 (default: 1)", 0},
    {"once", KEY_ONCE, NULL, 0,
     "Print one frame as text and leave; rates are over one interval, which it waits for", 0},
    {"json", KEY_JSON, NULL, 0, "Print the figures once, as one JSON object, and leave", 0},
    {0},
};

static uint32_t parse_interval(const char *text, const struct argp_state *state)
{
    char *end;
    double ms = strtod(text, &end) * 1000;
    if (end == text || *end != '\0' || !(ms >= INTERVAL_MS_MIN && ms <= INTERVAL_MS_MAX))
        argp_error(state, "--interval takes 0.1 to 3600 seconds, not '%.80s'", text);
    return (uint32_t)ms;
}

static error_t parse_option(int key, char *text, struct argp_state *state)
{
    struct top_options *options = state->input;
    switch (key) {
    case ARGP_KEY_INIT: state->child_inputs[0] = &options->target.reach; return 0;
    case 'd': options->target.reach.directory = text; return 0;
    case 'i': options->interval_ms = parse_interval(text, state); return 0;
    case KEY_ONCE: options->once = true; return 0;
    case KEY_JSON: options->json = true; return 0;
    case ARGP_KEY_ARG: argp_error(state, "'%.80s' is no option", text); return 0;
    case ARGP_KEY_END:
        if ((options->target.reach.directory == NULL) == (options->target.reach.address == NULL))
            argp_error(state, "say which engine: with --data DIR, or with --connect ADDRESS");
        return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp argp = {
    options_list,
    parse_option,
    NULL,
    "Shows what an engine does while it runs: throughput, latency, sagas by state, services, "
    "journal, connections, and the newest sagas that are stuck. q quits."
    "\vExamples:\n  flyover top --data ./data\n  flyover top --connect 127.0.0.1:7233 --once",
    reach_argp_child,
    NULL,
    NULL,
};

/* ---- what is seen ---------------------------------------------------------------------------- */

/* The view, and all that it points to. */
struct top {
    struct top_options *options;
    struct top_view view;
    struct top_news news;
    struct top_rates rates;
    struct top_sample before;
    uint64_t seen_count;
    struct top_frame frame;
};

static bool is_utf8(void)
{
    /* Of characters alone: numbers stay as they are everywhere. */
    setlocale(LC_CTYPE, "");
    return strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
}

static void init_view(struct top *top)
{
    const struct reach *reach = &top->options->target.reach;
    top->view = (struct top_view){
        .where = reach->address != NULL ? reach->address : reach->directory,
        .rates = &top->rates,
        .interval_ms = top->options->interval_ms,
        .is_utf8 = is_utf8(),
    };
}

/* The oldest goes where there is no room. */
static void push(double values[TOP_HISTORY], uint32_t count, double value)
{
    if (count == TOP_HISTORY)
        memmove(values, values + 1, (TOP_HISTORY - 1) * sizeof *values);
    values[count < TOP_HISTORY ? count : TOP_HISTORY - 1] = value;
}

static void take_sample(struct top *top, const struct top_sample *sample)
{
    struct top_view *view = &top->view;
    top_rates_between(&top->before, sample, &top->rates);
    top->before = *sample;
    view->sample = &top->before;
    if (!top->rates.is_known)
        return;
    push(view->steps, view->history_count, top->rates.steps);
    push(view->sagas, view->history_count, top->rates.sagas_ended);
    if (view->history_count < TOP_HISTORY)
        view->history_count++;
}

/* ---- once ------------------------------------------------------------------------------------ */

static int print_json(struct top_options *options)
{
    json_t *figures;
    struct problem problem = {0};
    if (top_ask_json(&options->target, &figures, &problem) != STATUS_OK)
        return command_fail(COMMAND, &problem);
    report_print_json(figures, stdout);
    return EXIT_DONE;
}

static enum status take_two(struct top *top, struct problem *problem)
{
    static struct top_sample sample;
    const struct timespec pause = {top->options->interval_ms / 1000,
                                   (long)(top->options->interval_ms % 1000) * NS_A_MS};
    enum status status = top_ask(&top->options->target, &sample, problem);
    if (status != STATUS_OK)
        return status;
    take_sample(top, &sample);
    nanosleep(&pause, NULL);
    status = top_ask(&top->options->target, &sample, problem);
    if (status == STATUS_OK)
        take_sample(top, &sample);
    return status;
}

static int print_once(struct top *top)
{
    struct problem problem = {0};
    if (take_two(top, &problem) != STATUS_OK)
        return command_fail(COMMAND, &problem);
    top->view.columns = ONCE_COLUMNS;
    top->view.lines = TOP_LINES_MAX;
    top_frame_make(&top->view, &top->frame);
    for (uint32_t i = 0; i < top->frame.lines_count; i++) {
        char *line = top->frame.lines[i];
        size_t bytes = strlen(line);
        while (bytes > 0 && line[bytes - 1] == ' ')
            bytes--;
        printf("%.*s\n", (int)bytes, line);
    }
    return EXIT_DONE;
}

/* ---- on a terminal --------------------------------------------------------------------------- */

static uint32_t smaller(int value, uint32_t most)
{
    return value < 0 ? 0 : (uint32_t)value < most ? (uint32_t)value : most;
}

static void draw(struct top *top)
{
    static const attr_t attributes[] = {[TOP_PLAIN] = A_NORMAL,
                                        [TOP_TITLE] = A_REVERSE,
                                        [TOP_HEAD] = A_UNDERLINE,
                                        [TOP_ALERT] = A_BOLD};
    top->view.columns = smaller(COLS, TOP_COLUMNS_MAX);
    top->view.lines = smaller(LINES, TOP_LINES_MAX);
    top_frame_make(&top->view, &top->frame);
    erase();
    for (uint32_t i = 0; i < top->frame.lines_count; i++) {
        attrset((int)attributes[top->frame.styles[i]]);
        mvaddstr((int)i, 0, top->frame.lines[i]);
    }
    refresh();
}

static void take_news(struct top *top, struct top_asking *asking)
{
    struct top_view *view = &top->view;
    top_ask_news(asking, &top->news);
    view->trouble = top->news.has_trouble ? top->news.trouble : NULL;
    view->trouble_s =
        top->news.has_trouble ? (clock_now_ns() - top->news.trouble_ns) / 1000000000u : 0;
    if (top->news.samples_count == top->seen_count)
        return;
    top->seen_count = top->news.samples_count;
    take_sample(top, &top->news.sample);
}

/* False when it is to end: q, or the terminal is gone. A new size is a key, too. */
static bool read_keys(short happened)
{
    bool is_resized = false;
    for (int key; (key = getch()) != ERR;) {
        if (key == 'q' || key == 'Q')
            return false;
        is_resized |= key == KEY_RESIZE;
    }
    /* What a terminal does with its lines then differs: all anew. Not before the last getch, which
     * would draw the old frame again. */
    if (is_resized)
        clearok(stdscr, TRUE);
    return (happened & (POLLHUP | POLLERR | POLLNVAL)) == 0;
}

static void show(struct top *top, struct top_asking *asking)
{
    struct pollfd polled[] = {{.fd = STDIN_FILENO, .events = POLLIN},
                              {.fd = top_ask_fd(asking), .events = POLLIN}};
    do {
        take_news(top, asking);
        draw(top);
        polled[0].revents = 0;
        poll(polled, 2, LOOK_MS);
    } while (read_keys(polled[0].revents));
}

#if defined(__SANITIZE_ADDRESS__)
/* ncurses keeps what it has taken for a terminal that it then does not know. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
    return "leak:new_prescr\n";
}
#endif

static int run_live(struct top *top)
{
    struct problem problem = {0};
    struct top_asking *asking;
    if (isatty(STDIN_FILENO) == 0 || isatty(STDOUT_FILENO) == 0)
        return command_refuse(COMMAND, EXIT_USAGE,
                              "this is no terminal: ask for one frame as text with --once");
    SCREEN *screen = newterm(NULL, stdout, stdin);
    if (screen == NULL)
        return command_refuse(COMMAND, EXIT_USAGE,
                              "the terminal '%.80s' (TERM) is not known: name another, or ask for "
                              "one frame as text with --once",
                              getenv("TERM") == NULL ? "" : getenv("TERM"));
    noecho();
    cbreak();
    curs_set(0);
    nodelay(stdscr, TRUE);
    keypad(stdscr, TRUE);
    top->view.is_live = true;
    enum status status =
        top_ask_start(&top->options->target, top->options->interval_ms, &asking, &problem);
    if (status == STATUS_OK)
        show(top, asking);
    endwin();
    return status == STATUS_OK ? EXIT_DONE : command_fail(COMMAND, &problem);
}

int command_top(int argc, char **argv)
{
    static struct top_options options = {.interval_ms = 1000};
    static struct top top = {.options = &options};
    command_parse(&argp, argc, argv, &options);
    init_view(&top);
    if (options.json)
        return print_json(&options);
    return options.once ? print_once(&top) : run_live(&top);
}
