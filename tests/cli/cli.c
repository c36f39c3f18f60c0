#include "tests/cli/cli.h"

#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/damage.h"

/* ---- running ---------------------------------------------------------------------------------
 */

/* Behind what is asked of them already, so that the rest of it holds. */
static void tell_sanitizer(const char *variable)
{
    char options[4096];
    const char *known = getenv(variable);
    int bytes = snprintf(options, sizeof options, "%s%sexitcode=%d", known == NULL ? "" : known,
                         known == NULL ? "" : ":", CLI_SANITIZER);
    if (bytes < 0 || (size_t)bytes >= sizeof options || setenv(variable, options, 1) != 0)
        _exit(126);
}

static void become(const char *program, int in, int out, int err, const char *const *arguments)
{
    if (in < 0)
        in = open("/dev/null", O_RDONLY);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    alarm(CLI_SECONDS_MAX);
    if (dup2(in, STDIN_FILENO) < 0 || dup2(out, STDOUT_FILENO) < 0 || dup2(err, STDERR_FILENO) < 0)
        _exit(126);
    tell_sanitizer("ASAN_OPTIONS");
    tell_sanitizer("LSAN_OPTIONS");
    tell_sanitizer("UBSAN_OPTIONS");
    tell_sanitizer("TSAN_OPTIONS");
    execv(program, (char *const *)(uintptr_t)arguments);
    _exit(127);
}

static struct cli_process start_program(const char *program, int in, const char *const *arguments)
{
    struct cli_process process = {
        .out = memfd_create("out", MFD_CLOEXEC),
        .err = memfd_create("err", MFD_CLOEXEC),
    };
    assert_true(process.out >= 0 && process.err >= 0);
    process.pid = fork();
    assert_true(process.pid >= 0);
    if (process.pid == 0)
        become(program, in, process.out, process.err, arguments);
    return process;
}

const char *cli_program(void)
{
    return FLYOVER_PROGRAM;
}

struct cli_process cli_start_list(int in, const char *const *arguments)
{
    return start_program(FLYOVER_PROGRAM, in, arguments);
}

static void collect(const char *command, va_list more, const char *ret_arguments[CLI_ARGS_MAX])
{
    size_t count = 0;
    ret_arguments[count++] = "flyover";
    for (const char *next = command; next != NULL; next = va_arg(more, const char *)) {
        assert_true(count < CLI_ARGS_MAX - 1);
        ret_arguments[count++] = next;
    }
    ret_arguments[count] = NULL;
}

struct cli_process cli_start(int in, const char *command, ...)
{
    const char *arguments[CLI_ARGS_MAX];
    va_list more;
    va_start(more, command);
    collect(command, more, arguments);
    va_end(more);
    return cli_start_list(in, arguments);
}

static char *read_all(int file, size_t *ret_bytes)
{
    struct stat known;
    assert_int_equal(fstat(file, &known), 0);
    size_t bytes = (size_t)known.st_size;
    char *text = malloc(bytes + 1);
    assert_non_null(text);
    size_t used = 0;
    while (used < bytes) {
        ssize_t count = pread(file, text + used, bytes - used, (off_t)used);
        assert_true(count > 0);
        used += (size_t)count;
    }
    text[bytes] = '\0';
    *ret_bytes = bytes;
    return text;
}

static struct cli_result finish(struct cli_process *process, int ending)
{
    size_t err_bytes;
    struct cli_result result = {
        .exit_code = WIFEXITED(ending) ? WEXITSTATUS(ending) : -1,
        .signal = WIFSIGNALED(ending) ? WTERMSIG(ending) : 0,
    };
    result.out = read_all(process->out, &result.out_bytes);
    result.err = read_all(process->err, &err_bytes);
    close(process->out);
    close(process->err);
    process->pid = 0;
    return result;
}

bool cli_is_running(struct cli_process *process, struct cli_result *ret_result)
{
    int ending;
    pid_t pid = waitpid(process->pid, &ending, WNOHANG);
    assert_true(pid >= 0);
    if (pid == 0)
        return true;
    *ret_result = finish(process, ending);
    return false;
}

struct cli_result cli_wait(struct cli_process *process)
{
    int ending;
    assert_int_equal(waitpid(process->pid, &ending, 0), process->pid);
    return finish(process, ending);
}

