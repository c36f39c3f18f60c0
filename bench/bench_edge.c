/*
 * bench_edge: messages a second through the edges of SQS, beside a bare loop of libcurl that does
 * the same batches over as many connections, in one run, one after the other:
 *
 *     out  the loop:   SendMessageBatch of ten
 *          the engine: sagas that wait until a moment, and then do sqs:sendMessage
 *     in   the loop:   ReceiveMessage of ten, then DeleteMessageBatch of them
 *          the engine: a queue of sqs_in, each message of which starts a saga that ends at once
 *
 * The engine is `flyover serve` with an fsync a block, of its own data directory under $TMPDIR. The
 * loop signs nothing, reads of an answer its receipt handles, and keeps nothing. It begins when the
 * server has rested for as long as it did while the engine started: one that has a garbage
 * collector is slower after a rest.
 *
 * Without an argument the server is sqs_stub, which answers at once, and again with 5 ms for each
 * answer, as a service that is further away has; with http://127.0.0.1:PORT it is whatever speaks
 * SQS's JSON there, such as tests/edge/servers/fauxqs.mjs: each step then takes out of the queue
 * what the one before has put in. It shares the machine: `taskset` gives the server a core, and the
 * loop and the engine another.
 */
#include <curl/curl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "bench/measure.h"
#include "bench/sqs_stub.h"
#include "engine/base/clock.h"
#include "engine/client/flyover.h"

#define CONNECTIONS  8u /* of each kind of request, as the edges have by default */
#define BATCH        10u
#define ANSWER_BYTES (16u << 10)
#define WINDOW       4096u
#define URL_BYTES    128u
#define PATH_BYTES   256u
#define NS_A_S       1e9
/* How often a server is asked how much is left: not so often that it has to do with it, and for
 * the first and the last of them as often as it takes to know when. */
#define LOOK_FIRST_US       1000u
#define SERVER_LOOK_MS      20u
#define SERVER_LOOK_LAST_MS 2u
#define WARM_ROUNDS         4u
#define SAGAS_MAX           "524288" /* more than twice as many as there are messages */
#define START_S             3        /* in which all sagas are started */
/* What the engine's sagas send, with the key by which a message that is sent twice is known. */
#define ENTRY                                                                                      \
    "%s{\"Id\":\"%u\",\"MessageBody\":\"{\\\"order\\\":%u,\\\"sku\\\":\\\"85123A\\\","             \
    "\\\"quantity\\\":6,\\\"price\\\":2.55}\",\"MessageAttributes\":{\"FlyoverKey\":{"             \
    "\"DataType\":"                                                                                \
    "\"String\",\"StringValue\":\"0123456789abcdef-123456-0\"}}}"

struct bench {
    struct measure measure;
    struct sqs_stub *stub; /* NULL: another server */
    char origin[64], queue_url[URL_BYTES];
    uint32_t messages;
    const char *server; /* as the figures name it */
    char directory[PATH_BYTES];
    pid_t engine;
};

static _Noreturn void fail(const struct bench *bench, const char *format, const char *what)
{
    struct problem problem = {0};
    (void)problem_set(&problem, STATUS_INVALID, format, what);
    if (bench->engine > 0)
        kill(bench->engine, SIGKILL);
    measure_fail(&bench->measure, &problem);
}

static uint64_t cpu_ns_of(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* ---- requests -----------------------------------------------------------------------------------
 */

enum kind { SEND, RECEIVE, DELETE, KINDS };

struct request {
    CURL *easy;
    enum kind kind;
    struct request *next; /* that is idle */
    uint32_t count;       /* messages in it */
    uint32_t answer_bytes;
    char answer[ANSWER_BYTES + 1], body[ANSWER_BYTES];
};

struct loop {
    struct bench *bench;
    CURLM *multi;
    struct curl_slist *headers[KINDS];
    struct request *idle[KINDS];
    uint32_t left;      /* to send */
    uint32_t finished;  /* sent, or deleted */
    uint32_t asked;     /* messages that receives under way may bring, and that came */
    uint32_t under_way; /* receives, and deletes of what they brought */
};

static size_t on_answer(char *more, size_t size, size_t count, void *context)
{
    struct request *request = context;
    count *= size;
    if (count > ANSWER_BYTES - request->answer_bytes)
        return 0;
    memcpy(request->answer + request->answer_bytes, more, count);
    request->answer_bytes += (uint32_t)count;
    request->answer[request->answer_bytes] = '\0';
    return count;
}

static struct curl_slist *headers_of(const char *action)
{
    char target[64];
    snprintf(target, sizeof target, "X-Amz-Target: AmazonSQS.%s", action);
    struct curl_slist *list = curl_slist_append(NULL, "Content-Type: application/x-amz-json-1.0");
    return curl_slist_append(list, target);
}

static CURL *make_easy(const struct bench *bench, struct request *request,
                       struct curl_slist *headers)
{
    CURL *easy = curl_easy_init();
    curl_easy_setopt(easy, CURLOPT_URL, bench->origin);
    curl_easy_setopt(easy, CURLOPT_POST, 1L);
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_answer);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, request);
    curl_easy_setopt(easy, CURLOPT_PRIVATE, request);
    curl_easy_setopt(easy, CURLOPT_PROXY, "");
    return easy;
}

