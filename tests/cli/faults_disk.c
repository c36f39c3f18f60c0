#include "tests/cli/faults_disk.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/cli/faults_call.h"

#define SECTOR_BYTES 512
#define FILES_MAX    4096
#define NAMES_MAX    4096
#define CHANGES_MAX  16384
#define PATH_BYTES   200
#define MEMORY_BYTES (4ull << 30)
#define A_DIRECTORY  INT_MAX

/* A write (bytes != NULL) or a new size. */
struct step {
    struct step *next;
    off_t offset; /* or the size */
    size_t count;
    const uint8_t *bytes;
    bool durable;
};

struct file {
    dev_t device;
    ino_t inode;
    uint8_t *base; /* what it held before its first step */
    size_t base_bytes;
    struct step *first, *last;
    struct step *unsynced; /* the first since the last sync */
    bool has_base;
};

struct name {
    char path[PATH_BYTES];
    int durable, live; /* a file, A_DIRECTORY, FAULTS_NO_FILE */
};

/* Of one name, or of two at once (a rename). */
struct change {
    int names_count;
    struct {
        int name, file;
    } names[2];
    bool durable;
};

struct disk {
    pthread_mutex_t lock;
    char directory[PATH_BYTES];
    char beside[PATH_BYTES];
    int files_count, names_count, changes_count;
    struct file files[FILES_MAX];
    struct name names[NAMES_MAX];
    struct change changes[CHANGES_MAX];
    size_t used_bytes;
    uint8_t memory[];
};

static struct disk *disk;

static void give_up(const char *why)
{
    char text[256];
    int bytes = snprintf(text, sizeof text, "faults: %s: %s\n", why, strerror(errno));
    faults_call_write(STDERR_FILENO, text, (size_t)bytes);
    _exit(125);
}

/* ---- memory and lock --------------------------------------------------------------------------
 */

static void *take(size_t bytes)
{
    size_t at = (disk->used_bytes + 15) / 16 * 16;
    if (at + bytes > MEMORY_BYTES - sizeof *disk)
        give_up("the run writes more than the log of its changes can hold");
    disk->used_bytes = at + bytes;
    return disk->memory + at;
}

void faults_disk_lock(void)
{
    int error = pthread_mutex_lock(&disk->lock);
    if (error == EOWNERDEAD)
        pthread_mutex_consistent(&disk->lock);
    else if (error != 0)
        give_up("cannot lock");
}

void faults_disk_unlock(void)
{
    pthread_mutex_unlock(&disk->lock);
}

/* Calls do_one for each entry of the directory. */
static void for_entries(const char *directory, void (*do_one)(const char *path))
{
    DIR *entries = opendir(directory);
    const struct dirent *entry;
    while (entries != NULL && (entry = readdir(entries)) != NULL) {
        char path[PATH_MAX];
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        snprintf(path, sizeof path, "%s/%s", directory, entry->d_name);
        do_one(path);
    }
    if (entries != NULL)
        closedir(entries);
}

static void remove_tree(const char *path)
{
    if (faults_call_unlink(path) == 0 || errno == ENOENT)
        return;
    for_entries(path, remove_tree);
    faults_call_rmdir(path);
}