struct cli_result cli_run(const char *command, ...)
{
    const char *arguments[CLI_ARGS_MAX];
    va_list more;
    va_start(more, command);
    collect(command, more, arguments);
    va_end(more);
    struct cli_process process = cli_start_list(-1, arguments);
    return cli_wait(&process);
}

struct cli_result cli_run_program(const char *program, ...)
{
    const char *arguments[CLI_ARGS_MAX];
    va_list more;
    va_start(more, program);
    const char *first = va_arg(more, const char *);
    collect(first, more, arguments);
    va_end(more);
    arguments[0] = program;
    struct cli_process process = start_program(program, -1, arguments);
    return cli_wait(&process);
}

void cli_free(struct cli_result *result)
{
    free(result->out);
    free(result->err);
    *result = (struct cli_result){0};
}

void cli_expect(const struct cli_result *result, int exit_code)
{
    if (result->exit_code == exit_code)
        return;
    print_error("exit code %d, signal %d, and not exit code %d; it said:\n%s\n", result->exit_code,
                result->signal, exit_code, result->err);
    fail();
}

void cli_expect_says(const struct cli_result *result, int exit_code, ...)
{
    cli_expect(result, exit_code);
    va_list words;
    va_start(words, exit_code);
    for (const char *word = va_arg(words, const char *); word != NULL;
         word = va_arg(words, const char *)) {
        if (strstr(result->err, word) != NULL)
            continue;
        print_error("it does not say \"%s\" but:\n%s\n", word, result->err);
        fail();
    }
    va_end(words);
}

void cli_expect_done(struct cli_result result)
{
    cli_expect(&result, CLI_DONE);
    cli_free(&result);
}

/* ---- JSON ------------------------------------------------------------------------------------
 */

json_t *cli_expect_json(struct cli_result result)
{
    cli_expect(&result, CLI_DONE);
    json_error_t error;
    json_t *object = json_loadb(result.out, result.out_bytes, JSON_REJECT_DUPLICATES, &error);
    if (object == NULL)
        print_error("line %d: %s\n%s\n", error.line, error.text, result.out);
    assert_true(json_is_object(object));
    cli_free(&result);
    return object;
}

json_t *cli_member(json_t *object, const char *path)
{
    char key[128];
    json_t *at = object;
    const char *rest = path;
    while (at != NULL && *rest != '\0') {
        size_t length = strcspn(rest, "/");
        snprintf(key, sizeof key, "%.*s", (int)length, rest);
        at = json_object_get(at, key);
        rest += length + (rest[length] == '/');
    }
    if (at == NULL)
        print_error("there is no member %s\n", path);
    assert_non_null(at);
    return at;
}

static json_t *typed(json_t *object, const char *path, bool is_right, const char *type)
{
    if (!is_right)
        print_error("%s is no %s\n", path, type);
    assert_true(is_right);
    return cli_member(object, path);
}

int64_t cli_integer(json_t *object, const char *path)
{
    bool is_right = json_is_integer(cli_member(object, path));
    return json_integer_value(typed(object, path, is_right, "integer"));
}

double cli_number(json_t *object, const char *path)
{
    bool is_right = json_is_real(cli_member(object, path));
    return json_real_value(typed(object, path, is_right, "number with a point"));
}

const char *cli_text(json_t *object, const char *path)
{
    bool is_right = json_is_string(cli_member(object, path));
    return json_string_value(typed(object, path, is_right, "text"));
}

bool cli_truth(json_t *object, const char *path)
{
    bool is_right = json_is_boolean(cli_member(object, path));
    return json_is_true(typed(object, path, is_right, "truth value"));
}

/* ---- files -----------------------------------------------------------------------------------
 */

void cli_make_directory(char ret_path[PATH_MAX])
{
    snprintf(ret_path, PATH_MAX, "/tmp/flyover-test-XXXXXX");
    assert_non_null(mkdtemp(ret_path));
}

static int remove_one(const char *path, const struct stat *known, int kind, struct FTW *place)
{
    (void)known;
    (void)kind;
    (void)place;
    return remove(path);
}