/* One request and its answer, whatever it says; the answer is valid until the next. On one
 * connection, which costs the server least while it is measured. */
static const char *ask(const struct bench *bench, const char *action, const char *body)
{
    static struct request request;
    request.answer_bytes = 0;
    struct curl_slist *headers = headers_of(action);
    if (request.easy == NULL)
        request.easy = make_easy(bench, &request, headers);
    curl_easy_setopt(request.easy, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(request.easy, CURLOPT_POSTFIELDS, body);
    if (curl_easy_perform(request.easy) != CURLE_OK)
        fail(bench, "%s does not answer", bench->origin);
    curl_slist_free_all(headers);
    return request.answer;
}

static uint64_t number_after(const char *text, const char *before)
{
    const char *at = strstr(text, before);
    return at == NULL ? 0 : strtoull(at + strlen(before), NULL, 10);
}

/* Messages in the queue, those that were received and not deleted too. */
static uint64_t depth(const struct bench *bench)
{
    char body[2 * URL_BYTES];
    snprintf(body, sizeof body, "{\"QueueUrl\":\"%s\",\"AttributeNames\":[\"All\"]}",
             bench->queue_url);
    const char *answer = ask(bench, "GetQueueAttributes", body);
    return number_after(answer, "\"ApproximateNumberOfMessages\":\"") +
           number_after(answer, "\"ApproximateNumberOfMessagesNotVisible\":\"");
}

/* Another each time: to who received from the last one and was killed, messages may still go. */
static void make_queue(struct bench *bench)
{
    static uint32_t queue_no;
    char body[64];
    snprintf(body, sizeof body, "{\"QueueName\":\"bench-%d-%u\"}", (int)getpid(), queue_no++);
    const char *answer = ask(bench, "CreateQueue", body);
    const char *url = strstr(answer, "\"QueueUrl\":\"");
    if (url == NULL)
        fail(bench, "no queue can be made: %.200s", answer);
    url += strlen("\"QueueUrl\":\"");
    snprintf(bench->queue_url, URL_BYTES, "%.*s", (int)strcspn(url, "\""), url);
}

/* ---- the bare loop ------------------------------------------------------------------------------
 */

static void go(struct loop *loop, struct request *request)
{
    request->answer_bytes = 0;
    curl_easy_setopt(request->easy, CURLOPT_POSTFIELDSIZE, (long)strlen(request->body));
    curl_easy_setopt(request->easy, CURLOPT_POSTFIELDS, request->body);
    curl_multi_add_handle(loop->multi, request->easy);
}

static struct request *take_idle(struct loop *loop, enum kind kind)
{
    struct request *request = loop->idle[kind];
    if (request != NULL)
        loop->idle[kind] = request->next;
    return request;
}

static void give_idle(struct loop *loop, struct request *request)
{
    request->next = loop->idle[request->kind];
    loop->idle[request->kind] = request;
}

static void send_some(struct loop *loop)
{
    struct request *request;
    while (loop->left > 0 && (request = take_idle(loop, SEND)) != NULL) {
        request->count = loop->left < BATCH ? loop->left : BATCH;
        char *at = request->body + sprintf(request->body, "{\"QueueUrl\":\"%s\",\"Entries\":[",
                                           loop->bench->queue_url);
        for (uint32_t i = 0; i < request->count; i++)
            at += sprintf(at, ENTRY, i == 0 ? "" : ",", i, loop->left - i);
        strcpy(at, "]}");
        loop->left -= request->count;
        go(loop, request);
    }
}

static void receive_some(struct loop *loop)
{
    struct request *request;
    while (loop->asked < loop->bench->messages && loop->under_way < 2 * CONNECTIONS &&
           (request = take_idle(loop, RECEIVE)) != NULL) {
        uint32_t left = loop->bench->messages - loop->asked;
        request->count = left < BATCH ? left : BATCH;
        snprintf(request->body, sizeof request->body,
                 "{\"QueueUrl\":\"%s\",\"MaxNumberOfMessages\":%u,\"WaitTimeSeconds\":20}",
                 loop->bench->queue_url, request->count);
        loop->asked += request->count;
        loop->under_way++;
        go(loop, request);
    }
}

static void on_end(struct loop *loop, struct request *request);

/* Of those that `received` brought; there is one idle for each receive. */
static void delete_them(struct loop *loop, const struct request *received, struct request *request)
{
    static const char before[] = "\"ReceiptHandle\":\"";
    const char *handle = received->answer;
    char *at = request->body +
               sprintf(request->body, "{\"QueueUrl\":\"%s\",\"Entries\":[", loop->bench->queue_url);
    request->count = 0;
    while ((handle = strstr(handle, before)) != NULL) {
        handle += strlen(before);
        at += sprintf(at, "%s{\"Id\":\"%u\",\"ReceiptHandle\":\"%.*s\"}",
                      request->count == 0 ? "" : ",", request->count, (int)strcspn(handle, "\""),
                      handle);
        request->count++;
    }
    strcpy(at, "]}");
    loop->asked -= received->count - request->count;
    if (request->count > 0)
        go(loop, request);
    else
        on_end(loop, request);
}

static void on_end(struct loop *loop, struct request *request)
{
    loop->under_way -= request->kind == DELETE;
    if (request->kind != RECEIVE)
        loop->finished += request->count;
    else
        delete_them(loop, request, take_idle(loop, DELETE));
    give_idle(loop, request);
}

static void take_ended(struct loop *loop)
{
    int left;
    CURLMsg *message;
    while ((message = curl_multi_info_read(loop->multi, &left)) != NULL) {
        struct request *request = NULL;
        long status = 0;
        CURLcode code = message->data.result;
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &request);
        curl_easy_getinfo(message->easy_handle, CURLINFO_RESPONSE_CODE, &status);
        curl_multi_remove_handle(loop->multi, request->easy);
        if (code != CURLE_OK || status != 200)
            fail(loop->bench, "the server fails: %.200s", request->answer);
        on_end(loop, request);
    }
}

