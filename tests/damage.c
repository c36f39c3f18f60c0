#include "tests/damage.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

static void copy_file(const char *from, const char *to)
{
    static char bytes[1 << 16];
    int source = open(from, O_RDONLY | O_CLOEXEC);
    int target = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    assert_true(source >= 0 && target >= 0);
    ssize_t count;
    while ((count = read(source, bytes, sizeof bytes)) > 0)
        assert_int_equal(write(target, bytes, (size_t)count), count);
    assert_int_equal(count, 0);
    close(source);
    close(target);
}

static void path_in(char ret_path[PATH_MAX], const char *directory, const char *name)
{
    assert_true(snprintf(ret_path, PATH_MAX, "%s/%s", directory, name) < PATH_MAX);
}

void damage_copy_directory(const char *from, const char *to)
{
    DIR *entries = opendir(from);
    assert_non_null(entries);
    if (mkdir(to, 0755) != 0)
        assert_int_equal(errno, EEXIST);
    const struct dirent *entry;
    while ((entry = readdir(entries)) != NULL) {
        char path_from[PATH_MAX];
        char path_to[PATH_MAX];
        if (entry->d_name[0] == '.')
            continue;
        path_in(path_from, from, entry->d_name);
        path_in(path_to, to, entry->d_name);
        if (entry->d_type == DT_DIR)
            damage_copy_directory(path_from, path_to);
        else
            copy_file(path_from, path_to);
    }
    closedir(entries);
}

size_t damage_file_bytes(const char *path)
{
    struct stat known;
    assert_int_equal(stat(path, &known), 0);
    return (size_t)known.st_size;
}

void damage_flip(const char *path, size_t offset, uint8_t mask)
{
    uint8_t byte;
    int file = open(path, O_RDWR | O_CLOEXEC);
    assert_true(file >= 0);
    assert_int_equal(pread(file, &byte, 1, (off_t)offset), 1);
    byte ^= mask;
    assert_int_equal(pwrite(file, &byte, 1, (off_t)offset), 1);
    close(file);
}

void damage_flip_at(const char *path, const struct damage_places *places, uint32_t place)
{
    size_t bytes = damage_file_bytes(path);
    uint32_t tail = places->count - places->tail_count;
    size_t offset = place < tail ? bytes * place / places->count
                                 : bytes - 1 - places->tail_step_bytes * (place - tail) % bytes;
    damage_flip(path, offset, (uint8_t)(1u << place % 8));
}