void cli_remove(const char *path)
{
    nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

void cli_path(char ret_path[PATH_MAX], const char *directory, const char *name)
{
    assert_true(snprintf(ret_path, PATH_MAX, "%s/%s", directory, name) < PATH_MAX);
}

static bool ends_in(const char *name, const char *suffix)
{
    size_t name_length = strlen(name);
    size_t suffix_length = strlen(suffix);
    return name_length >= suffix_length && strcmp(name + name_length - suffix_length, suffix) == 0;
}

bool cli_find_largest(const char *directory, const char *suffix, char ret_path[PATH_MAX])
{
    DIR *entries = opendir(directory);
    assert_non_null(entries);
    bool found = false;
    size_t bytes_max = 0;
    const struct dirent *entry;
    while ((entry = readdir(entries)) != NULL) {
        char path[PATH_MAX];
        cli_path(path, directory, entry->d_name);
        if (!ends_in(entry->d_name, suffix) || (found && damage_file_bytes(path) <= bytes_max))
            continue;
        found = true;
        bytes_max = damage_file_bytes(path);
        memcpy(ret_path, path, sizeof path);
    }
    closedir(entries);
    return found;
}

void cli_write(const char *path, const char *text)
{
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

char *cli_read(const char *path)
{
    int file = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(file >= 0);
    size_t bytes;
    char *text = read_all(file, &bytes);
    close(file);
    return text;
}

/* ---- the watermark, read and written as storage/watermark.h describes it -----------------------
 */

enum {
    COPIES_COUNT = 2,
    COPY_STRIDE_BYTES = 512,
    COPY_BYTES = 32,
    AT_SEQUENCE = 4,
    AT_BLOCK_NO = 8,
    AT_CRC = 28
};

static uint32_t crc32c_of(const uint8_t *bytes, size_t count)
{
    uint32_t crc = UINT32_MAX;
    for (size_t i = 0; i < count; i++) {
        crc ^= bytes[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78u : 0);
    }
    return ~crc;
}

uint64_t cli_watermark(const char *directory)
{
    char path[PATH_MAX];
    cli_path(path, directory, "watermark");
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0)
        return 0;
    uint64_t block_no_max = 0;
    for (int copy = 0; copy < COPIES_COUNT; copy++) {
        uint8_t bytes[COPY_BYTES];
        uint64_t block_no;
        uint32_t crc;
        if (pread(file, bytes, sizeof bytes, copy * COPY_STRIDE_BYTES) != sizeof bytes)
            continue;
        memcpy(&block_no, bytes + AT_BLOCK_NO, sizeof block_no);
        memcpy(&crc, bytes + AT_CRC, sizeof crc);
        if (crc == crc32c_of(bytes, AT_CRC) && block_no > block_no_max)
            block_no_max = block_no;
    }
    close(file);
    return block_no_max;
}

void cli_set_watermark(const char *directory, uint64_t block_no)
{
    char path[PATH_MAX];
    cli_path(path, directory, "watermark");
    int file = open(path, O_WRONLY | O_CLOEXEC);
    assert_true(file >= 0);
    for (uint32_t copy = 0; copy < COPIES_COUNT; copy++) {
        uint8_t bytes[COPY_BYTES] = "FLYW";
        uint32_t sequence = 1000 + copy;
        memcpy(bytes + AT_SEQUENCE, &sequence, sizeof sequence);
        memcpy(bytes + AT_BLOCK_NO, &block_no, sizeof block_no);
        uint32_t crc = crc32c_of(bytes, AT_CRC);
        memcpy(bytes + AT_CRC, &crc, sizeof crc);
        assert_int_equal(pwrite(file, bytes, sizeof bytes, copy * COPY_STRIDE_BYTES), sizeof bytes);
    }
    close(file);
}

/* ---- orders ----------------------------------------------------------------------------------
 */

void cli_generate(const char *path, const char *orders, const char *shape)
{
    struct cli_result result =
        cli_run("generate", "--orders", orders, "--shape", shape, (char *)NULL);
    cli_expect(&result, CLI_DONE);
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    assert_int_equal(fwrite(result.out, 1, result.out_bytes, file), result.out_bytes);
    assert_int_equal(fclose(file), 0);
    cli_free(&result);
}

uint64_t cli_draw(uint64_t *random)
{
    *random ^= *random << 13;
    *random ^= *random >> 7;
    *random ^= *random << 17;
    return *random >> 11;
}