static void open_requests(struct loop *loop, enum kind kind, const char *action, uint32_t count)
{
    loop->headers[kind] = headers_of(action);
    for (uint32_t i = 0; i < count; i++) {
        struct request *request = calloc(1, sizeof *request);
        request->kind = kind;
        request->easy = make_easy(loop->bench, request, loop->headers[kind]);
        give_idle(loop, request);
    }
}

static void close_requests(struct loop *loop, enum kind kind)
{
    struct request *request;
    while ((request = take_idle(loop, kind)) != NULL) {
        curl_easy_cleanup(request->easy);
        free(request);
    }
    curl_slist_free_all(loop->headers[kind]);
}

static void run_loop(struct bench *bench, bool is_in)
{
    int running;
    struct loop loop = {.bench = bench, .left = is_in ? 0 : bench->messages};
    loop.multi = curl_multi_init();
    open_requests(&loop, SEND, "SendMessageBatch", CONNECTIONS);
    open_requests(&loop, RECEIVE, "ReceiveMessage", CONNECTIONS);
    /* As many as receives can ask for, so that none waits: what limits them is how fast they end.
     */
    open_requests(&loop, DELETE, "DeleteMessageBatch", 2 * CONNECTIONS);
    while (loop.finished < bench->messages) {
        if (is_in)
            receive_some(&loop);
        else
            send_some(&loop);
        curl_multi_poll(loop.multi, NULL, 0, 100, NULL);
        curl_multi_perform(loop.multi, &running);
        take_ended(&loop);
    }
    for (enum kind kind = 0; kind < KINDS; kind++)
        close_requests(&loop, kind);
    curl_multi_cleanup(loop.multi);
}

/* ---- the engine ---------------------------------------------------------------------------------
 */

static void write_file(const struct bench *bench, const char *name, const char *format,
                       const char *first, const char *second)
{
    char path[PATH_BYTES + 32];
    snprintf(path, sizeof path, "%s/%s", bench->directory, name);
    FILE *file = fopen(path, "w");
    if (file == NULL)
        fail(bench, "%s cannot be written", path);
    fprintf(file, format, first, second);
    fclose(file);
}