void faults_disk_start(const char *directory, const char *beside)
{
    disk = mmap(NULL, MEMORY_BYTES, PROT_READ | PROT_WRITE,
                MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (disk == MAP_FAILED || strlen(directory) >= PATH_BYTES || strlen(beside) >= PATH_BYTES)
        give_up("cannot take memory");
    strcpy(disk->directory, directory);
    strcpy(disk->beside, beside);
    pthread_mutexattr_t attributes;
    pthread_mutexattr_init(&attributes);
    pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
    pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
    pthread_mutex_init(&disk->lock, &attributes);
    remove_tree(beside);
    if (faults_call_mkdir(beside, 0755) != 0)
        give_up("cannot make the directory beside");
}

/* ---- what a program does ----------------------------------------------------------------------
 */

static void second_name(int file, char ret_path[PATH_MAX])
{
    snprintf(ret_path, PATH_MAX, "%s/%d", disk->beside, file);
}

static int find_name(const char *path)
{
    for (int i = 0; i < disk->names_count; i++)
        if (strcmp(disk->names[i].path, path) == 0)
            return i;
    if (disk->names_count == NAMES_MAX || strlen(path) >= PATH_BYTES)
        give_up("too many names, or one too long");
    struct name *name = &disk->names[disk->names_count];
    strcpy(name->path, path);
    name->durable = FAULTS_NO_FILE;
    name->live = FAULTS_NO_FILE;
    return disk->names_count++;
}

/* The file as the kernel knows it; its second name keeps the inode from being used again. */
static int find_file(const char *path)
{
    struct stat known;
    if (stat(path, &known) != 0)
        return FAULTS_NO_FILE;
    if (S_ISDIR(known.st_mode))
        return A_DIRECTORY;
    if (!S_ISREG(known.st_mode))
        return FAULTS_NO_FILE;
    for (int i = 0; i < disk->files_count; i++)
        if (disk->files[i].inode == known.st_ino && disk->files[i].device == known.st_dev)
            return i;
    char second[PATH_MAX];
    second_name(disk->files_count, second);
    if (disk->files_count == FILES_MAX || faults_call_link(path, second) != 0)
        give_up("cannot keep a file by a second name");
    disk->files[disk->files_count] = (struct file){.device = known.st_dev, .inode = known.st_ino};
    return disk->files_count++;
}

/* A name that was there before anything was told of it is durable. */
static int known_name(const char *path)
{
    int index = find_name(path);
    struct name *name = &disk->names[index];
    int live = find_file(path);
    if (name->live != live && name->live == FAULTS_NO_FILE)
        name->durable = live;
    name->live = live;
    return index;
}

void faults_disk_know(const char *path)
{
    known_name(path);
}

static struct change *add_change(const char *path, int file)
{
    if (disk->changes_count == CHANGES_MAX)
        give_up("too many changes of names");
    struct change *change = &disk->changes[disk->changes_count++];
    int name = find_name(path);
    change->names_count = 1;
    change->names[0].name = name;
    change->names[0].file = file;
    disk->names[name].live = file;
    return change;
}

int faults_disk_file(const char *path, bool is_new)
{
    int file;
    if (is_new) {
        file = find_file(path);
        add_change(path, file);
        disk->files[file].has_base = true;
    } else {
        file = disk->names[known_name(path)].live;
    }
    return file == A_DIRECTORY ? FAULTS_NO_FILE : file;
}

void faults_disk_on_rename(const char *from, const char *to)
{
    int file = disk->names[find_name(from)].live;
    if (file == A_DIRECTORY)
        return;
    struct change *change = add_change(from, FAULTS_NO_FILE);
    int name = find_name(to);
    change->names_count = 2;
    change->names[1].name = name;
    change->names[1].file = file;
    disk->names[name].live = file;
}

void faults_disk_on_link(const char *from, const char *to)
{
    add_change(to, disk->names[known_name(from)].live);
}

void faults_disk_on_remove(const char *path)
{
    add_change(path, FAULTS_NO_FILE);
}

void faults_disk_on_make_directory(const char *path)
{
    add_change(path, A_DIRECTORY);
}

static bool is_in(const char *path, const char *directory)
{
    size_t bytes = strlen(directory);
    return strncmp(path, directory, bytes) == 0 && path[bytes] == '/' &&
           strchr(path + bytes + 1, '/') == NULL;
}

static void apply_durably(const struct change *change)
{
    for (int i = 0; i < change->names_count; i++)
        disk->names[change->names[i].name].durable = change->names[i].file;
}

void faults_disk_on_sync_directory(const char *path)
{
    for (int i = 0; i < disk->changes_count; i++) {
        struct change *change = &disk->changes[i];
        if (change->durable || !is_in(disk->names[change->names[0].name].path, path))
            continue;
        change->durable = true;
        apply_durably(change);
    }
}

/* What the file holds before the first step of this run is read once. */
static void keep_base(int index)
{
    struct file *file = &disk->files[index];
    char path[PATH_MAX];
    struct stat known;
    if (file->has_base)
        return;
    second_name(index, path);
    int source = faults_call_open(path, O_RDONLY | O_CLOEXEC, 0);
    if (source < 0 || fstat(source, &known) != 0)
        give_up("cannot read a file");
    file->base_bytes = (size_t)known.st_size;
    file->base = take(file->base_bytes);
    if (pread(source, file->base, file->base_bytes, 0) != (ssize_t)file->base_bytes)
        give_up("cannot read a file");
    faults_call_close(source);
    file->has_base = true;
}

static void add_step(int index, off_t offset, const uint8_t *bytes, size_t count)
{
    struct file *file = &disk->files[index];
    keep_base(index);
    struct step *step = take(sizeof *step);
    *step = (struct step){.offset = offset, .bytes = bytes, .count = count};
    if (file->last == NULL)
        file->first = step;
    else
        file->last->next = step;
    file->last = step;
    if (file->unsynced == NULL)
        file->unsynced = step;
}

void faults_disk_on_write(int file, off_t offset, const void *bytes, size_t count)
{
    uint8_t *copy = take(count);
    memcpy(copy, bytes, count);
    add_step(file, offset, copy, count);
}

void faults_disk_on_resize(int file, off_t size)
{
    add_step(file, size, NULL, 0);
}

static void end_steps(int index, bool durable)
{
    struct file *file = &disk->files[index];
    for (struct step *step = file->unsynced; step != NULL; step = step->next)
        step->durable = durable;
    file->unsynced = NULL;
}

void faults_disk_on_sync(int file)
{
    end_steps(file, true);
}

void faults_disk_on_failed_sync(int file)
{
    end_steps(file, false);
}

/* ---- the power goes ---------------------------------------------------------------------------
 */

/* What of a file is kept. */
enum keeping { KEEPS_NOTHING, KEEPS_ALL, KEEPS_FIRST, KEEPS_SECTORS, KEEPINGS_COUNT };

struct loss {
    uint64_t seed;
    enum keeping keeping;
    uint64_t moment; /* KEEPS_FIRST: the step that is torn */
    uint64_t steps_count;
};

/* splitmix64 over what is to be decided: the same on every run, in whatever order it is asked. */
static uint64_t draw(uint64_t seed, uint64_t a, uint64_t b)
{
    uint64_t value = seed + 0x9e3779b97f4a7c15 * (a + 1) + 0xbf58476d1ce4e5b9 * (b + 1);
    for (int i = 0; i < 2; i++) {
        value = (value ^ value >> 30) * 0xbf58476d1ce4e5b9;
        value = (value ^ value >> 27) * 0x94d049bb133111eb;
        value ^= value >> 31;
    }
    return value;
}

/* The number of steps that the sector has seen, of those that were not durable. */
static uint64_t moment_of(const struct loss *loss, uint64_t sector)
{
    uint64_t chance = draw(loss->seed, 3, sector);
    switch (loss->keeping) {
    case KEEPS_ALL: return loss->steps_count;
    case KEEPS_FIRST: return loss->moment + chance % 2;
    case KEEPS_SECTORS:
        if (chance % 4 < 2)
            return chance % 4 == 0 ? 0 : loss->steps_count;
        return chance / 4 % (loss->steps_count + 1);
    case KEEPS_NOTHING:
    case KEEPINGS_COUNT: break;
    }
    return 0;
}

struct image {
    uint8_t *bytes;
    size_t size;
};

static void write_sectors(struct image *image, const struct step *step, uint64_t number,
                          const struct loss *loss)
{
    size_t end = (size_t)step->offset + step->count;
    for (size_t at = (size_t)step->offset; at < end;) {
        size_t sector = at / SECTOR_BYTES;
        size_t next = (sector + 1) * SECTOR_BYTES < end ? (sector + 1) * SECTOR_BYTES : end;
        if (step->durable || number < moment_of(loss, sector)) {
            memcpy(image->bytes + at, step->bytes + (at - (size_t)step->offset), next - at);
            image->size = next > image->size ? next : image->size;
        }
        at = next;
    }
}

static void resize(struct image *image, const struct step *step, uint64_t number,
                   const struct loss *loss)
{
    if (!step->durable && number >= moment_of(loss, UINT64_MAX))
        return;
    size_t size = (size_t)step->offset;
    if (size < image->size)
        memset(image->bytes + size, 0, image->size - size);
    image->size = size;
}

static size_t capacity_of(const struct file *file)
{
    size_t capacity = file->base_bytes;
    for (const struct step *step = file->first; step != NULL; step = step->next) {
        size_t end = (size_t)step->offset + step->count;
        capacity = end > capacity ? end : capacity;
    }
    return capacity;
}

static struct loss choose_loss(const struct file *file, uint64_t seed, uint64_t index)
{
    struct loss loss = {.seed = draw(seed, 1, index)};
    loss.keeping = (enum keeping)(draw(loss.seed, 2, 0) % KEEPINGS_COUNT);
    for (const struct step *step = file->first; step != NULL; step = step->next)
        loss.steps_count += !step->durable;
    loss.moment = draw(loss.seed, 2, 1) % (loss.steps_count + 1);
    return loss;
}

static void put_in_place(int index, const struct image *image)
{
    char path[PATH_MAX];
    second_name(index, path);
    int target = faults_call_open(path, O_WRONLY | O_TRUNC | O_CLOEXEC, 0);
    if (target < 0)
        give_up("cannot open a file");
    for (size_t at = 0; at < image->size;) {
        ssize_t count = faults_call_write(target, image->bytes + at, image->size - at);
        if (count <= 0)
            give_up("cannot write a file");
        at += (size_t)count;
    }
    faults_call_close(target);
}

static void lose_bytes(int index, uint64_t seed)
{
    const struct file *file = &disk->files[index];
    struct loss loss = choose_loss(file, seed, (uint64_t)index);
    if (loss.steps_count == 0)
        return;
    size_t capacity = capacity_of(file) + 1;
    struct image image = {.size = file->base_bytes};
    image.bytes = mmap(NULL, capacity, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (image.bytes == MAP_FAILED)
        give_up("cannot take memory for a file");
    if (file->base_bytes > 0)
        memcpy(image.bytes, file->base, file->base_bytes);
    uint64_t number = 0;
    for (const struct step *step = file->first; step != NULL; step = step->next) {
        if (step->bytes != NULL)
            write_sectors(&image, step, number, &loss);
        else
            resize(&image, step, number, &loss);
        number += !step->durable;
    }
    put_in_place(index, &image);
    munmap(image.bytes, capacity);
}

/* Which file each name ends up with: `durable` of all names is changed to that. */
static void lose_names(uint64_t seed)
{
    uint64_t pending = 0;
    for (int i = 0; i < disk->changes_count; i++)
        pending += !disk->changes[i].durable;
    uint64_t chance = draw(seed, 4, 0);
    uint64_t kept = chance % 4 == 0 ? 0 : chance / 4 % (pending + 1);
    if (chance % 4 == 1)
        kept = pending;
    for (int i = 0; i < disk->changes_count; i++) {
        if (disk->changes[i].durable || kept == 0)
            continue;
        kept--;
        apply_durably(&disk->changes[i]);
    }
}

static void place_name(const struct name *name)
{
    char second[PATH_MAX];
    if (name->durable == name->live)
        return;
    if (name->durable == A_DIRECTORY) {
        faults_call_mkdir(name->path, 0755);
        return;
    }
    second_name(name->durable, second);
    /* Fails where the directory is gone: then the name is. */
    if (name->durable != FAULTS_NO_FILE)
        faults_call_link(second, name->path);
}

void faults_disk_lose_power(uint64_t seed)
{
    for (int i = 0; i < disk->files_count; i++)
        lose_bytes(i, seed);
    lose_names(seed);
    for (int i = 0; i < disk->names_count; i++)
        if (disk->names[i].durable != disk->names[i].live)
            remove_tree(disk->names[i].path);
    for (int i = 0; i < disk->names_count; i++)
        place_name(&disk->names[i]);
}