static void write_files(const struct bench *bench, bool is_in)
{
    write_file(bench, "in.asl.json", "%s%s",
               "{\"StartAt\":\"A\",\"States\":{\"A\":{\"Type\":\"Pass\",\"End\":true}}}", "");
    write_file(bench, "out.asl.json",
               "{\"StartAt\":\"W\",\"States\":{\"W\":{\"Type\":\"Wait\",\"TimestampPath\":"
               "\"$.at\",\"Next\":\"A\"},\"A\":{\"Type\":\"Task\",\"Resource\":"
               "\"arn:aws:states:::sqs:sendMessage\",\"Parameters\":{\"QueueUrl\":\"%s\","
               "\"MessageBody.$\":\"$.body\"},\"End\":true}}}%s",
               bench->queue_url, "");
    write_file(bench, "edges.yaml",
               is_in ? "aws: {region: eu-central-1, endpoint_url: \"%s\"}\n"
                       "sqs_in: {queues: [{url: \"%s\", definition: in}]}\n"
                     : "aws: {region: eu-central-1, endpoint_url: \"%s\"}\nsqs: {}\n# %s\n",
               bench->origin, bench->queue_url);
}

static void run_engine(const struct bench *bench)
{
    if (chdir(bench->directory) != 0)
        _exit(1);
    freopen("log", "w", stdout);
    freopen("log", "a", stderr);
    setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE", 1);
    setenv("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", 1);
    execl(BENCH_FLYOVER, "flyover", "serve", "--data", "data", "--listen", "unix:sock", "--define",
          "in.asl.json", "--define", "out.asl.json", "--edges", "edges.yaml", "--sagas-max",
          SAGAS_MAX, NULL);
    _exit(127);
}

static void begin_engine(struct bench *bench, bool is_in)
{
    const char *under = getenv("TMPDIR");
    snprintf(bench->directory, PATH_BYTES, "%s/flyover-bench-edge-XXXXXX",
             under == NULL ? "/tmp" : under);
    if (mkdtemp(bench->directory) == NULL)
        fail(bench, "%s cannot be made", bench->directory);
    write_files(bench, is_in);
    bench->engine = fork();
    if (bench->engine == 0)
        run_engine(bench);
}

static uint64_t engine_cpu_ns(const struct bench *bench)
{
    clockid_t clock;
    if (waitpid(bench->engine, NULL, WNOHANG) != 0 ||
        clock_getcpuclockid(bench->engine, &clock) != 0)
        fail(bench, "the engine has ended; see %s/log", bench->directory);
    return cpu_ns_of(clock);
}

static void end_engine(struct bench *bench)
{
    char command[PATH_BYTES + 16];
    snprintf(command, sizeof command, "rm -r '%s'", bench->directory);
    kill(bench->engine, SIGKILL);
    waitpid(bench->engine, NULL, 0);
    bench->engine = 0;
    if (system(command) != 0)
        fail(bench, "%s cannot be removed", bench->directory);
}

static struct flyover_client *connect_client(const struct bench *bench)
{
    char address[PATH_BYTES + 16];
    snprintf(address, sizeof address, "unix:%s/sock", bench->directory);
    struct flyover_client_options options = {.address = address};
    struct flyover_client *client;
    for (uint32_t i = 0; i < 10000; i++, usleep(1000)) {
        if (flyover_connect(&options, &client) == FLYOVER_OK)
            return client;
        (void)engine_cpu_ns(bench);
    }
    fail(bench, "nobody listens at %s", address);
}

/* ---- what is measured ---------------------------------------------------------------------------
 */

struct taken {
    uint64_t messages;
    double wall_s, cpu_s;
    double requests; /* of the stub; 0: nobody counts them */
    double rest_s;   /* of the server, before */
};

/* When it began, until `since`. */
struct from {
    uint64_t ns, cpu_ns, requests, messages;
};

static uint64_t requests_of(const struct bench *bench)
{
    return bench->stub == NULL ? 0 : atomic_load(&bench->stub->requests);
}

static struct from begin(const struct bench *bench, uint64_t cpu_ns, uint64_t messages)
{
    return (struct from){clock_now_ns(), cpu_ns, requests_of(bench), messages};
}

static struct taken since(const struct bench *bench, const struct from *from, uint64_t cpu_ns)
{
    return (struct taken){.messages = from->messages,
                          .wall_s = (double)(clock_now_ns() - from->ns) / NS_A_S,
                          .cpu_s = (double)(cpu_ns - from->cpu_ns) / NS_A_S,
                          .requests = (double)(requests_of(bench) - from->requests)};
}

/* Of what the queue held when all began: how many are not deleted. */
static uint64_t left_in(const struct bench *bench, uint64_t deleted_before)
{
    if (bench->stub == NULL)
        return depth(bench);
    return bench->messages - (atomic_load(&bench->stub->deleted) - deleted_before);
}

/* Of what is to be sent: how many have not come to the queue, which was empty. One that came twice
 * is one more. */
static uint64_t left_out(const struct bench *bench, uint64_t sent_before)
{
    uint64_t sent =
        bench->stub == NULL ? depth(bench) : atomic_load(&bench->stub->sent) - sent_before;
    return sent < bench->messages ? bench->messages - sent : 0;
}

/* But for a look now and then, as while it waits for the first of the engine's. */
static void let_rest(const struct bench *bench, double rest_s)
{
    uint64_t from_ns = clock_now_ns();
    while ((double)(clock_now_ns() - from_ns) / NS_A_S < rest_s) {
        (void)left_in(bench, 0);
        usleep(LOOK_FIRST_US);
    }
}

static struct taken measure_loop(struct bench *bench, bool is_in, double rest_s)
{
    let_rest(bench, rest_s);
    if (is_in && bench->stub != NULL)
        atomic_store(&bench->stub->stock, bench->messages);
    struct from from = begin(bench, cpu_ns_of(CLOCK_PROCESS_CPUTIME_ID), bench->messages);
    run_loop(bench, is_in);
    return since(bench, &from, cpu_ns_of(CLOCK_PROCESS_CPUTIME_ID));
}

static uint32_t look_ms(const struct bench *bench, uint64_t left)
{
    if (bench->stub != NULL)
        return 1;
    return left < bench->messages / 20 ? SERVER_LOOK_LAST_MS : SERVER_LOOK_MS;
}

/* From when the first is done to when all are; the server has rested since `begun_ns`. */
static struct taken measure_engine(const struct bench *bench,
                                   uint64_t (*left_of)(const struct bench *, uint64_t before),
                                   uint64_t before, uint64_t begun_ns)
{
    uint64_t left;
    while ((left = left_of(bench, before)) == bench->messages)
        usleep(LOOK_FIRST_US);
    struct from from = begin(bench, engine_cpu_ns(bench), left);
    while ((left = left_of(bench, before)) > 0)
        usleep(1000 * look_ms(bench, left));
    struct taken taken = since(bench, &from, engine_cpu_ns(bench));
    taken.rest_s = (double)(from.ns - begun_ns) / NS_A_S;
    return taken;
}

static struct taken measure_in(struct bench *bench)
{
    uint64_t deleted = bench->stub == NULL ? 0 : atomic_load(&bench->stub->deleted);
    if (bench->stub != NULL)
        atomic_store(&bench->stub->stock, bench->messages);
    uint64_t begun_ns = clock_now_ns();
    begin_engine(bench, true);
    struct taken taken = measure_engine(bench, left_in, deleted, begun_ns);
    end_engine(bench);
    return taken;
}

/* Each waits until `begin_s`, so that who starts them is done when they begin. */
static void start_sagas(const struct bench *bench, struct flyover_client *client, time_t begin_s)
{
    char input[128] = "\x82\xa2"
                      "at\xb4";
    static const char body[] =
        "\xa4"
        "body\x84\xa5order\xce\x00\x01\x86\xa0\xa3sku\xa6"
        "85123A\xa8quantity\x06\xa5price\xcb\x40\x04\x66\x66\x66\x66\x66\x66";
    size_t bytes = strlen(input);
    struct tm tm;
    bytes += strftime(input + bytes, sizeof input - bytes, "%Y-%m-%dT%H:%M:%SZ",
                      gmtime_r(&begin_s, &tm));
    memcpy(input + bytes, body, sizeof body - 1);
    const struct flyover_start start = {
        .definition = "out", .input = input, .input_bytes = (uint32_t)(bytes + sizeof body - 1)};
    struct flyover_answer_message answer;
    for (uint32_t sent = 0, accepted = 0; accepted < bench->messages; accepted++) {
        for (; sent < bench->messages && sent - accepted < WINDOW; sent++)
            if (flyover_send_start(client, &start, FLYOVER_AT_ACCEPTANCE, sent) != FLYOVER_OK)
                fail(bench, "the engine takes no starts; see %s/log", bench->directory);
        if (!flyover_next(client, &answer, -1) || answer.kind != FLYOVER_STARTED)
            fail(bench, "the engine refuses a start; see %s/log", bench->directory);
    }
    if (time(NULL) >= begin_s)
        fail(bench, "%s: the sagas were not all started in time", bench->server);
}

static struct taken measure_out(struct bench *bench)
{
    uint64_t sent = bench->stub == NULL ? 0 : atomic_load(&bench->stub->sent);
    uint64_t begun_ns = clock_now_ns();
    begin_engine(bench, false);
    struct flyover_client *client = connect_client(bench);
    start_sagas(bench, client, time(NULL) + START_S);
    flyover_close(client);
    struct taken taken = measure_engine(bench, left_out, sent, begun_ns);
    end_engine(bench);
    return taken;
}

static double rate_of(const struct taken *taken)
{
    return (double)taken->messages / taken->wall_s;
}

static void note_one(struct bench *bench, const char *way, const char *who,
                     const struct taken *taken)
{
    double messages = (double)taken->messages;
    struct measure *measure = &bench->measure;
    measure_add(measure, rate_of(taken), "/s", "%s, %s, %s", bench->server, way, who);
    measure_add(measure, 1e6 * taken->cpu_s / messages, "us", "%s, %s, %s: CPU a message",
                bench->server, way, who);
    if (bench->stub != NULL)
        measure_add(measure, 100 * taken->requests / messages, "", "%s, %s, %s: requests a hundred",
                    bench->server, way, who);
}

static void note(struct bench *bench, const char *way, const struct taken *loop,
                 const struct taken *engine)
{
    note_one(bench, way, "bare loop", loop);
    note_one(bench, way, "engine", engine);
    measure_add(&bench->measure, 100 * rate_of(engine) / rate_of(loop), "%",
                "%s, %s, engine of bare loop", bench->server, way);
}

/* One that translates its own code while it runs is two to three times as fast after some rounds,
 * which would count for whoever comes second. */
static void warm_up(struct bench *bench)
{
    for (uint32_t i = 0; i < WARM_ROUNDS; i++) {
        make_queue(bench);
        run_loop(bench, false);
        run_loop(bench, true);
    }
}

static void measure_server(struct bench *bench, const char *server, uint32_t messages)
{
    bench->server = server;
    bench->messages = messages;
    if (bench->stub == NULL)
        warm_up(bench);
    for (uint32_t i = 0; i < bench->measure.repetitions; i++) {
        if (bench->stub == NULL)
            make_queue(bench);
        struct taken engine = measure_out(bench);
        struct taken engine_in = measure_in(bench);
        if (bench->stub == NULL)
            make_queue(bench);
        struct taken loop = measure_loop(bench, false, engine.rest_s);
        struct taken loop_in = measure_loop(bench, true, engine_in.rest_s);
        note(bench, "out", &loop, &engine);
        note(bench, "in", &loop_in, &engine_in);
    }
}

static void measure_stub(struct bench *bench)
{
    bool quick = bench->measure.quick;
    bench->stub = sqs_stub_open();
    snprintf(bench->origin, sizeof bench->origin, "http://127.0.0.1:%u", bench->stub->port);
    snprintf(bench->queue_url, URL_BYTES, "%s/000000000000/bench", bench->origin);
    measure_server(bench, "stub", quick ? 20000 : 200000);
    atomic_store(&bench->stub->delay_us, 5000);
    measure_server(bench, "stub, 5 ms", quick ? 10000 : 50000);
    sqs_stub_close(bench->stub);
}

int main(int argc, char **argv)
{
    static struct bench bench;
    measure_init(&bench.measure, argc, argv,
                 "Messages through the edges of SQS; ARGUMENT: a server's http://HOST:PORT.");
    signal(SIGPIPE, SIG_IGN);
    curl_global_init(CURL_GLOBAL_DEFAULT);
    if (bench.measure.argument == NULL) {
        measure_stub(&bench);
    } else {
        snprintf(bench.origin, sizeof bench.origin, "%s", bench.measure.argument);
        measure_server(&bench, "server", bench.measure.quick ? 5000 : 20000);
    }
    measure_print(&bench.measure);
    return 0;
}
